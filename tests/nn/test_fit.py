"""The training loop, on a model small enough to train in a moment."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.errors import UserError
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
    more=(),
    steps=3,
    **options,
):
    """Train one weight towards 1; returns the model and the fit."""
    fitting.seed_everything(0)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"), *more]
    )
    seen = []

    def batches(epoch: int):
        for step in range(steps):
            yield {"clip_ids": [f"clip{step}"], "x": np.ones((4, 1), np.float32) * scale}

    batches = options.pop("batches", batches)

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


@pytest.mark.parametrize("bad", [0, 7, 16, 39])
@pytest.mark.parametrize("then", ["goes on", "fails"])
def test_the_first_loss_that_is_not_finite_is_named_whatever_comes_after(bad: int, then: str) -> None:
    """Losses are looked at every 16 steps; a batch that cannot be made ends the epoch behind it."""

    def batches(epoch: int):
        for step in range(40):
            if step == bad + 1 and then == "fails":
                raise RuntimeError("this batch cannot be made")
            yield {
                "clip_ids": [f"clip{step}"],
                "x": np.full((4, 1), np.inf if step == bad else 1.0, np.float32),
            }

    with pytest.raises(fitting.TrainingFailed, match=rf"at epoch 0, step {bad} \(clips clip{bad} \.\.\.\)"):
        _fit(batches=batches)


def test_an_error_in_a_batch_is_raised_as_itself() -> None:
    def batches(epoch: int):
        yield {"x": np.ones((4, 1), np.float32)}
        raise UserError("speech.csv: line 3")

    with pytest.raises(UserError, match=r"^speech\.csv: line 3$"):
        _fit(batches=batches)


def test_averaged_weights_are_scored_and_kept_and_the_training_goes_on_from_its_own(tmp_path) -> None:
    decay = 0.5
    _, plain, own = _fit()
    checkpoint = fitting.Checkpoint(tmp_path)
    model, result, averaged = _fit(
        training=TRAINING.model_copy(update={"average_decay": decay}), checkpoint=checkpoint
    )
    assert [scores["train/loss"] for scores in result.history] == [
        scores["train/loss"] for scores in plain.history
    ]
    assert float(model.weights[0].numpy()[0, 0]) == averaged[result.best_epoch] != own[result.best_epoch]
    arrays, _ = checkpoint.load()
    assert arrays["model_0"].item() == own[-1] and arrays["average_0"].item() == averaged[-1]
    # by hand, from the weights after each of the steps
    steps = [weights for count in (1, 2, 3) for weights in _fit(steps=count)[2][:1]]
    average = 0.0
    for step, weight in enumerate(steps, start=1):
        average += (1.0 - min(decay, (1 + step) / (10 + step))) * (weight - average)
    assert averaged[0] == pytest.approx(average, rel=1e-5)


def test_statistics_of_batch_normalization_are_averaged_and_other_state_is_not() -> None:
    def batches(epoch: int):
        for step in range(3):
            yield {"x": np.arange(4, dtype=np.float32)[:, None] * (step + 1.0)}

    def variables(decay: float) -> list[tuple[str, np.ndarray]]:
        training = TRAINING.model_copy(update={"average_decay": decay, "keep": "last"})
        more = (
            keras.layers.Rescaling(2.0),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1, seed=1),
            keras.layers.Dense(1),
        )
        model = _fit(training=training, more=more, batches=batches)[0]
        return [(variable.name, variable.numpy()) for variable in model.variables]

    moved = [
        name
        for (name, own), (_, averaged) in zip(variables(0.0), variables(0.9), strict=True)
        if not np.array_equal(own, averaged)
    ]
    assert sorted(moved) == [
        "beta", "bias", "gamma", "kernel", "kernel", "moving_mean", "moving_variance",
    ]  # fmt: skip


def test_a_monitor_that_the_model_lacks_is_named() -> None:
    with pytest.raises(
        fitting.TrainingFailed,
        match=r'"validation/other" is not a score of this model; available: .*validation/loss',
    ):
        _fit(training=TRAINING.model_copy(update={"monitor": "validation/other"}))


@pytest.mark.parametrize(("stop_after", "decay"), [(0, 0.0), (1, 0.0), (2, 0.0), (0, 0.9), (2, 0.9)])
def test_a_training_that_was_cut_off_goes_on_exactly(tmp_path, stop_after: int, decay: float) -> None:
    optimizer = OPTIMIZER.model_copy(update={"schedule": "plateau", "warmup_steps": 5})
    training = TRAINING.model_copy(update={"average_decay": decay})
    scores = [1.0, 2.0, 3.0, 0.5]

    class Gone(Exception):
        pass

    def leave(epoch: int, scores: dict[str, float]) -> bool:
        if epoch == stop_after:
            raise Gone
        return True

    whole, expected, seen = _fit(scores=scores, optimizer=optimizer, training=training)
    checkpoint = fitting.Checkpoint(tmp_path)
    with pytest.raises(Gone):
        _fit(scores=scores, optimizer=optimizer, training=training, checkpoint=checkpoint, on_epoch=leave)
    epochs = []
    again, result, seen_again = _fit(
        scores=scores,
        optimizer=optimizer,
        training=training,
        checkpoint=checkpoint,
        on_epoch=lambda epoch, scores: epochs.append(epoch) or True,
    )
    assert epochs == [0, 1, 2, 3]  # what was done before is told again
    assert result.history == expected.history and result.best_epoch == expected.best_epoch
    assert seen_again == seen[stop_after + 1 :]
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
        ({"warmup_steps": 4}, {"epoch": 0, "step": 0, "reductions": 0}, 0.1 / 4),
        ({"warmup_steps": 4}, {"epoch": 0, "step": 2, "reductions": 0}, 0.1 * 3 / 4),
        ({"warmup_steps": 4}, {"epoch": 0, "step": 3, "reductions": 0}, 0.1),
        ({"warmup_steps": 4}, {"epoch": 0, "step": 9, "reductions": 0}, 0.1),
        (
            {"warmup_steps": 20, "schedule": "cosine"},
            {"epoch": 5, "step": 9, "reductions": 0},
            0.05 / 2,
        ),
        (
            {"warmup_steps": 20, "schedule": "plateau"},
            {"epoch": 5, "step": 4, "reductions": 1},
            0.05 / 4,
        ),
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
