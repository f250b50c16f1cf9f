"""Export of a trained multiple-instance model: features, windows and network in one graph.

Contents: `write`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted
from audiomtl.families.mil.examples import _length
from audiomtl.families.mil.use import respond, sample_rate
from audiomtl.nn import front_end, serving

INTERFACE = """\
| output | shape | what it is |
| --- | --- | --- |
| `classes` | (classes,) | probabilities of the recording's classes |
| `segments` | (windows, classes) | probabilities of each window's classes |
| `starts` | (windows,) | start of each window in seconds |

A window has {seconds:g} s. A recording that is shorter is filled up. Classes, in this order: {classes}.
"""


TAGS = (
    "\nEach class has a probability of its own (tags): it is predicted from 0.5 on, and any number may be.\n"
)


def write(fitted: Fitted, folder: Path) -> serving.Exported:
    """Write ``saved_model/`` and, where its operations allow, ``model.tflite``.

    Raises
    ------
    UserError : a model of stored embeddings, majority vote, a scaling without graph operation.
    """
    settings = fitted.settings
    if settings.network.window == "embedding":
        raise UserError('network.window = "embedding": the model reads stored embeddings, no waveform')
    if settings.network.window == "yamnet":
        raise UserError(
            'network.window = "yamnet": this family exports no YAMNet; use `audiomtl predict`, or train the'
            " family transfer, which does"
        )
    if settings.pooling.evaluation != "same":
        raise UserError(
            f'pooling.evaluation = "{settings.pooling.evaluation}" is not part of the network; only "same" is'
        )
    length, step = _length(settings), settings.features.seconds_per_frame
    of_tflite = serving.of_one_bag(fitted.model)

    def call(waveform: tf.Tensor, by_convolution: bool = False) -> dict[str, tf.Tensor]:
        frames = front_end.frames_of(waveform, settings.features, by_convolution=by_convolution)
        frames = front_end.scaled(frames, fitted.known.scaler)
        first = front_end.firsts_of(tf.shape(frames)[0], length, settings.windows, settings.features)
        some = tf.transpose(front_end.windows_of(frames, first, length), [0, 2, 1])[..., None]
        model = of_tflite if by_convolution else fitted.model
        found = model([some, tf.shape(first)[:1]], training=False)
        starts = tf.cast(first, tf.float32) * tf.constant(step, tf.float32)
        return {"classes": found["clip"][0], "segments": found["windows"], "starts": starts}

    def expected(y: np.ndarray) -> Mapping[str, Any]:
        [response] = respond(fitted, [Recording("", y)])
        heard: Any = response.answers["segments"]
        classes: Any = response.answers["classes"]
        return {
            "classes": classes.probabilities,
            "segments": heard.scores,
            "starts": heard.starts.astype(np.float32),
        }

    names = {"class_names": fitted.known.classes}
    profile = settings.features.model_dump(mode="json", exclude_none=True)
    waveform = serving.Waveform(call, fitted.model, sample_rate(settings), names, profile)
    interface = INTERFACE.format(seconds=length * step, classes=", ".join(fitted.known.classes))
    interface += TAGS if settings.data.labels == "several" else ""
    return serving.exported(waveform, folder, expected, interface)
