"""What is recorded, and trainings, as DataFrames."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import audiomtl
from audiomtl import config
from audiomtl.errors import UserError
from tests.surroundings.families import raw_settings, sounds


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import audiomtl; dir(audiomtl); print(sorted(set(sys.modules) -"
        " before)); assert callable(audiomtl.trials) and 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "['audiomtl']"


def test_names_are_those_of_the_stub() -> None:
    stub = Path(f"{audiomtl.__file__}i").read_text(encoding="utf-8")
    for name in audiomtl.__all__:
        assert name in stub and getattr(audiomtl, name)
    with pytest.raises(AttributeError, match="has no attribute 'predictons'"):
        _ = audiomtl.predictons


@pytest.mark.slow
def test_studies_and_runs_become_tables(project) -> None:
    with pytest.raises(UserError, match="has no trials yet; run `audiomtl study tiny` first"):
        audiomtl.trials("tiny")
    with pytest.raises(UserError, match="no recorded runs; run `audiomtl best tiny` first"):
        audiomtl.runs("tiny")
    project.run("study", "tiny", "--slots", "2")
    project.run("best", "tiny", "--slots", "2")
    trials, runs = audiomtl.trials("tiny"), audiomtl.runs("tiny")
    [objective] = config.load_study("tiny").study.objectives
    assert trials["number"].tolist() == list(range(len(trials)))
    assert set(trials["state"]) <= {"complete", "pruned", "failed"}
    assert trials[objective].notna().sum() == (trials["state"] == "complete").sum() > 0
    seeds = config.load_experiment("tiny").settings.seeds
    best = runs[runs["kind"] == "best"]
    assert sorted(best["seed"]) == sorted(map(str, seeds)) and (best["outcome"] == "complete").all()
    assert best["test/error_rate"].notna().all() and set(best["network.units"]) == {8}

    made = audiomtl.predictions("tiny")
    assert set(made["seed"]) == set(seeds) and {"clip_id", "truth", "predicted", "source"} <= set(made)
    wrong = (made["truth"] != made["predicted"]).groupby(made["seed"]).mean()
    expected = best.set_index(best["seed"].astype(int))["test/error_rate"]
    assert np.allclose(wrong, expected[wrong.index])
    with pytest.raises(UserError, match='table = "windows": no such table; there are predictions'):
        audiomtl.predictions("tiny", table="windows")
    with pytest.raises(UserError, match='side = "train": must be "validation" or "test"'):
        audiomtl.predictions("tiny", side="train")

    clips = audiomtl.clips("tiny", seed=2)
    tested = made[made["seed"] == 2]["clip_id"] if 2 in seeds else clips[clips["side"] == "test"]["clip_id"]
    assert set(clips[clips["side"] == "test"]["clip_id"]) == set(tested)
    assert set(clips["side"]) == {"train", "validation", "test"}


def test_a_training_in_this_process(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    raw = raw_settings("baseline", sounds(tmp_path / "sounds"))
    trained = audiomtl.train(raw, seed=1)
    made = trained.predictions["test"]
    assert trained.scores["test/accuracy"] == pytest.approx((made["truth"] == made["predicted"]).mean())
    assert trained.best_epoch == 1 and len(trained.history) == 1 and trained.facts["train/clips"] > 0
    trained.save(tmp_path / "model")
    again = audiomtl.load(tmp_path / "model").predict(tmp_path / "sounds" / "00.wav")
    pd.testing.assert_frame_equal(again, trained.model.predict(tmp_path / "sounds" / "00.wav"))
    with pytest.raises(UserError, match=r"features.bands"):
        audiomtl.train(config.override(raw, {"features.bands": 0}))
