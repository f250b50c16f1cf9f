"""Recorded scores for new groups: of the runs that gave the record, first in the tables, checked again."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness import best, new_groups, seen
from audiomtl.harness.report import group_intervals, recorded
from audiomtl.harness.verify import origin

MIL_EMODB = Path(__file__).parents[2] / "experiments" / "mil_emodb.toml"
SEEDS = [1, 2]
WRONG = {1: 2, 2: 6}  # clips of each seed


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.ExperimentFile:
    """Two blocks of five speakers, one per seed, recorded without intervals."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    source = MIL_EMODB.read_text(encoding="utf-8")
    document = config.load_experiment(str(MIL_EMODB)).raw
    path = tmp_path / "experiments" / "made.toml"
    path.write_text(source, encoding="utf-8")
    blocks = {"kind": "blocks", "test_values": [5], "validation_values": [1], "rotations": 2}
    changes = {f"protocol.{key}": value for key, value in blocks.items()}
    raw = config.override(document, changes | {"data.groups": ["speaker"], "seeds": SEEDS, "study_seed": 7})
    settings = config.settings_of(raw, "made")
    before = {"machine": "m", "seeds": SEEDS, "folds": [1, 0]}
    share = [1 - WRONG[seed] / 20 for seed in SEEDS]
    score = {"mean": sum(share) / 2, "per_seed": share}
    return replace(
        config.load_experiment(str(path)),
        raw=raw,
        settings=settings,
        expected={"recorded": before, "test/accuracy": score},
    )


def run(seed: int, accuracy: float, raw: dict[str, Any], name: str = "") -> Any:
    params = {path: _text(value) for path, value in config.scored_settings(raw).items()}
    tags = {"kind": "best", "seed": str(seed), "outcome": "complete"}
    data = SimpleNamespace(metrics={"test/accuracy": accuracy}, params=params, tags=tags)
    return SimpleNamespace(data=data, info=SimpleNamespace(run_id=name or f"run{seed}", status="FINISHED"))


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def table(seed: int) -> pd.DataFrame:
    """20 clips of 5 speakers; the wrong ones are of the first speakers."""
    rows = pd.DataFrame({"clip_id": [f"{seed}_{number}" for number in range(20)], "truth": "joy"})
    rows["predicted"] = ["fear" if number < WRONG[seed] else "joy" for number in range(20)]
    rows["speaker"] = [f"{seed}_s{number // 4}" for number in range(20)]
    return rows


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        group_intervals, "predictions", lambda _, runs: [table(int(one.data.tags["seed"])) for one in runs]
    )


def runs(file: config.ExperimentFile) -> dict[int, Any]:
    values = dict(zip(SEEDS, file.expected["test/accuracy"]["per_seed"], strict=True))
    return {seed: run(seed, values[seed], file.raw) for seed in SEEDS}


def test_a_score_is_recorded_with_its_interval_and_groups_or_the_reason(file, stored, monkeypatch) -> None:
    found = new_groups.of_runs(file, runs(file), None)
    one = found["test/accuracy"]
    assert one["score"] == pytest.approx(0.8) and one["low"] < 0.8 < one["high"]
    assert (one["clips"], one["groups"]) == (40, {"speaker": 10})
    few = [table(1).assign(speaker="s"), table(2).assign(speaker="t")]
    monkeypatch.setattr(group_intervals, "predictions", lambda *_: few)
    assert new_groups.of_runs(file, runs(file), None)["test/accuracy"] == {
        "score": 0.8,
        "clips": 40,
        "groups": {"speaker": 2},
        "reason": "only 2 values of speaker were tested; at least 5 are needed",
    }
    monkeypatch.setattr(group_intervals, "predictions", lambda *_: [])
    assert new_groups.of_runs(file, runs(file), None)["test/accuracy"] == {"reason": new_groups.NOT_BY_CLIP}


def test_the_runs_of_a_record_are_those_with_its_scores_to_the_bit(file) -> None:
    given = runs(file)
    newer = run(1, given[1].data.metrics["test/accuracy"] + 1e-12, file.raw)
    other = run(2, given[2].data.metrics["test/accuracy"], config.override(file.raw, {"training.epochs": 1}))
    assert new_groups.recorded_runs(file, [*given.values(), newer, other]) == given
    assert new_groups.recorded_runs(file, [given[1], other]) == {}


def test_intervals_are_written_without_training_and_all_else_is_left(
    file, stored, monkeypatch, tmp_path
) -> None:
    path = file.path
    text = path.read_text(encoding="utf-8")
    # on the file's own record, of which only the scores of these seeds are replaced
    own = config.load_experiment(str(path))
    monkeypatch.setattr(best.recorded_runs, "existing", lambda: SimpleNamespace(runs=lambda _: []))
    with pytest.raises(UserError, match="the runs that gave the recorded scores are not on this machine"):
        best.record_intervals(own)
    monkeypatch.setattr(best.new_groups, "recorded_runs", lambda *_: runs(file))
    monkeypatch.setattr(seen, "has_study", lambda _: True)
    monkeypatch.setattr(seen, "unseen_seeds", lambda *_: [2])
    best.record_intervals(own)
    written = config.load_experiment(str(path))
    assert written.expected["test/accuracy"]["new_groups"]["groups"] == {"speaker": 10}
    assert written.expected["recorded"]["unseen_seeds"] == [2]
    kept = [line for line in path.read_text("utf-8").splitlines() if line not in text.splitlines()]
    assert [line.split(" = ")[0] for line in kept] == ["unseen_seeds", "new_groups", "new_groups"]
    assert written.raw == own.raw
    best.record_intervals(written)  # again: in the same places
    assert config.load_experiment(str(path)).expected == written.expected


def test_a_changed_interval_is_found(file, stored) -> None:
    now = new_groups.of_runs(file, runs(file), None)
    record = {name: {"new_groups": dict(one)} for name, one in now.items()}
    assert new_groups.differences(record, now) == []
    record["test/accuracy"]["new_groups"]["low"] += 0.01
    assert new_groups.differences(record, now) == ["test/accuracy"]
    assert new_groups.differences({"test/accuracy": {}}, now) == []  # an older record has none


def test_best_fails_where_the_recorded_interval_is_not_that_of_the_scores(file, stored, monkeypatch) -> None:
    given, scores = runs(file), file.expected["test/accuracy"]
    monkeypatch.setattr(best, "Tracking", lambda: None)
    scores["new_groups"] = new_groups.of_runs(file, given, None)["test/accuracy"]
    got = {"test/accuracy": scores["per_seed"]}
    assert best._same_intervals(file, got, list(given.values()))
    scores["new_groups"]["high"] = 0.99
    assert not best._same_intervals(file, got, list(given.values()))
    other = {"test/accuracy": [0.1, 0.2]}  # equivalent scores have intervals of their own
    assert best._same_intervals(file, other, list(given.values()))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{score = 0.5, low = 0.4}", "either low and high or a reason"),
        ("{score = 0.5}", "either low and high or a reason"),
        ("{score = 0.5, low = 0.4, high = 0.6, clips = 0}", "clips"),
    ],
)
def test_a_broken_interval_is_refused(file, table: str, said: str) -> None:
    text = file.path.read_text(encoding="utf-8")
    head, score, rest = text.partition('[expected."test/accuracy"]\n')
    lines = [line for line in rest.splitlines(keepends=True) if not line.startswith("new_groups")]
    file.path.write_text(f"{head}{score}new_groups = {table}\n{''.join(lines)}", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        config.load_experiment(str(file.path))


def test_cells_name_what_an_interval_is_over(file) -> None:
    name = "test/accuracy"
    assert recorded.for_new_groups(file, name) == "not recorded" and recorded.groups(file, name) == ""
    file.expected[name]["new_groups"] = {
        "score": 0.8,
        "low": 0.7,
        "high": 0.9,
        "clips": 40,
        "groups": {"speaker": 10, "sentence": 12},
    }
    assert recorded.for_new_groups(file, name) == "0.8000 [0.7000, 0.9000]"
    assert recorded.groups(file, name) == "speaker: 10, sentence: 12"
    assert recorded.over_replicates(file, name).startswith("0.8000 [")
    assert recorded.over_replicates(file, name).endswith("] over 2 folds")
    file.expected["recorded"]["folds"] = [0, 0]
    assert recorded.over_replicates(file, name).endswith("] over 2 seeds")
    file.expected[name]["new_groups"] = {"score": 0.8, "clips": 40, "reason": "too few"}
    assert recorded.for_new_groups(file, name) == "0.8000 no interval"
    assert recorded.groups(file, name) == "too few"


@pytest.mark.parametrize(
    ("seeds", "cell"), [(None, ""), ([], "none"), ([1, 2], "all"), ([2], "0.7000 (seed 2)")]
)
def test_the_score_over_unseen_folds_stands_beside(file, seeds: list[int] | None, cell: str) -> None:
    if seeds is not None:
        file.expected["recorded"]["unseen_seeds"] = seeds
    assert recorded.unseen(file, "test/accuracy") == cell


def test_record_writes_intervals_and_unseen_seeds_at_once(tmp_path) -> None:
    path = tmp_path / "one.toml"
    source = Path(__file__).parents[2] / "experiments" / "quickstart.toml"
    path.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    file = config.load_experiment(str(path))
    seeds = list(file.settings.seeds)
    now = {"settings": "a", "settings_code": "b", "code": "c", "lock": "d", "data": {"table": "e"}}
    interval = {"score": 0.5, "low": 0.4, "high": 0.6, "clips": 9, "groups": {"speaker": 5}}
    origin.write(
        file,
        {"test/phone_error_rate": [0.5] * len(seeds)},
        [1.0],
        now,
        cpu_seconds=1,
        threads=1,
        device="CPU",
        new_groups={"test/phone_error_rate": interval},
        unseen=[],
    )
    expected = config.load_experiment(str(path)).expected
    assert expected["recorded"]["unseen_seeds"] == []
    assert expected["test/phone_error_rate"]["new_groups"] == interval
    assert "new_groups = {score = 0.5, low = 0.4, high = 0.6, clips = 9, groups = {speaker = 5}}" in (
        path.read_text("utf-8")
    )
