"""The network of a multi-task training: one encoder and its heads.

Conventions as in `model`. Contents: `Known`, `network`, `reads_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from audiomtl.data.features import constant_q_centres
from audiomtl.data.normalization import Normal
from audiomtl.data.scaling import Scaler
from audiomtl.data.scores import KEYS
from audiomtl.families.multitask.encoder import encoder, text_encoder
from audiomtl.families.multitask.heads import LOGITS, kind
from audiomtl.families.multitask.settings import Settings
from audiomtl.nn.masking import MeanOverSteps, MedianOverFrames, MomentsOverFrames
from audiomtl.nn.softmax import softmax

TEXT_SIZE = 64  # of a symbol's vector
STEEP = 10.0  # factor of the columns that a head sees alone: their weights soon outweigh its bias


@dataclass(frozen=True)
class Known:
    """State fitted on the train split; numbers of decoders are chosen on validation."""

    names: dict[str, tuple[str, ...]]  # of each head's classes
    symbols: tuple[str, ...]  # of texts
    scaler: Scaler
    decoders: dict[str, Any] = field(default_factory=dict)  # of the heads that `with_decoder` fitted one for
    normals: Mapping[str, Normal] = field(default_factory=dict)  # of new recordings, see `answers.adapted`


def network(settings: Settings, known: Known, seed: int) -> keras.Model:
    """[frames, lengths, text where there is one, roll where there is one] -> {head: output}, and HEAD.logits
    of a head with an activation.
    """
    bands = settings.features.n_bands
    given, text = _inputs(settings), None
    trunk = encoder(
        settings.encoder,
        _hertz(settings),
        seed=seed,
        audio=settings.inputs.audio,
        score=bool(settings.inputs.score),
    )
    if settings.inputs.text:
        text = (text_encoder(len(known.symbols) + 2, TEXT_SIZE)(given["text"]), given["text"])
    places = [given["frames"], given["lengths"], *([given["roll"]] if settings.inputs.score else [])]
    steps, keys = trunk(places) if settings.encoder.kind == "harmonic" else (trunk(places), None)
    answers = {}
    for name, head in settings.heads.items():
        if head.sees == "also":
            first = settings.features.bands_of_kind
            columns = MedianOverFrames(first, name=f"columns_{name}")([given["frames"], given["lengths"]])
            columns = layers.Rescaling(STEEP, name=f"steep_{name}")(columns)
            # from zero: the few weights of a column then have the sign that the first steps give them
            units = len(known.names[name])
            output = layers.Dense(units, kernel_initializer="zeros", name=f"head_{name}")(columns)
        elif head.sees == "both":
            mean = MeanOverSteps(settings.stride, name=f"mean_{name}")([steps, given["lengths"]])
            moments = MomentsOverFrames(name=f"moments_{name}")([given["frames"], given["lengths"]])
            joined = layers.Concatenate(name=f"joined_{name}")([mean, moments])
            output = layers.Dense(len(known.names[name]), name=f"head_{name}")(joined)
        else:
            output = kind(head.kind).output(
                f"head_{name}",
                steps,
                given["lengths"],
                classes=len(known.names[name]),
                bands=bands,
                stride=settings.stride,
                text=text,
                keys=keys,
            )
        if head.about.activation:
            answers[name + LOGITS] = output
            function = softmax if head.about.activation == "softmax" else head.about.activation
            output = layers.Activation(function, name=f"answer_{name}")(output)
        answers[name] = output
    return keras.Model(list(given.values()), answers, name="multitask")


def _inputs(settings: Settings) -> dict[str, Any]:
    given = {
        "frames": layers.Input((None, settings.features.n_bands), name="frames"),
        "lengths": layers.Input((), dtype="int32", name="lengths"),
    }
    if settings.inputs.text:
        given["text"] = layers.Input((None,), dtype="int32", name="text")
    if settings.inputs.score:
        given["roll"] = layers.Input((None, KEYS), name="roll")
    return given


def _hertz(settings: Settings) -> list[float]:  # (bands,)
    """Centre of each band; of cepstra and further columns only their number means something."""
    chosen = settings.features
    if chosen.kind == "log_mel":
        import librosa

        own = librosa.mel_frequencies(chosen.bands + 2, fmin=chosen.low_hz, fmax=chosen.high_hz)[1:-1]
        return [*own.tolist(), *[0.0] * (chosen.n_bands - chosen.bands)]  # further columns have no centre
    if chosen.kind == "constant_q":
        return constant_q_centres(chosen.bands, chosen.low_hz, chosen.high_hz).tolist()
    return [band * chosen.sample_rate / chosen.n_fft for band in range(chosen.n_bands)]


def reads_of(settings: Settings) -> list[str]:
    """Names of the network's inputs in a batch, in order."""
    return [
        "frames",
        "lengths",
        *(["text"] if settings.inputs.text else []),
        *(["roll"] if settings.inputs.score else []),
    ]
