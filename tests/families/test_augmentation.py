"""Augmentation in every family that has it: train clips alone, every kind, and a step that learns from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data import augmentation
from audiomtl.errors import UserError
from audiomtl.nn.fit import seed_everything
from tests.small_multitask import HEAD
from tests.surroundings.families import raw_settings, sounds

SEQUENCES = {
    "spec_augment": {
        "probability": 1.0,
        "frequency_masks": 1,
        "frequency_share": 0.2,
        "time_masks": 1,
        "time_seconds": 0.1,
        "time_share": 0.1,
    },
    "speed": {"probability": 0.7, "factors": [0.9, 1.2]},
    "vtlp": {"probability": 0.5, "warp": 0.1},
    "gain": {"probability": 0.5, "decibels": 6.0},
    "noise": {"probability": 0.5, "lowest_db": 5.0, "highest_db": 20.0},
    "room": {"probability": 0.5, "rooms": 1, "longest_seconds": 0.3},
    "label_smoothing": 0.1,
}
CLIPS = SEQUENCES | {
    "time_roll": {"probability": 0.5},
    "mixup": {"probability": 0.9, "alpha": 0.4},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mil": ("mil", {"augmentation": CLIPS}),
    "mil windows, balanced": (
        "mil",
        {
            "augmentation": CLIPS,
            "pooling__name": "mean",
            "network__loss": "window",
            "class_weights": "balanced",
        },
    ),
    "mil tags": ("mil", {"augmentation": CLIPS, "data__label": "tags", "data__labels": "several"}),
    "fusion": ("fusion", {"augmentation": CLIPS, "class_weights": "balanced"}),
    "multitask of clips": (
        "multitask",
        {"augmentation": CLIPS, "heads": {"what": {**HEAD, "kind": "clip_class"}}},
    ),
    "multitask in time": (
        "multitask",
        {
            "augmentation": SEQUENCES,
            "heads": {
                "what": {**HEAD, "kind": "clip_class"},
                "when": {**HEAD, "kind": "segments"},
                "phones": {**HEAD, "kind": "phones"},
            },
        },
    ),
    "ctc": ("ctc", {"augmentation": SEQUENCES, "network__objective": "ctc"}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = sounds(tmp_path_factory.mktemp("augmentation") / "sounds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_CACHE", str(made / "cache"))
        yield made


def settings_of(case: str, folder: Path) -> Any:
    family, changes = CASES[case]
    small = {"training__epochs": 1}
    if family == "multitask":
        small |= {"coupling": {}, "scores": {"loss": "minimize"}, "decoding": {}}
    return config.settings_of(raw_settings(family, folder, **changes, **small), case)


@pytest.mark.parametrize("case", CASES)
def test_train_clips_alone_are_changed(case, folder, monkeypatch):
    family = config.family("model", CASES[case][0])
    settings = settings_of(case, folder)
    drawn: set[str] = set()
    kept = augmentation.generator
    monkeypatch.setattr(augmentation, "generator", lambda *where: drawn.add(where[2]) or kept(*where))
    seed_everything(1)
    prepared = family.prepare(settings, 1)
    assert not drawn
    fitted = family.train(settings, prepared, 1, lambda epoch, scores: True, None)
    train = {one.clip_id for one in prepared.examples["train"]}
    assert train <= drawn and np.isfinite(fitted.fit.history[0]["train/loss"])
    # the rest are the names of whole batches, from which mixup draws its pairs
    assert all(set(name.split(" ")) <= train for name in drawn)
    drawn.clear()
    plain = settings.model_copy(update={"augmentation": None})
    for side in ("validation", "test"):
        assert not any(one.variants for one in prepared.examples[side])
        scores = family.evaluate(fitted, family.outputs(fitted, prepared.examples[side]))
        without = family.prepare(plain, 1).examples[side]
        assert scores == family.evaluate(fitted, family.outputs(fitted, without))
    assert not drawn


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("ctc", {"augmentation.mixup": CLIPS["mixup"]}, "augmentation.mixup: no such setting"),
        (
            "multitask in time",
            {"augmentation.time_roll": CLIPS["time_roll"]},
            "time_roll: the labels of heads.phones",
        ),
        ("multitask in time", {"augmentation.mixup": CLIPS["mixup"]}, "mixup: the labels of heads.phones"),
        (
            "multitask of clips",
            {"heads": {"tune": {**HEAD, "kind": "melody"}}},
            "augmentation.speed: the labels of heads.tune .kind melody. would be wrong",
        ),
        ("mil", {"network.window": "embedding"}, "augmentation.spec_augment changes sounds .* only mixup"),
        ("mil", {"features.kind": "mfcc", "features.coefficients": 13}, 'augmentation.vtlp .* "mfcc"'),
    ],
)
def test_what_would_make_labels_wrong_is_refused(case, changes, message, folder):
    family, own = CASES[case]
    raw = raw_settings(family, folder, **own)
    if family == "multitask":
        raw |= {"coupling": {}, "scores": {"loss": "minimize"}, "decoding": {}}
    with pytest.raises(UserError, match=message) as caught:
        config.settings_of(config.override(raw, changes), case)
    assert "\n" not in str(caught.value)


def test_a_clip_that_no_longer_fits_keeps_its_own_sound(folder, monkeypatch) -> None:
    """What is too short for its labels when it is played faster is learned as it is."""
    from audiomtl.families.multitask import augment, examples

    settings, kept = settings_of("multitask in time", folder), augment._faster
    short: list[str] = []

    def faster(row: Any, factor: float, own: Any) -> Any:
        if factor == 1.2 and row["clip_id"] == (short or [row["clip_id"]])[0]:
            short[:] = [row["clip_id"]]
            return {**row, "path": None}  # as good as a text that is too long: its example is refused
        return kept(row, factor, own)

    def example(row: Any, *others: Any) -> Any:
        if row["path"] is None:
            raise UserError("too short")
        return made(row, *others)

    made = examples.example
    monkeypatch.setattr(augment, "_faster", faster)
    monkeypatch.setattr(examples, "example", example)
    prepared = config.family("model", "multitask").prepare(settings, 1)
    factors = {
        one.clip_id: sorted({variant.factor for variant in one.variants} - {1.0})
        for one in prepared.examples["train"]
    }
    assert factors.pop(short[0]) == [0.9] and set(map(tuple, factors.values())) == {(0.9, 1.2)}
