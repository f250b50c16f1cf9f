"""A study of decoding: trials read one model's outputs, are kept in one piece, and come back the same."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.search import decode_only, promote
from audiomtl.harness.search.proposals import best_trial, study_name
from audiomtl.harness.search.storage import open_storage

PROJECT = Path(__file__).parents[3]
TABLE = """
experiment = "{experiment}"
description = "Numbers of the beam."
decode_only = true
metric = "validation/phone_error_rate"
direction = "minimize"
trials = 60
sampler_seed = 1

[search]
decoding.language_weight = {{ low = 0.0, high = 2.0 }}
decoding.insertion_bonus = {{ low = -2.0, high = 2.0 }}
"""
BEAM = """
[decoding]
method = "beam"
beam_width = 8
language_order = 2
language_weight = 0.0   # of the bigram
insertion_bonus = 0.0
"""


def score(raw: Mapping[str, Any]) -> dict[str, float]:
    """A valley with its bottom at 0.8 and 0.5; a weight above 1.9 is refused."""
    numbers = raw["decoding"]
    if numbers["language_weight"] > 1.9:
        raise UserError("language_weight: too large")
    rate = (numbers["language_weight"] - 0.8) ** 2 + (numbers["insertion_bonus"] - 0.5) ** 2
    return {"validation/phone_error_rate": rate}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads the study after some texts in it were replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path / "runs"))
    for name in ("MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("experiments", "studies"):
        Path(folder).mkdir()
    text = (PROJECT / "experiments" / "quickstart.toml").read_text()
    text = text[: text.index("[expected")] if "[expected" in text else text
    Path("experiments/small.toml").write_text(f"{text}\n{BEAM}")
    monkeypatch.setattr(decode_only, "_trained", lambda *_, **__: SimpleNamespace())
    monkeypatch.setattr(decode_only, "_scorer", lambda *_: score)

    def made(changes: Mapping[str, str] = {}) -> config.StudyFile:
        table = TABLE.format(experiment="small")
        for old, new in changes.items():
            assert old in table
            table = table.replace(old, new)
        Path("studies/beam.toml").write_text(table)
        return config.load_study("beam")

    return made


def test_all_trials_are_one_run_and_the_best_is_promoted(load: Any) -> None:
    file = load()
    decode_only.run(file, slots=1, threads=1)
    _, scores, values = best_trial(file)
    assert scores["validation/phone_error_rate"] < 0.1
    tracking = Tracking()
    [run] = tracking.runs("small", "tags.kind = 'study'")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["best/validation/phone_error_rate"] == scores["validation/phone_error_rate"]
    table = pd.read_csv(tracking.client.download_artifacts(run.info.run_id, "trials.csv"))
    assert len(table) == 60 and table["value"].min() == pytest.approx(scores["validation/phone_error_rate"])
    own = table.iloc[0]  # the experiment's own numbers
    assert (own["params_decoding.language_weight"], own["params_decoding.insertion_bonus"]) == (0.0, 0.0)
    assert set(table["state"]) <= {"COMPLETE", "FAIL"}  # what is refused is one failed trial
    done = promote.promote(file, values)
    assert set(done.changed) == set(file.study.search) and "# of the bigram" in done.path.read_text()
    assert config.load_study("beam").identity == file.identity


def test_a_stopped_study_begins_anew_and_ends_the_same(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file, calls = load({"trials = 60": "trials = 20"}), 0

    def interrupted(raw: Mapping[str, Any]) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return score(raw)

    monkeypatch.setattr(decode_only, "_scorer", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_only.run(file, slots=1, threads=1)
    kept = optuna.load_study(study_name=study_name(file), storage=open_storage())
    assert not kept.get_trials()
    decode_only.run(file, slots=1, threads=1)
    first = [trial.params for trial in kept.get_trials()]
    more = load({"trials = 60": "trials = 30"})
    assert more.identity == file.identity
    decode_only.run(more, slots=1, threads=1)
    assert [trial.params for trial in kept.get_trials()][:20] == first and len(kept.get_trials()) == 30
    asked = calls
    decode_only.run(more, slots=1, threads=1)  # nothing is left to do
    assert calls == asked


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"decoding.language_weight =": "optimizer.learning_rate ="},
            "decode_only = true sweeps settings of decoding alone, but search has optimizer.learning_rate",
        ),
        (
            {"trials = 60": 'trials = 60\njudge = {{ over = "one" }}'.replace("{{", "{").replace("}}", "}")},
            "remove judge",
        ),
        ({"phone_error_rate": "loss"}, '"validation/loss" is not a score that decoding changes'),
    ],
)
def test_what_is_no_study_of_decoding_is_refused(load: Any, changes: Any, message: str) -> None:
    with pytest.raises(UserError) as refused:
        decode_only.run(load(changes), slots=1, threads=1)
    assert message in str(refused.value)


def test_other_studies_keep_their_identity() -> None:
    told = config.load_study(str(PROJECT / "studies" / "quickstart.toml")).told()
    assert "decode_only" not in told
