"""The bias of a study's selection, from the predictions of its trials."""

from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from audiomtl.harness.search import selection
from audiomtl.metrics.selection import Corrected

METRIC = "validation/error_rate"


def study(number: int) -> optuna.Study:
    found = optuna.create_study()
    for _ in range(number):
        found.add_trial(optuna.trial.create_trial(value=0.5))
    found.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED))
    return found


def table(seed: int, groups: int = 24, first: int = 0) -> pd.DataFrame:
    """Four clips of each source, of which half are answered wrongly, whatever the trial."""
    sources = [f"source_{number:02}" for number in range(first, first + groups) for _ in range(4)]
    said = np.random.default_rng(seed).choice(["a", "b"], len(sources))
    return pd.DataFrame(
        {
            "clip_id": [f"clip_{i}" for i in range(len(sources))],
            "source": sources,
            "truth": "a",
            "predicted": said,
        }
    )


def corrected(study_file, monkeypatch, tables: list, metric: str = METRIC):
    file = study_file({})
    monkeypatch.setattr(selection, "_predictions", lambda tracking, trial, run: tables[trial.number])
    tracking = SimpleNamespace(runs=lambda *_: [])
    return selection.corrected(tracking, file, study(len(tables)), metric)


def test_the_best_of_ten_that_guess_is_corrected_towards_guessing(study_file, monkeypatch):
    found = corrected(study_file, monkeypatch, [table(seed) for seed in range(10)])
    assert isinstance(found, Corrected)
    assert found.apparent < 0.44 < found.corrected < 0.56


REASONS = {
    "one trial": ([table(0)], METRIC, "fewer than two trials are complete"),
    "few groups": (
        [table(0, 19), table(1, 19)],
        METRIC,
        "19 values of source validate, at least 20 are needed",
    ),
    "no predictions": ([table(0), None], METRIC, "trial 1 has no predictions of clips"),
    "other clips": ([table(0), table(1, first=1)], METRIC, "trial 1 has answered other clips"),
    "a score over events": ([table(0), table(1)], "validation/psds", "does not follow from predictions"),
}


@pytest.mark.parametrize("case", REASONS)
def test_where_it_cannot_be_estimated_the_reason_is_told(case, study_file, monkeypatch):
    tables, metric, reason = REASONS[case]
    found = corrected(study_file, monkeypatch, tables, metric)
    assert isinstance(found, str) and reason in found


def test_a_judged_trial_has_the_predictions_of_all_its_members():
    tables = {"run 0": table(0, 2), "source 1": table(1, 2, first=2)}
    kept = {
        "member 0": {"run": "run 0", "source": ""},
        "member 1": {"run": "run 1", "source": "source 1"},  # copied from another run
        "after 1": {"decision": "go on"},
    }

    def download(run: str, name: str, folder: str) -> str:
        path = f"{folder}/{name}"
        tables[run].to_parquet(path)
        return path

    client = SimpleNamespace(
        list_artifacts=lambda run: [SimpleNamespace(path=selection.PREDICTIONS)], download_artifacts=download
    )
    trial = SimpleNamespace(user_attrs=kept)
    found = selection._predictions(SimpleNamespace(client=client), trial, None)
    assert sorted(found["source"].unique()) == [f"source_{number:02}" for number in range(4)]
