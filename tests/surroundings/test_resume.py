"""A training that is killed in the middle of an epoch, and again when a checkpoint is written, ends with the
bits of one that was not.

Here the kills are exceptions in this process, so that every method that keeps a state of its own is seen;
`test_same_bits` kills real children of every family.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.nn import fit as fitting
from tests.surroundings.families import raw_settings, sounds

pytestmark = pytest.mark.slow
FINE_TUNED = {"fine_tune__blocks": 1, "fine_tune__from_epoch": 1, "fine_tune__rate_share": 0.5}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    # those that keep more than what was used last; of the others `test_balancing` reads the state from a file
    **{
        f"balancing {method}": ("multitask", {"balancing__method": method})
        for method in ("dynamic_weight_average", "gradnorm", "random", "uncertainty")
    },
    # of three: their order counts
    "balancing pcgrad": (
        "multitask",
        {"balancing__method": "pcgrad", "coupling__agreement__weight": 0.5},
    ),
    "labels for some clips": (
        "multitask",
        {"heads__activity__labelled_share": 0.5, "coupling__agreement__weight": 0.5},
    ),
    "transformer": ("multitask", {"encoder__kind": "transformer"}),
    "noise and shifted bands": ("multitask", {"encoder__kind": "harmonic", "encoder__pool_frames": [2, 2]}),
    "mixup": ("transfer", {"head__hidden": []}),
    "mixup of patches": ("transfer", {"head__loss": "patch"}),
    "fine-tuning": ("transfer", FINE_TUNED),
    "fine-tuning with mixup": (
        "transfer",
        FINE_TUNED | {"head__mixup_alpha": 0.4, "fine_tune__from_epoch": 0},
    ),
    "modality dropout": ("fusion", {}),
    "weighted join": ("fusion", {"join__kind": "weighted", "modality_dropout": 0.5}),
    "drawn windows": ("mil", {}),
    # of a loss that falls: the rate is reduced every epoch
    "schedule plateau": (
        "mil",
        {"training__monitor_direction": "maximize"},
    ),
    "schedule constant": ("mil", {"optimizer__schedule": "constant", "optimizer__decay": 0.1}),
    "schedule cosine": (
        "mil",
        {"optimizer__schedule": "cosine", "optimizer__name": "adamw", "optimizer__weight_decay": 0.1},
    ),
    "sgd": (
        "mil",
        {
            "optimizer__name": "sgd",
            "optimizer__momentum": 0.9,
            "optimizer__nesterov": True,
            "optimizer__clipnorm": 1.0,
        },
    ),
    "rmsprop": (
        "mil",
        {"optimizer__name": "rmsprop", "optimizer__momentum": 0.9, "optimizer__global_clipnorm": 1.0},
    ),
}


# of what only differs in its formula, or is part of another variant, one is in `make test` and the rest in `make long`
LONG = {
    "balancing dynamic_weight_average",
    "balancing random",
    "balancing uncertainty",
    "labels for some clips",
    "transformer",
    "noise and shifted bands",
    "fine-tuning",
    "weighted join",
    "schedule constant",
    "schedule plateau",
    "rmsprop",
}


class Killed(BaseException):
    """Nothing of the program catches it."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
        yield sounds(folder / "sounds")


@pytest.fixture(autouse=True)
def eagerly():
    """Steps as they are written, without the seconds that tracing takes; what is computed is the same."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trained(raw: dict[str, Any], folder: Path) -> Any:
    model, settings = config.family("model", raw["model"]), config.settings_of(raw, "test")
    prepared = model.prepare(settings, 1)
    fitting.seed_everything(1)
    return model.train(settings, prepared, 1, lambda epoch, scores: True, fitting.Checkpoint(folder))


def killed(raw: dict[str, Any], folder: Path, place: str, epoch: int) -> None:
    """Train until the second step of an epoch, or until its checkpoint is written."""
    rate, save = fitting.learning_rate, fitting.Checkpoint.save
    steps: list[int] = []

    def in_a_step(*arguments: Any, **options: Any) -> float:
        steps.append(options["epoch"])
        if steps.count(epoch) == 2:
            raise Killed
        return rate(*arguments, **options)

    def after_a_checkpoint(self: Any, arrays: Any, state: Any) -> None:
        save(self, arrays, state)
        if len(state["history"]) == epoch + 1:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        if place == "step":
            patch.setattr(fitting, "learning_rate", in_a_step)
        else:
            patch.setattr(fitting.Checkpoint, "save", after_a_checkpoint)
        with pytest.raises(Killed):
            trained(raw, folder)


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Of the last checkpoint: all variables of the model and the optimizer, and the best weights."""
    found = fitting.Checkpoint(folder).load()
    assert found
    return found[0]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in VARIANTS]
)
def test_a_killed_training_ends_with_the_same_bits(clips, name, tmp_path) -> None:
    family, changes = VARIANTS[name]
    raw = raw_settings(family, clips, training__epochs=3, training__batch_size=9, **changes)
    whole = trained(raw, tmp_path / "whole")
    for place, finished in (("step", 1), ("checkpoint", 2)):
        killed(raw, tmp_path / "cut", place, 1)
        assert len(fitting.Checkpoint(tmp_path / "cut").load()[1]["history"]) == finished
    again = trained(raw, tmp_path / "cut")
    assert again.fit.history == whole.fit.history and again.fit.best_epoch == whole.fit.best_epoch
    for one, other in zip(whole.model.variables, again.model.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path
    kept, expected = arrays(tmp_path / "cut"), arrays(tmp_path / "whole")
    assert (
        kept.keys() == expected.keys()
        and [key for key in kept if not np.array_equal(kept[key], expected[key])] == []
    )
