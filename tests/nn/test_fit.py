"""The training loop, on a model small enough to train in a moment."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn import fit as fitting
from audiomtl.settings.shared import Optimizer, Training

OPTIMIZER = Optimizer(
    name="sgd",
    learning_rate=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=0.0,
    decay=0.0,
    clipnorm=1.0,
    global_clipnorm=0.0,
    schedule="constant",
    plateau_factor=0.5,
    plateau_patience=1,
)
TRAINING = Training(
    epochs=4, batch_size=4, monitor="validation/loss", monitor_direction="minimize", patience=0
)


def _fit(
    *,
    scores=None,
    on_epoch=lambda epoch, scores: True,
    checkpoint=None,
    training=TRAINING,
    optimizer=OPTIMIZER,
    scale=1.0,
    **options,
):
    """Train one weight towards 1; returns the model and the fit."""
    fitting.seed_everything(0)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    seen = []

    def batches(epoch: int):
        for step in range(3):
            yield {"clip_ids": [f"clip{step}"], "x": np.ones((4, 1), np.float32) * scale}

    def loss(model, batch):
        return tf.reduce_mean(tf.square(model(batch["x"], training=True) - 1.0))

    def score(epoch: int) -> dict[str, float]:
        seen.append(float(model.weights[0].numpy()[0, 0]))
        return {"validation/loss": scores[epoch] if scores else abs(1.0 - seen[-1])}

    result = fitting.fit(
        model,
        optimizer=optimizer,
        training=training,
        batches=batches,
        loss=lambda epoch: loss,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        **options,
    )
    return model, result, seen


def test_the_best_epochs_weights_come_back() -> None:
    model, result, seen = _fit(scores=[3.0, 1.0, 2.0, 1.0])
    assert (result.best_epoch, result.best_score, len(result.history)) == (1, 1.0, 4)  # of equals the first
    assert float(model.weights[0].numpy()[0, 0]) == seen[1]


def test_only_epochs_from_monitor_from_on_may_be_best() -> None:
    assert _fit(scores=[0.1, 0.2, 0.9, 0.8], monitor_from=2)[1].best_epoch == 3


def test_training_stops_when_told_and_when_patience_ends() -> None:
    _, told, _ = _fit(on_epoch=lambda epoch, scores: epoch < 1)
    assert told.stopped and len(told.history) == 2
    _, patient, _ = _fit(scores=[1.0, 2.0, 2.0, 0.5], training=TRAINING.model_copy(update={"patience": 2}))
    assert not patient.stopped and len(patient.history) == 3


def test_a_loss_that_is_not_finite_ends_the_training_and_names_the_step() -> None:
    with pytest.raises(fitting.TrainingFailed, match=r"loss is (inf|nan) at epoch 0, step 0 \(clips clip0"):
        _fit(scale=np.nan)


def test_a_monitor_that_the_model_lacks_is_named() -> None:
    with pytest.raises(
        fitting.TrainingFailed,
        match=r'"validation/other" is not a score of this model; available: .*validation/loss',
    ):
        _fit(training=TRAINING.model_copy(update={"monitor": "validation/other"}))


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_a_training_that_was_cut_off_goes_on_exactly(tmp_path, stop_after: int) -> None:
    optimizer = OPTIMIZER.model_copy(update={"schedule": "plateau"})
    scores = [1.0, 2.0, 3.0, 0.5]

    class Gone(Exception):
        pass

    def leave(epoch: int, scores: dict[str, float]) -> bool:
        if epoch == stop_after:
            raise Gone
        return True

    whole, expected, _ = _fit(scores=scores, optimizer=optimizer)
    checkpoint = fitting.Checkpoint(tmp_path)
    with pytest.raises(Gone):
        _fit(scores=scores, optimizer=optimizer, checkpoint=checkpoint, on_epoch=leave)
    epochs = []
    again, result, _ = _fit(
        scores=scores,
        optimizer=optimizer,
        checkpoint=checkpoint,
        on_epoch=lambda epoch, scores: epochs.append(epoch) or True,
    )
    assert epochs == [0, 1, 2, 3]  # what was done before is told again
    assert result.history == expected.history and result.best_epoch == expected.best_epoch
    assert np.array_equal(again.weights[0].numpy(), whole.weights[0].numpy())


def test_a_checkpoint_that_cannot_be_read_starts_over(tmp_path, capsys) -> None:
    checkpoint = fitting.Checkpoint(tmp_path)
    _fit(checkpoint=checkpoint)
    data = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(data[: len(data) // 2])
    _, result, _ = _fit(checkpoint=checkpoint)
    assert len(result.history) == 4 and "restarts from the beginning" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["model_0", "optimizer_1", "best_0"])
def test_a_checkpoint_that_does_not_fit_starts_over(tmp_path, capsys, lost: str) -> None:
    checkpoint = fitting.Checkpoint(tmp_path)
    _fit(checkpoint=checkpoint)
    for change in ("missing", "another shape"):
        arrays, state = checkpoint.load()
        if change == "missing":
            del arrays[lost]
        else:
            arrays[lost] = np.zeros((7, 7), np.float32)
        checkpoint.save(arrays, state)
        _, result, _ = _fit(checkpoint=checkpoint)
        said = capsys.readouterr().out
        assert len(result.history) == 4 and f"has no {lost} that fits; the training restarts" in said


@pytest.mark.parametrize(
    ("changes", "place", "rate"),
    [
        ({}, {"epoch": 3, "step": 30, "reductions": 2}, 0.1),
        ({"decay": 0.1}, {"epoch": 0, "step": 10, "reductions": 0}, 0.1 / (1 + 0.1 * 10)),
        # half way: (1 + cos(pi / 2)) / 2
        (
            {"schedule": "cosine"},
            {"epoch": 5, "step": 0, "reductions": 0},
            0.05,
        ),
        ({"schedule": "plateau"}, {"epoch": 0, "step": 0, "reductions": 2}, 0.1 * 0.5**2),
    ],
)
def test_learning_rates(changes: dict, place: dict, rate: float) -> None:
    assert fitting.learning_rate(OPTIMIZER.model_copy(update=changes), epochs=10, **place) == pytest.approx(
        rate
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW"), ("rmsprop", "RMSprop")]
)
def test_optimizers_are_made_as_named_and_clipped(name: str, kind: str) -> None:
    made = fitting.make_optimizer(OPTIMIZER.model_copy(update={"name": name}))
    assert type(made).__name__ == kind and made.clipnorm == 1.0
    off = fitting.make_optimizer(
        OPTIMIZER.model_copy(update={"name": name, "clipnorm": 0.0, "global_clipnorm": 2.0})
    )
    assert off.clipnorm is None and off.global_clipnorm == 2.0
