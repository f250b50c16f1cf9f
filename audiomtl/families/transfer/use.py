"""Use of a trained transfer model: the class of recordings, classes over time, and files of any length.

Contents: the functions of `contract.Use`; `embed`, `stream`; `frozen`, `check_model`.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl.data import fetch
from audiomtl.data.answers import Answer, Recording, Response, Stream, segments
from audiomtl.data.stream import blocks
from audiomtl.data.tags import target
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.transfer.model import Example, outputs
from audiomtl.families.transfer.patches import patch_seconds, patches_of, statistics
from audiomtl.families.transfer.settings import Settings
from audiomtl.nn import yamnet
from audiomtl.nn.yamnet_store import BATCH, in_batches, patches_of_waveform

BLOCK = 2 * BATCH  # patches of a stream that are in memory at once


def sample_rate(settings: Settings) -> int:
    if settings.extractor.kind == "statistics":
        return settings.features.sample_rate
    return yamnet.SAMPLE_RATE if settings.extractor.kind == "yamnet" else 0


def columns(settings: Settings) -> tuple[str, ...]:
    return ("embedding_path",) if settings.extractor.kind == "stored" else ()


def gives(settings: Settings) -> dict[str, str]:
    return {name: name for name in ("classes", *(("segments",) if sample_rate(settings) else ()))}


def averaged_classes(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Classes of the answers that are averaged over models."""
    return {"classes": fitted.known.classes}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording, and those of its patches."""
    given = [Example(one.name, _patches(one, fitted), -1) for one in recordings]
    found = {id(example): answer for example, answer in outputs(fitted, given)}
    return [
        _response(one, found[id(example)], fitted) for one, example in zip(recordings, given, strict=True)
    ]


def _patches(one: Recording, fitted: Fitted) -> np.ndarray:  # (n_patches, size)
    """The input of the head."""
    if fitted.settings.extractor.kind == "stored":
        return contract.stored(one, "embedding_path")
    if fitted.settings.extractor.kind == "statistics":
        return statistics(contract.heard(one, fitted.settings.features), fitted.settings)
    if not len(one.y):
        raise UserError(f"{one.name}: no samples; the model reads sound")
    return _activations(patches_of_waveform(np.asarray(one.y, np.float32)).numpy(), fitted)


def _activations(patches: np.ndarray, fitted: Fitted) -> np.ndarray:
    """Activations of patches (n, 96, 64), in the batches of the training's store: the same bits."""
    return in_batches(frozen(fitted)[1], patches)


def _response(one: Recording, answer: dict[str, np.ndarray], fitted: Fitted) -> Response:
    classes, (length, hop) = fitted.known.classes, patch_seconds(fitted.settings)
    answers: dict[str, Answer] = {"classes": contract.classes(fitted.settings, classes, answer["clip"])}
    rate = sample_rate(fitted.settings)
    if not rate:
        return Response(one.name, float("nan"), answers)
    seconds, starts = len(one.y) / rate, hop * np.arange(len(answer["patches"]))
    answers["segments"] = segments(classes, starts, length, answer["patches"], until=seconds)
    return Response(one.name, seconds, answers, contract.padded(seconds, length))


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows."""
    settings, classes = fitted.settings, fitted.known.classes
    label = settings.data.label
    kept = contract.known_classes(table, label, classes)
    place = _weights(fitted) if settings.extractor.kind == "yamnet" else None
    patches = patches_of(kept, settings, place)
    return [
        Example(clip, rows, target(value, classes))
        for clip, rows, value in zip(kept["clip_id"], patches, kept[label], strict=True)
    ]


def embed(fitted: Fitted, recordings: Sequence[Recording]) -> list[np.ndarray]:
    """Embeddings of the patches of each recording, (n_patches, size), as the head reads them."""
    tail = fitted.known.tail
    found = []
    for one in recordings:
        patches = _patches(one, fitted)
        found.append(np.asarray(tail(patches, training=False)) if tail is not None else patches)
    return found


# ---------------------------------------------------------------- files of any length


def stream(fitted: Fitted, path: str | Path) -> Stream:
    """Scores of the patches of a file, in constant memory: those that `respond` gives.

    Raises
    ------
    UserError : the model takes no waveform.
    """
    kind = fitted.settings.extractor.kind
    if kind != "yamnet":
        raise UserError(
            f'extractor.kind = "{kind}": files are streamed with "yamnet" only; leave out --stream'
        )
    return Stream(fitted.known.classes, yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE, _streamed(fitted, path))


def _streamed(fitted: Fitted, path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    hop, size = yamnet.PATCH_HOP_SAMPLES, yamnet.PATCH_SAMPLES
    waiting, number = np.empty(0, np.float32), 0
    for block in blocks(path, sample_rate=yamnet.SAMPLE_RATE, samples=BLOCK * hop):
        waiting = np.concatenate([waiting, block])
        # one patch less than is there: the last of all may have to be filled up
        ready = (len(waiting) - size) // hop
        if ready > 0:
            yield from _numbered(waiting[: (ready - 1) * hop + size], number, fitted)
            waiting, number = waiting[ready * hop :], number + ready
    yield from _numbered(waiting, number, fitted)


def _numbered(y: np.ndarray, number: int, fitted: Fitted) -> Iterator[tuple[float, np.ndarray]]:
    activations = _activations(patches_of_waveform(y).numpy(), fitted)
    scores = np.asarray(fitted.forward(activations, np.array([len(activations)], np.int32))["patches"])
    for count, row in enumerate(scores, start=number):
        yield count * yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE, row


# ---------------------------------------------------------------- the pretrained part


def frozen(fitted: Fitted) -> tuple[keras.Model, Any]:
    """YAMNet's frozen part with its weights, and compiled.

    Raises
    ------
    UserError : the weights on this machine are not those that the model was trained with.
    """
    return _frozen(_weights(fitted), fitted.known.weights_digest, fitted.settings.fine_tune.blocks)


def _weights(fitted: Fitted) -> Path:
    """File of YAMNet's weights."""
    place = fetch.weights(fitted.settings.extractor.weights)
    if (digest := fetch.digest(place)) != fitted.known.weights_digest:
        raise UserError(
            f"{place} ({digest}): the model was trained with different weights"
            f" ({fitted.known.weights_digest}); use those or train again"
        )
    return place


@lru_cache(maxsize=2)
def _frozen(place: Path, digest: str, blocks: int) -> tuple[keras.Model, Any]:
    body = yamnet.set_weights(yamnet.body(blocks), yamnet.read_weights(place))
    return body, tf.function(body)


def check_model(fitted: Fitted, place: str) -> None:
    """Reject a model file whose number of classes differs from that of its network, and other weights of the
    frozen part than those of the training.
    """
    if fitted.settings.extractor.kind == "yamnet":
        _weights(fitted)
    heads = fitted.model.get_layer("head") if fitted.known.tail is not None else fitted.model
    if heads is not None and (given := heads.get_layer("logits").units) != len(fitted.known.classes):
        raise UserError(
            f"{place}: use.json lists {len(fitted.known.classes)} classes, but the network has {given}; train"
            " it again"
        )
