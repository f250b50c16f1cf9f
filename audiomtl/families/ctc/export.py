"""Export of a trained CTC model: features and network in one graph.

Contents: `write`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.families.contract import Fitted
from audiomtl.families.ctc.model import outputs
from audiomtl.families.ctc.use import _clip, sample_rate
from audiomtl.nn import front_end, serving

INTERFACE = """\
| output | shape | what it is |
| --- | --- | --- |
| `probabilities` | (steps, symbols) | probabilities of the symbols in each step |

A step has {seconds:g} s; step t is centred at t times that. Symbol 0 is the blank, which is in no
transcript; then come, in this order: {symbols}. The likeliest symbol of each step, runs of one symbol taken
once, and blanks and pauses (`_`) left out, is the transcript.{decoder}
"""
# behind the transcript of the likeliest symbols
DECODER = (
    " The folder `model/` has a decoder ({method}) beside the network: audiomtl reads the\n"
    "probabilities with it, with fewer errors."
)


def write(fitted: Fitted, folder: Path) -> serving.Exported:
    """Write ``saved_model/`` and, where its operations allow, ``model.tflite``."""
    settings, known = fitted.settings, fitted.known
    model = _without_dropout(fitted.model)

    def call(waveform: tf.Tensor, by_convolution: bool = False) -> dict[str, tf.Tensor]:
        frames = front_end.frames_of(waveform, settings.features, by_convolution=by_convolution)
        frames = front_end.scaled(frames, known.scaler)
        logits = model([frames[None], tf.shape(frames)[:1]], training=False)
        return {"probabilities": tf.nn.softmax(logits[0])}

    def expected(y: np.ndarray) -> Mapping[str, Any]:
        [(_, logits)] = outputs(fitted, [_clip("", y, fitted)])
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return {"probabilities": powers / powers.sum(axis=1, keepdims=True)}

    seconds = settings.features.seconds(settings.network.time_reduction)
    profile = settings.features.model_dump(mode="json", exclude_none=True)
    profile["step_seconds"] = seconds
    names = {"symbols": ("", *known.vocabulary)}
    waveform = serving.Waveform(call, model, sample_rate(settings), names, profile)
    decoder = DECODER.format(method=known.decoder.numbers["method"]) if known.decoder else ""
    interface = INTERFACE.format(seconds=seconds, symbols=" ".join(known.vocabulary), decoder=decoder)
    return serving.exported(waveform, folder, expected, interface)


def _without_dropout(model: keras.Model) -> keras.Model:
    """The same network without dropout, whose random state no file of constants can hold."""

    def same(layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        for inner in ("layer", "backward_layer"):  # of Bidirectional
            if inner in settings:
                settings[inner]["config"]["dropout"] = 0.0
        return layer.__class__.from_config(settings)

    copy = keras.models.clone_model(
        model, clone_function=same, call_function=lambda layer, *a, **k: layer(*a, **k)
    )
    copy.set_weights(model.get_weights())
    return copy
