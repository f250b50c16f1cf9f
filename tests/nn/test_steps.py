"""Graphs of training steps: how many are made, and which ones."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn import fit as fitting
from audiomtl.nn.steps import Steps
from audiomtl.settings.shared import Optimizer, Training

OPTIMIZER = Optimizer(
    name="sgd",
    learning_rate=0.1,
    momentum=0.0,
    nesterov=False,
    weight_decay=0.0,
    decay=0.0,
    clipnorm=0.0,
    global_clipnorm=0.0,
    schedule="constant",
    plateau_factor=0.5,
    plateau_patience=1,
)
TRAINING = Training(
    epochs=4, batch_size=4, monitor="validation/loss", monitor_direction="minimize", patience=0
)
# clips and frames of each batch, by epoch
SIZES = [[(4, 7), (4, 9), (2, 5)], [(4, 8), (3, 6)], [(2, 7), (4, 4)], [(4, 9), (1, 3)]]


def _model() -> keras.Model:
    frames = keras.Input((None, 2), name="frames")
    steps = keras.layers.Dense(1, kernel_initializer="ones")(frames)
    return keras.Model(frames, keras.layers.GlobalAveragePooling1D()(steps))


def _batch(clips: int, frames: int) -> dict[str, Any]:
    return {
        "clip_ids": [f"clip{number}" for number in range(clips)],
        "frames": np.ones((clips, frames, 2), np.float32),
        "labels": np.ones((clips, frames // 2), np.int32),
        "weights": np.ones(clips, np.float32),
    }


def _loss(made: list[Any]):
    def loss(model: keras.Model, batch: Any) -> tf.Tensor:
        made.append({name: tuple(value.shape) for name, value in batch.items()})  # runs when a graph is made
        return tf.reduce_mean(
            batch["weights"][:, None] * tf.square(model(batch["frames"], training=True) - 1.0)
        )

    return loss


def test_one_graph_serves_batches_of_as_many_clips_and_one_more_all_others() -> None:
    made: list[Any] = []
    model = _model()
    step = Steps(model, fitting.make_optimizer(OPTIMIZER)).compiled(_loss(made))
    for clips, frames in [(4, 7), (4, 9), (4, 3), (2, 5), (1, 9), (4, 2)]:
        step(_batch(clips, frames), 0.1)
    assert [shapes["frames"] for shapes in made] == [(4, None, 2), (None, None, 2)]
    assert made[0]["labels"] == (4, None) and made[0]["weights"] == (4,)


def _trained(made: list[Any], checkpoint: Any = None, epochs: int = 4) -> list[np.ndarray]:
    fitting.seed_everything(0)
    model, loss = _model(), _loss(made)
    fitting.fit(
        model,
        optimizer=OPTIMIZER,
        training=TRAINING,
        batches=lambda epoch: (_batch(*size) for size in SIZES[epoch]),
        loss=lambda epoch: loss,
        score=lambda epoch: {"validation/loss": 1.0 / (epoch + 1)},
        on_epoch=lambda epoch, scores: epoch + 1 < epochs,
        checkpoint=checkpoint,
    )
    return [variable.numpy() for variable in model.variables]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_training_that_goes_on_takes_each_step_with_the_graph_that_it_would_have_had(
    tmp_path, epochs: int
) -> None:
    """The first batch of the third epoch is smaller: its graph would be another one if it were the first."""
    whole: list[Any] = []
    weights = _trained(whole)
    checkpoint, again = fitting.Checkpoint(tmp_path), list[Any]()
    _trained([], checkpoint, epochs)
    resumed = _trained(again, checkpoint)
    assert again == whole and len(whole) == 2
    for one, other in zip(resumed, weights, strict=True):
        np.testing.assert_array_equal(one, other)
