"""Export of a trained multi-task model: features, encoder and heads in one graph.

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
from audiomtl.families.multitask.answers import example_of, gives, sample_rate
from audiomtl.families.multitask.heads import kind
from audiomtl.families.multitask.model import outputs
from audiomtl.families.multitask.steps import text_tokens
from audiomtl.nn import front_end, serving

SHAPES = {
    "clip_class": "(classes,): probabilities",
    "tags": "(classes,): probability of each",
    "segments": "(steps, classes): probability of each",
    "phones": "(steps, phones): probabilities",
    "ctc": "(steps, 1 + phones): probabilities, the blank first",
    "melody": "(steps, 89): probabilities of the 88 keys from MIDI 21, and of none",
    "notes": "(steps, 176): of 88 keys from MIDI 21 whether each begins, then whether each is held",
    "value": "(1,): the number",
}


def write(fitted: Fitted, folder: Path) -> serving.Exported:
    """Write ``saved_model/`` and, where its operations allow, ``model.tflite``; heads that need a text are
    left out.

    Raises
    ------
    UserError : a model that reads a score; no head that answers without a text.
    """
    settings, known = fitted.settings, fitted.known
    heads = {name: settings.heads[name] for name in gives(settings)}
    if settings.inputs.score:
        raise UserError(
            f'inputs.score = "{settings.inputs.score}": the model reads a score beside the waveform'
        )
    if not heads:
        raise UserError("no head of this model answers without a text")
    tokens = text_tokens((), known.symbols) if settings.inputs.text else None

    def call(waveform: tf.Tensor, by_convolution: bool = False) -> dict[str, tf.Tensor]:
        frames = front_end.frames_of(waveform, settings.features, by_convolution=by_convolution)
        frames = front_end.scaled(frames, known.scaler)
        count = tf.shape(frames)[0]
        padded = tf.pad(frames, [[0, tf.maximum(settings.stride - count, 0)], [0, 0]])
        given = [padded[None], count[None]] + ([tf.constant(tokens[None])] if tokens is not None else [])
        found, steps = fitted.model(given, training=False), (count + settings.stride - 1) // settings.stride
        answers = {}
        for name, head in heads.items():
            value = found[name][0] if head.about.per_clip else found[name][0, :steps]
            answers[name] = {"tags": tf.sigmoid, "ctc": tf.nn.softmax}.get(head.kind, tf.identity)(value)
        return answers

    def expected(y: np.ndarray) -> Mapping[str, Any]:
        [(_, found)] = outputs(fitted, [example_of(Recording("", y), fitted)])
        read = {name: getattr(kind(head.kind), "probabilities", np.asarray) for name, head in heads.items()}
        return {name: read[name](found[name]) for name in heads}

    profile = settings.features.model_dump(mode="json", exclude_none=True)
    profile["step_seconds"] = settings.step_seconds
    names = {f"{name}_names": known.names[name] for name in heads if known.names[name]}
    waveform = serving.Waveform(call, fitted.model, sample_rate(settings), names, profile)
    return serving.exported(waveform, folder, expected, _interface(fitted, heads))


def _interface(fitted: Fitted, heads: Mapping[str, Any]) -> str:
    lines = ["| output | what it is |", "| --- | --- |"]
    for name, head in heads.items():
        classes = ", ".join(fitted.known.names[name])
        of = f", in this order: {classes}" if classes else ""
        lines.append(f"| `{name}` | {SHAPES.get(head.kind, head.kind)}{of} |")
    return "\n".join(lines) + f"\n\nA step has {fitted.settings.step_seconds:g} s.\n"
