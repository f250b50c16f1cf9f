"""Best runs that come back, or say what moved."""

import math

import pytest
import tomlkit

from audiomtl.harness import best
from audiomtl.harness.record import provenance
from tests.command import run


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
                " a different"
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
def test_recorded_scores_are_checked_and_what_moved_is_told(project, monkeypatch, capsys) -> None:
    """Recorded here, then falsified in its last digits and in its mean, and said to be recorded elsewhere."""
    path = project.folder / "experiments" / "tiny.toml"
    before = path.read_text()
    project.run("best", "tiny", "--record", "--slots", "2")
    document = tomlkit.parse(path.read_text())
    assert {"test/error_rate", "validation/error_rate", "recorded"} == set(document["expected"])
    assert len(document["expected"]["test/error_rate"]["per_seed"]) == 2
    assert "# half as wide" in path.read_text() and path.read_text().startswith(before)
    assert "all 4 recorded scores were reproduced bit for bit\n" in project.run("best", "tiny", "--exact")

    # from here on in this process: what was trained does not change
    runs = project.tracking().runs("tiny", "tags.kind = 'best'")
    trained = {("", int(run.data.tags["seed"])): run for run in runs}
    assert len(runs) == len(trained) == 2
    monkeypatch.setattr(best, "train_runs", lambda *_, **__: dict(trained))

    def checked(*options: str, code: int = 0) -> str:
        path.write_text(tomlkit.dumps(document))
        found, *said = run(monkeypatch, capsys, "best", "tiny", *options)
        assert found == code, said
        return "".join(said)

    score = document["expected"]["test/error_rate"]
    recorded = list(score["per_seed"])

    def move(by: float) -> None:
        score["per_seed"][0] = recorded[0] + by
        score["mean"] = sum(score["per_seed"]) / len(recorded)

    move(0.001)
    assert "1 of 4 scores were not reproduced" in checked(code=1)
    move(0.0)
    document["expected"]["recorded"]["machine"] = "another"
    assert "bit for bit, recorded on a different processor (another)" in checked("--exact")
    score["per_seed"][0] += 1e-9
    assert "expected.test/error_rate: mean must be that of per_seed" in checked(code=2)
    move(1e-9)
    assert "all 4 recorded scores were reproduced within their tolerances, 3 of them bit for bit" in checked()
    assert "1 of 4 scores were not reproduced" in checked("--exact", code=1)
    del document["expected"]["test/error_rate"]
    assert "[expected] has no test/error_rate: not checked" in checked("--exact", code=1)
    assert "give one of them" in checked("--exact", "--record", code=2)
