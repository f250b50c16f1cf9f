"""Use of a trained model on sound files: the clip's classes, scores over time, and events of files of any
length.

Contents: `Listener`, `Heard`, `Event`, `events`, `write_events`; `check_settings`, `check_model`.
"""

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.data import audio, fetch, stream
from audiomtl.data.files import csv_text
from audiomtl.errors import UserError
from audiomtl.families.transfer.embeddings import patches_of_waveform
from audiomtl.nn import yamnet

BLOCK = 64  # patches that are in memory at once when a file is streamed


def check_settings(raw: Mapping[str, Any], place: str) -> None:
    """Reject an experiment whose model takes no waveform."""
    if raw["extractor"]["kind"] != "yamnet":
        raise UserError(
            f'{place}: extractor.kind = "{raw["extractor"]["kind"]}" takes no waveform; only "yamnet" does'
        )


def check_model(fitted: Any, place: str) -> None:
    """Reject a model file whose number of classes differs from that of its network."""
    heads = fitted.model.get_layer("head") if fitted.known.tail is not None else fitted.model
    if heads is not None and (given := heads.get_layer("logits").units) != len(fitted.known.classes):
        raise UserError(
            f"{place}: use.json lists {len(fitted.known.classes)} classes, but the network has {given}; train"
            " it again"
        )


@dataclass(frozen=True)
class Heard:
    """Predictions for one file."""

    clip: np.ndarray  # (classes,) probabilities
    patches: np.ndarray  # (n_patches, classes)
    starts: np.ndarray  # (n_patches,) seconds
    seconds: float  # of a patch


class Listener:
    """A trained transfer model with YAMNet's frozen part before it."""

    def __init__(self, fitted: Any) -> None:
        import tensorflow as tf

        self.fitted, self.classes = fitted, fitted.known.classes
        place = fetch.weights(fitted.settings.extractor.weights)
        if (digest := fetch.digest(place)) != fitted.known.weights_digest:
            raise UserError(
                f"{place} ({digest}): the model was trained with different weights"
                f" ({fitted.known.weights_digest}); use those or train again"
            )
        self.body = yamnet.set_weights(
            yamnet.body(fitted.settings.fine_tune.blocks), yamnet.read_weights(place)
        )
        self._body = tf.function(self.body, reduce_retracing=True)

    def _scores(self, activations: np.ndarray) -> dict[str, np.ndarray]:
        outputs = self.fitted.forward(activations, np.array([len(activations)], np.int32))
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _activations(self, patches: np.ndarray) -> np.ndarray:
        parts = [
            self._body(patches[first : first + BLOCK]).numpy() for first in range(0, len(patches), BLOCK)
        ]
        return np.concatenate(parts)

    def hear(self, path: str | Path) -> Heard:
        """The whole of a file, of any format, rate and number of channels.

        Raises
        ------
        UserError : it cannot be read as sound.
        """
        from audiomtl.families.transfer.model import Example, outputs

        y = audio.load(path, sample_rate=yamnet.SAMPLE_RATE)
        example = Example("", self._activations(patches_of_waveform(y).numpy()), 0)
        [(_, found)] = outputs(self.fitted, [example])
        hop = yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE
        starts = hop * np.arange(len(found["patches"]))
        return Heard(found["clip"], found["patches"], starts, yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE)

    def stream(self, path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
        """(start in seconds, scores (classes,)) of each patch of a file of any length, in constant memory.

        The scores are those that `hear` gives its patches.
        """
        hop, size = yamnet.PATCH_HOP_SAMPLES, yamnet.PATCH_SAMPLES
        waiting, number = np.empty(0, np.float32), 0
        for block in stream.blocks(path, sample_rate=yamnet.SAMPLE_RATE, samples=BLOCK * hop):
            waiting = np.concatenate([waiting, block])
            # one patch less than is there: the last of all may have to be filled up
            ready = (len(waiting) - size) // hop
            if ready > 0:
                yield from self._numbered(waiting[: (ready - 1) * hop + size], number)
                waiting, number = waiting[ready * hop :], number + ready
        yield from self._numbered(waiting, number)

    def _numbered(self, y: np.ndarray, number: int) -> Iterator[tuple[float, np.ndarray]]:
        scores = self._scores(self._activations(patches_of_waveform(y).numpy()))["patches"]
        for count, row in enumerate(scores, start=number):
            yield count * yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE, row


@dataclass(frozen=True)
class Event:
    """A stretch of time in which a class is above the threshold."""

    start_seconds: float
    end_seconds: float
    label: str
    peak: float  # largest score


def events(
    scores: Iterator[tuple[float, np.ndarray]], classes: tuple[str, ...], threshold: float
) -> Iterator[Event]:
    """Join patches that follow each other with one class at or above the threshold; in order of their
    ends.
    """
    length = yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE
    going: dict[int, Event] = {}
    for start, row in scores:
        for index, label in enumerate(classes):
            score = float(row[index])
            if score >= threshold:
                before = going.get(index, Event(start, 0.0, label, 0.0))
                going[index] = dataclasses.replace(
                    before, end_seconds=start + length, peak=max(before.peak, score)
                )
            elif index in going:
                yield going.pop(index)
    yield from sorted(going.values(), key=lambda event: (event.start_seconds, event.label))


def write_events(found: Iterator[Event], folder: Path, stem: str) -> tuple[Path, Path, int]:
    """Write ``STEM.events.csv`` and Audacity's ``STEM.labels.txt``; returns both and how many events there
    were.

    They are written as events come and get their names when the last one has: a file that turns out cut off
    leaves neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places, count = (folder / f"{stem}.events.csv", folder / f"{stem}.labels.txt"), 0
    parts = [place.with_name(f"{place.name}.part") for place in places]
    try:
        with (
            parts[0].open("w", newline="", encoding="utf-8") as table,
            parts[1].open("w", encoding="utf-8") as labels,
        ):
            writer = csv.writer(table)
            writer.writerow(["start_seconds", "end_seconds", "label", "peak"])
            for event in found:
                writer.writerow(
                    [
                        f"{event.start_seconds:.3f}",
                        f"{event.end_seconds:.3f}",
                        csv_text(event.label),
                        f"{event.peak:.4f}",
                    ]
                )
                labels.write(f"{event.start_seconds:.6f}\t{event.end_seconds:.6f}\t{event.label}\n")
                count += 1
        for part, place in zip(parts, places, strict=True):
            part.replace(place)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return *places, count
