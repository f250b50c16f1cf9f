"""What the CTC network is trained on: variants, fragments, orders of clips; and its losses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.data import augmentation
from audiomtl.families.ctc import model, training
from audiomtl.families.ctc.network import recurrent_network, reduced
from audiomtl.nn import ctc
from tests.surroundings.families import raw_settings, sounds

AUGMENTATION = {
    "spec_augment": {
        "probability": 1.0,
        "frequency_masks": 1,
        "frequency_share": 0.2,
        "time_masks": 1,
        "time_seconds": 0.1,
        "time_share": 0.1,
    },
    "speed": {"probability": 0.7, "factors": [0.8, 1.25]},
    "label_smoothing": 0.1,
}
OWN: dict[str, Any] = {
    "data": {
        "dataset": "manifest",
        "on_bad": "error",
        "groups": ["source"],
    },
    "protocol": {"kind": "folds", "column": "fold", "leaky": False},
    "network__objective": "ctc",
    "network__frames_weight": 0.5,
    "augmentation": AUGMENTATION,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = sounds(tmp_path_factory.mktemp("training") / "sounds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def settings(folder: Path) -> Any:
    raw = raw_settings("ctc", folder)
    raw["data"] = OWN["data"] | {"table": str(folder / "clips.parquet")}
    raw["protocol"] = raw["protocol"] | OWN["protocol"]
    changes = {
        path.replace("__", "."): value for path, value in OWN.items() if path not in ("data", "protocol")
    }
    return config.settings_of(config.override(raw, changes), "ctc")


@pytest.fixture(scope="module")
def prepared(settings: Any) -> Any:
    return model.prepare(settings, 1)


def test_times_of_labels_move_with_the_speed(settings, prepared):
    assert not any(one.variants for side in ("validation", "test") for one in prepared.examples[side])
    for one in prepared.examples["train"]:
        assert {variant.factor for variant in one.variants} == {0.8, 1.25}
        for variant, other in one.variants.items():
            assert len(other.frames) == pytest.approx(len(one.frames) / variant.factor, abs=2)
            assert other.starts == pytest.approx(one.starts / variant.factor)
            assert np.array_equal(other.labels, one.labels)
            at = np.flatnonzero(np.diff(other.frame_labels)) * settings.features.seconds(
                settings.network.time_reduction
            )
            assert at == pytest.approx(other.starts[1:], abs=0.04)


def test_batches_are_those_of_seed_and_epoch_and_only_train_is_drawn(settings, prepared, monkeypatch):
    drawn = set()
    kept = augmentation.generator
    monkeypatch.setattr(augmentation, "generator", lambda *where: drawn.add(where[2]) or kept(*where))

    def of(seed: int, epoch: int) -> list[dict[str, Any]]:
        return list(
            training.batches(prepared.examples["train"], prepared.known.scaler, settings, seed)(epoch)
        )

    def frames(batches: list[dict[str, Any]]) -> dict[str, bytes]:
        return {
            name: row[:length].tobytes()
            for batch in batches
            for name, row, length in zip(batch["clip_ids"], batch["frames"], batch["lengths"], strict=True)
        }

    once = frames(of(1, 0))
    assert once == frames(of(1, 0)) and drawn == {one.clip_id for one in prepared.examples["train"]}
    for seed, epoch in ((2, 0), (1, 1)):
        assert sum(once[name] == other for name, other in frames(of(seed, epoch)).items()) < 3
    drawn.clear()
    fitted = model._fitted(recurrent_network(16, 5, units=(4,)), settings, prepared.known)
    for side in ("validation", "test"):
        model.outputs(fitted, prepared.examples[side][:2])
    assert not drawn


def test_short_clips_first_and_then_as_always(settings, prepared):
    short = settings.model_copy(update={"curriculum": settings.curriculum or None, "augmentation": None})
    raw = config.override(
        settings.model_dump(mode="json", exclude_none=True),
        {"curriculum": {"kind": "short_first", "epochs": 1}},
    )
    first = config.settings_of(raw, "short first").model_copy(update={"augmentation": None})

    def lengths(chosen: Any, epoch: int) -> list[int]:
        batches = training.batches(prepared.examples["train"], prepared.known.scaler, chosen, 1)(epoch)
        return [int(length) for batch in batches for length in batch["lengths"]]

    assert lengths(first, 0) == sorted(lengths(short, 0)) != lengths(short, 0)
    assert lengths(first, 1) == lengths(short, 1)


def test_fragments_are_cut_at_onsets_and_lose_nothing(settings, prepared):
    step = settings.features.seconds(settings.network.time_reduction)
    cut = 0
    for one in prepared.examples["train"]:
        pieces = training.fragments(one, 0.1, settings)
        cut += len(pieces) > 1
        assert np.concatenate([piece.frames for piece in pieces]).shape == one.frames.shape
        assert np.array_equal(np.concatenate([piece.labels for piece in pieces]), one.labels)
        assert np.array_equal(np.concatenate([piece.frame_labels for piece in pieces]), one.frame_labels)
        assert sum((piece.phones for piece in pieces), ()) == one.phones
        for piece in pieces:
            n_steps = reduced(len(piece.frames), settings.network.time_reduction)
            assert len(piece.frame_labels) == n_steps and ctc.feasible(n_steps, piece.labels)
            assert len(pieces) == 1 or len(piece.frames) * settings.features.seconds_per_frame > 0.1 - step
            assert piece.starts[0] <= step and set(piece.variants) <= set(one.variants)
    assert cut > 5
    untimed = prepared.examples["train"][0].__class__(
        "a", "", one.frames, one.labels, np.zeros(0, np.int32), one.phones, np.zeros(0)
    )
    assert training.fragments(untimed, 0.1, settings) == [untimed]


def test_the_frame_wise_loss_is_added_on_timed_clips_alone(settings, prepared):
    tf.keras.utils.set_random_seed(0)
    network = recurrent_network(
        16,
        len(prepared.known.vocabulary) + 1,
        units=(4,),
        convolution_filters=4,
        convolution_frames=3,
        time_reduction=settings.network.time_reduction,
    )
    plain = settings.model_copy(update={"augmentation": None})
    alone = plain.model_copy(update={"network": plain.network.model_copy(update={"frames_weight": 0.0})})
    learned, losses = training.objectives(network, plain, prepared.known.vocabulary)
    same, without = training.objectives(network, alone, prepared.known.vocabulary)
    assert same is network and len(learned.weights) == len(network.weights) + 2
    [batch, *_] = training.batches(prepared.examples["train"], prepared.known.scaler, plain, 1)(0)
    tensors = {name: tf.convert_to_tensor(value) for name, value in batch.items() if name != "clip_ids"}
    with_times, ctc_alone = float(losses["ctc"](learned, tensors)), float(without["ctc"](network, tensors))
    outputs = learned([tensors["frames"], tensors["lengths"]], training=True)["frames"]
    logs = tf.nn.log_softmax(outputs).numpy()
    expected = 0.0
    for row, labels, length in zip(logs, batch["frame_labels"], batch["lengths"], strict=True):
        for place in range(reduced(int(length), settings.network.time_reduction)):
            if labels[place]:
                expected -= row[place, labels[place] - 1]
    assert with_times == pytest.approx(ctc_alone + 0.5 * expected / len(logs), rel=1e-4)
    tensors["frame_labels"] = tf.zeros_like(tensors["frame_labels"])
    assert float(losses["ctc"](learned, tensors)) == pytest.approx(ctc_alone, rel=1e-6)


def test_smoothing_pulls_towards_all_classes():
    logits = tf.constant([[[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [9.0, 9.0, 9.0]]])
    even = tf.zeros_like(logits)
    lengths = tf.constant([2])
    assert float(training._uniform(even, lengths)[0]) == pytest.approx(2 * np.log(3))
    assert float(training._uniform(logits, lengths)[0]) > 2 * np.log(3)
