"""Best settings trained on validation clips as well: which settings, how many epochs, and what is scored."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness import refit


def changed(name: str, **values: Any) -> config.ExperimentFile:
    file = config.load_experiment(name)
    raw = config.override(file.raw, {path.replace("__", "."): value for path, value in values.items()})
    return replace(file, raw=raw, settings=config.settings_of(raw, name), expected={})


def best(*epochs: int) -> dict[int, Any]:
    return {
        seed: SimpleNamespace(data=SimpleNamespace(metrics={"best_epoch": epoch}))
        for seed, epoch in enumerate(epochs, start=1)
    }


@pytest.mark.parametrize(
    ("values", "of_best", "train_on", "epochs"),
    [
        ({}, best(7, 12, 9), "train_and_validation", 9),
        ({"refit": {"train_on": "all"}}, best(4), "all", 4),
        ({"refit": {"epochs": 5}}, {}, "train_and_validation", 5),
        ({"training__keep": "last", "training__patience": 0}, {}, "train_and_validation", None),
    ],
)
def test_epochs_are_fixed_before(values, of_best, train_on, epochs):
    file = changed("mil_esc10", optimizer__schedule="constant", **values)
    raw, text = refit.settings_of(file, of_best)
    wanted = epochs or file.settings.training.epochs
    assert raw["protocol"]["train_on"] == train_on and raw["training"]["epochs"] == wanted
    assert raw["training"]["keep"] == "last" and f"{wanted} epochs" in text
    assert ("no score" in text) == (train_on == "all")


def test_nothing_says_after_how_many_epochs_to_stop():
    with pytest.raises(UserError, match=r"run `audiomtl best mil_esc10` first, or set refit\.epochs"):
        refit.settings_of(changed("mil_esc10", optimizer__schedule="constant"), {})


def test_what_is_trained_on_chooses_no_epoch():
    with pytest.raises(UserError, match=r'training\.keep = "last", but got "best"'):
        changed("mil_esc10", protocol__train_on="all")
    with pytest.raises(UserError, match=r'patience must be 0 with keep = "last"'):
        changed("mil_esc10", training__keep="last", training__patience=3)


def test_what_is_trained_on_chooses_no_number_of_the_decoding():
    with pytest.raises(UserError, match=r"cannot choose decoding.language_weight: give one number"):
        changed("ctc_german", protocol__train_on="all", training__keep="last")


def test_numbers_of_the_decoding_are_those_of_the_best_run():
    chosen = {"decoding.language_weight": 0.4, "decoding.insertion_bonus": 1.5}
    raw, _ = refit.settings_of(changed("ctc_german"), best(3), chosen)
    assert (raw["decoding"]["language_weight"], raw["decoding"]["insertion_bonus"]) == (0.4, 1.5)
    with pytest.raises(UserError, match=r"seed 2 says which number of decoding.language_weight"):
        refit._numbers(changed("ctc_german"), best(3), 2, None)  # type: ignore[arg-type]


def test_a_cosine_ends_with_the_last_epoch():
    file = changed("ctc_german")
    assert refit.settings_of(file, best(3))[0]["training"]["epochs"] == file.settings.training.epochs
    raw, _ = refit.settings_of(changed("ctc_german", optimizer__schedule="constant"), best(3))
    assert raw["training"]["epochs"] == 3


@pytest.mark.slow
def test_a_refit_is_scored_on_test_alone(project) -> None:
    assert "run `audiomtl best tiny` first" in project.run("best", "tiny", "--refit", code=2)
    project.run("best", "tiny", "--slots", "2")
    said = project.run("best", "tiny", "--refit", "--slots", "2")
    assert "test/error_rate" in said and "train and validation splits" in said
    before, after = (project.tracking().runs("tiny", f"tags.kind = '{kind}'") for kind in ("best", "refit"))
    assert len(before) == len(after) == 2
    for one, other in zip(before, after, strict=True):
        assert "test/error_rate" in other.data.metrics
        assert "best/validation/error_rate" in one.data.metrics.keys() - other.data.metrics.keys()
    assert "already finished" in project.run("best", "tiny", "--refit")
