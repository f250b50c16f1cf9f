"""From a table of one's own to tables of predictions with its columns, by the real command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]


def test_a_table_becomes_best_runs_whose_predictions_keep_ids_and_columns(project, tmp_path) -> None:
    folder, rows = project.folder / "mine", []
    folder.mkdir()
    for number in range(24):
        random, high = np.random.default_rng(number), number % 2
        times = np.arange(round(random.uniform(0.7, 1.6) * 22050)) / 22050
        y = 0.2 * np.sin(2 * np.pi * (2000 if high else 300) * times) + 0.02 * random.standard_normal(
            len(times)
        )
        audio.save(folder / f"{number:02}.wav", y, sample_rate=22050)
        rows.append(
            {
                "path": f"{number:02}.wav",
                "label": ["low", "high"][high],
                "artist": f"artist {number // 2}",
                "shelf": number * 10,
            }
        )
    rows.append({"path": "gone.wav", "label": "low", "artist": "nobody", "shelf": 7})
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)

    words = ("new", "mine", "--data", "mine/mine.csv", "--model", "mil")
    # the missing one, before anything is written
    assert "gone.wav: no such file; fix them, or leave them out" in project.run(*words, code=2)
    assert "experiments/mine.toml written" in project.run(*words, "--on-bad", "skip")
    path = project.folder / "experiments" / "mine.toml"
    text = path.read_text()
    for old, new in (
        ("epochs = 60", "epochs = 3"),
        ("seeds = [1, 2, 3, 4, 5]", "seeds = [1, 2]"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    project.run("check")
    project.run("best", "mine", "--record", "--slots", "2")

    runs = project.tracking().runs("mine", "tags.kind = 'best'")
    assert len(runs) == 2 and all(run.data.metrics["data/left_out/missing"] == 1 for run in runs)
    for run in runs:
        found = {}
        for name in ("predictions_test", "windows_test"):
            place = project.tracking().client.download_artifacts(
                run.info.run_id, f"{name}.parquet", str(tmp_path)
            )
            found[name] = pd.read_parquet(place)
        clips, windows = found["predictions_test"], found["windows_test"]
        assert (
            clips["clip_id"].is_unique
            and {"artist", "shelf", "label"} <= set(clips)
            and (clips["truth"] == clips["label"]).all()
        )
        numbers = clips["clip_id"].astype(int)
        assert (clips["shelf"] == numbers * 10).all() and (
            clips["artist"] == [f"artist {number // 2}" for number in numbers]
        ).all()
        assert (
            set(windows["clip_id"]) == set(clips["clip_id"])
            and (windows["shelf"] == windows["clip_id"].astype(int) * 10).all()
        )
        assert windows.groupby("clip_id").size().to_dict() == clips.set_index("clip_id")["windows"].to_dict()
    # the level alone tells these tones apart
    told = project.run("report", "mine", code=1)
    assert "1.0000 is not above its floor 1.0000 (length and level)" in told
    assert "] for new groups (artist), " in told
    assert "95 % interval for new groups" in (project.runs / "report" / "report.md").read_text()


def test_a_family_without_epochs_runs_like_any_other(project, tmp_path) -> None:
    """The baseline has no [training]: best runs, ablations and a study all the same."""
    folder, rows = project.folder / "mine", []
    folder.mkdir()
    for number in range(30):
        y = 0.2 * np.sin(2 * np.pi * (300 + 500 * (number % 2)) * np.arange(6000) / 22050)
        audio.save(
            folder / f"{number:02}.wav",
            y + 0.05 * np.random.default_rng(number).standard_normal(6000),
            sample_rate=22050,
        )
        rows.append(
            {
                "path": f"{number:02}.wav",
                "label": ["low", "high"][number % 2],
                "artist": f"artist {number // 2}",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)
    text = (
        (PROJECT / "experiments" / "baseline_esc10.toml")
        .read_text(encoding="utf-8")
        .partition("[expected")[0]
    )
    data = (
        '[data]\ndataset = "manifest"\ntable = "mine/mine.csv"\nlabel = "label"\ngroups = ["artist"]\non_bad'
        ' = "error"\n\n'
    )
    text = text[: text.index("[data]")] + data + text[text.index("[protocol]") :]
    for old, new in (
        ("seeds = [1, 2, 3, 4]", "seeds = [1, 2]"),
        ("trees = 500", "trees = 10"),
        ('kind = "folds"', 'kind = "split"'),
        ('column = "fold"', 'column = ""\ntest_share = 0.2\nvalidation_share = 0.2\nstratified = true'),
    ):
        assert old in text
        text = text.replace(old, new)
    (project.folder / "experiments" / "forest.toml").write_text(
        text.replace('acknowledged = ["', 'acknowledged = ["small_validation", "')
    )
    study = "[search]\nclassifier.trees = { low = 5, high = 50 }\n"
    keys = (
        'experiment = "forest"\ndescription = "Trees."\nmetric = "validation/accuracy"\ndirection ='
        ' "maximize"\n'
    )
    keys += (
        'prune_on = "validation/accuracy"\nprune_direction = "maximize"\nprune_after_epochs = 1\ntrials ='
        ' 3\nsampler = "random"\noptimism_seeds = 0\nsampler_seed = 1\n\n'
    )
    (project.folder / "studies" / "forest.toml").write_text(keys + study)
    project.run("study", "forest", "--slots", "1")
    project.run("best", "forest", "--record", "--slots", "1")
    project.run("ablations", "forest", "--slots", "1")
    runs = project.tracking().runs("forest")
    assert all(
        run.info.status == "FINISHED" for run in runs if run.data.tags.get("kind") in ("best", "ablation")
    )
    assert sum(run.data.tags.get("kind") == "trial" for run in runs) == 3
