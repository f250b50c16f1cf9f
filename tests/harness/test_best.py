"""Best runs that come back, or say what moved."""

from types import SimpleNamespace

import pytest
import tomlkit

from audiomtl.harness import best
from tests.command import run


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
    said = checked(code=1)
    assert "1 of 2 scores were not reproduced" in said and "is not above its floor" not in said
    move(0.0)
    with monkeypatch.context() as patch:
        patch.setattr(best.standing, "faults", lambda *_: ["test/error_rate is not above its floor"])
        assert "test/error_rate is not above its floor\n" in checked()
    document["expected"]["recorded"]["machine"] = "another"
    first = list(document["expected"]["recorded"]["fingerprint"])
    assert len(first) == len(document["expected"]["recorded"]["fingerprint_rounding"]) == 10
    monkeypatch.setattr(best.repeated, "fingerprint", lambda *_, **__: first)
    assert "bit for bit, recorded on a different processor (another)" in checked("--exact")
    score["per_seed"][0] += 1e-9
    assert "expected.test/error_rate: mean must be that of per_seed" in checked(code=2)
    move(1e-9)
    assert "3 of 4 values bit for bit, 1 score by equivalent means" in checked()
    assert "1 of 2 scores were not reproduced" in checked("--exact", code=1)
    assert "1 of 2 scores were not reproduced" in checked("--exact", "--record", code=1)
    document["expected"]["recorded"]["fingerprint"][3] *= 1.001
    assert "not reproduced: the losses of the first 10 steps differ by 0.001" in checked(code=1)
    document["expected"]["recorded"]["fingerprint"][3] = first[3]
    del document["expected"]["test/error_rate"]
    assert "[expected] has no test/error_rate: not checked" in checked("--exact", code=1)


def test_view_and_clips_follow_the_record(monkeypatch) -> None:
    """What MLflow's pages show is written after the record, whether or not the scores came back."""
    done: list[str] = []
    file = SimpleNamespace(name="tiny", settings=SimpleNamespace(seeds=[1]))
    monkeypatch.setattr(best, "train_runs", lambda *_, **__: {("", 1): None})
    monkeypatch.setattr(best, "scores_of", lambda *_: {})
    monkeypatch.setattr(best, "rates_beside", lambda *_: {})
    monkeypatch.setattr(best, "scores_beside", lambda *_: {})
    monkeypatch.setattr(best, "Tracking", lambda: SimpleNamespace(runs=lambda *_: []))
    monkeypatch.setattr(best.recorded_runs, "choose", lambda *_: None)
    monkeypatch.setattr(best.floors, "log", lambda *_: {})
    monkeypatch.setattr(best.score_tables, "show", lambda *_: None)
    monkeypatch.setattr(best.seen, "lines", lambda *_: [])
    monkeypatch.setattr(best, "_recorded", lambda *_, **__: bool(done.append("record")))
    monkeypatch.setattr(best.views, "save_experiment", lambda *_: done.append("view"))
    monkeypatch.setattr(best.clips_to_hear, "log", lambda *_: done.append("clips"))
    asked = {"record_it": False, "again": False, "exact": False, "slots": 1, "threads": 1}
    assert best.best(file, **asked) is False  # type: ignore[arg-type]
    assert done == ["record", "view", "clips"]
