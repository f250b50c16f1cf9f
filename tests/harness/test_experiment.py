"""Best runs that come back, or say what moved; ablations paired by seed; promotion."""

import math
import re
import tomllib

import pytest
import tomlkit

from audiomtl import config
from audiomtl.harness import best
from audiomtl.harness.record import provenance
from audiomtl.harness.search.proposals import best_trial

pytestmark = pytest.mark.slow


def test_best_runs_are_recorded_checked_and_reported_when_they_move(project) -> None:
    project.run("best", "tiny", "--record", "--slots", "2")
    path = project.folder / "experiments" / "tiny.toml"
    document = tomllib.loads(path.read_text())
    assert {"test/error_rate", "validation/error_rate", "recorded"} == set(document["expected"])
    assert len(document["expected"]["test/error_rate"]["per_seed"]) == 2
    assert "# half as wide" in path.read_text()
    output = project.run("best", "tiny", "--again", "--slots", "2")
    assert "all 4 recorded scores were reproduced bit for bit" in output
    assert "2 trainings are already finished" in project.run("best", "tiny")

    runs = project.tracking().runs("tiny", "tags.kind = 'best'")
    assert len(runs) == 4
    assert sorted(run.data.tags["test_looks"] for run in runs) == ["1", "2", "3", "4"]
    files = {file.path for file in project.tracking().client.list_artifacts(runs[0].info.run_id)}
    assert {
        "settings.toml",
        "predictions_validation.parquet",
        "predictions_test.parquet",
        "learning_curves.png",
        "model",
    } <= files

    score = document["expected"]["test/error_rate"]
    value, mean = score["per_seed"][0], score["mean"]
    text = path.read_text().replace(f"per_seed = [{value}", f"per_seed = [{value + 0.001}", 1)
    path.write_text(text.replace(f"mean = {mean}", f"mean = {mean + 0.0005}", 1))
    output = project.run("best", "tiny", code=1)
    assert "1 of 4 scores were not reproduced" in output

    output = project.run("ablations", "tiny", "--slots", "2")
    assert "same settings as the best run" in output  # [ablation.same]
    narrow = project.tracking().runs("tiny", "tags.kind = 'ablation'")
    assert sorted(run.data.tags["seed"] for run in narrow) == ["1", "2"]
    assert not any(name.startswith("test/") for run in narrow for name in run.data.metrics)
    assert {run.data.params["network.units"] for run in narrow} == {"4"}


def test_promotion_edits_the_swept_lines_only_and_removes_expected(project) -> None:
    path = project.folder / "experiments" / "tiny.toml"
    # a start that is easy to beat
    project.edit("experiments", "learning_rate = 0.05", "learning_rate = 0.001")
    project.edit("studies", 'metric = "validation/error_rate"', 'metric = "validation/loss"')
    path.write_text(path.read_text() + '\n[expected.recorded]\nmachine = "m"\nseeds = [1]\n')
    project.run("study", "tiny", "--slots", "1")
    before = path.read_text()
    project.run("promote", "tiny", "--to", "copy")
    assert path.read_text() == before
    output = project.run("promote", "tiny")
    after = path.read_text()
    assert after == (project.folder / "copy" / "tiny.toml").read_text()
    raw = tomllib.loads(after)
    number, _, values = best_trial(config.load_study("tiny"))
    assert number != 0 and f"trial {number}" in output
    assert {path: config.flatten(raw)[path] for path in values} == values
    changed = [
        (old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=False) if old != new
    ]
    assert all(old.split(" = ")[0] in {"units", "learning_rate"} for old, _ in changed)
    assert "expected" not in raw


@pytest.mark.parametrize(
    ("now", "machine", "threads", "moved"),
    [
        (0.30, "same", 1, 0),
        (0.3001, "same", 1, 1),
        (0.3001, "same", 2, 0),
        (0.33, "same", 2, 1),
        (0.3001, "other", 1, 0),
        (0.33, "other", 1, 1),
        (float("nan"), "other", 1, 1),
    ],
)
def test_scores_come_back_exactly_here_and_within_the_tolerance_elsewhere(
    now: float, machine: str, threads: int, moved: int
) -> None:
    origin = {"machine": provenance.machine() if machine == "same" else "another", "threads": 1, "seeds": [1]}
    expected = {"recorded": origin, "test/error_rate": {"mean": 0.3, "per_seed": [0.3], "tolerance": 0.02}}
    rows = best.compare(expected, {"test/error_rate": [now]}, threads)
    assert sum(not row[-1] for row in rows) == moved


def test_a_score_that_is_gone_has_moved() -> None:
    expected = {
        "recorded": {"machine": "x", "seeds": [1, 2]},
        "test/error_rate": {"mean": 0.3, "per_seed": [0.3, 0.3], "tolerance": 0.02},
    }
    assert not any(row[-1] for row in best.compare(expected, {}, 1))


ELSEWHERE = {"machine": "AMD EPYC (c4c15c413287)", "threads": 1, "seeds": [1, 2]}
EXPECTED = {
    "recorded": ELSEWHERE,
    "test/error_rate": {"mean": 0.35, "per_seed": [0.3, 0.4], "tolerance": 0.02},
}


@pytest.mark.parametrize(
    ("now", "threads", "moved", "text"),
    [
        (
            [0.3, 0.4],
            1,
            0,
            (
                "all 2 recorded scores were reproduced bit for bit, recorded on a different processor (AMD EPYC"
                " (c4c15c413287))"
            ),
        ),
        (
            [0.3, math.nextafter(0.4, 1)],
            1,
            1,
            "all 2 recorded scores were reproduced within their tolerances, 1 of them bit for bit, recorded on a",
        ),
        (
            [0.31, 0.41],
            1,
            2,
            (
                "all 2 recorded scores were reproduced within their tolerances, 0 of them bit for bit, recorded on"
                " a different processor"
            ),
        ),
        (
            [0.3, 0.4],
            2,
            0,
            (
                "bit for bit, recorded on a different processor (AMD EPYC (c4c15c413287)) and with 1 TensorFlow"
                " threads instead of 2"
            ),
        ),
    ],
)
def test_exact_demands_equal_bits_on_any_machine_and_without_it_what_was_seen_is_said(
    now, threads, moved, text
) -> None:
    exact = best.compare(EXPECTED, {"test/error_rate": now}, threads, exact=True)
    assert sum(not row[-1] for row in exact) == moved and {row[4] for row in exact} == {0.0}
    rows = best.compare(EXPECTED, {"test/error_rate": now}, threads)
    assert all(row[-1] for row in rows) and text in best.came_back(rows, ELSEWHERE, threads)


@pytest.mark.slow
def test_the_command_demands_equal_bits_with_exact(project) -> None:
    """Recorded here, then falsified in its last digits and in its mean, and said to be recorded elsewhere."""
    project.run("best", "tiny", "--record", "--slots", "2")
    assert "all 4 recorded scores were reproduced bit for bit\n" in project.run("best", "tiny", "--exact")
    path = project.folder / "experiments" / "tiny.toml"
    text = re.sub(r'machine = ".*"', 'machine = "another"', path.read_text())
    path.write_text(text)
    assert "bit for bit, recorded on a different processor (another)" in project.run(
        "best", "tiny", "--exact"
    )
    document = tomlkit.parse(text)
    score = document["expected"]["test/error_rate"]
    score["per_seed"][0] += 1e-9
    path.write_text(tomlkit.dumps(document))
    assert "expected.test/error_rate: mean must be that of per_seed" in project.run("best", "tiny", code=2)
    score["mean"] = sum(score["per_seed"]) / len(score["per_seed"])
    path.write_text(tomlkit.dumps(document))
    assert (
        "all 4 recorded scores were reproduced within their tolerances, 3 of them bit for bit"
        in project.run("best", "tiny")
    )
    assert "1 of 4 scores were not reproduced" in project.run("best", "tiny", "--exact", code=1)
    del document["expected"]["test/error_rate"]
    path.write_text(tomlkit.dumps(document))
    assert "[expected] has no test/error_rate: not checked" in project.run("best", "tiny", "--exact", code=1)
    assert "give one of them" in project.run("best", "tiny", "--exact", "--record", code=2)
