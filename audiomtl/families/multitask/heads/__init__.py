"""Kinds of heads: one file of this folder each, found by its name. `Kind` documents their interface.

Conventions: an output has the clips first, then, unless the kind is ``per_clip``, the steps. A target is an
array with a number or a row for each step, or one number for the clip; None where the clip lacks the label.
Classes are numbers; -1 is a step, or a clip, without one. A loss is a mean over clips, weighted by ``weight``
(clips,), which is 0 where a clip lacks the label: such a clip has no influence on the loss or its gradient,
and a batch in which all lack it has loss 0. Spans are (start, end, label) in seconds, in order.

A kind is imported to check settings, so its file imports TensorFlow, Keras and ``audiomtl.nn`` inside its
functions only.

Contents: `About`, `Answer`, `Kind`, `kind`, `kinds`, `LOGITS`; what a kind takes that has nothing of its own:
`no_classes`, `as_it_is`, `no_spans`, `no_rows`, `no_panel`, `no_picture`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audiomtl.errors import UserError
from audiomtl.settings.named import names
from audiomtl.settings.validation import nearest, show

if TYPE_CHECKING:
    import pandas as pd

    from audiomtl.families.multitask.settings import Head, Settings

LOGITS = ".logits"  # beside the answer of a head with an activation: what its loss is computed from
LABEL = "data.label"  # as the column of a kind: the one that data.label names
Spans = list[tuple[float, float, Any]]  # start, end, phone or MIDI pitch or class


@dataclass(frozen=True)
class About:
    """Static properties of a kind."""

    scores: tuple[str, ...]  # besides loss; HEAD_SCORE is how a file calls them
    minimized: tuple[str, ...] = ()  # those of them that are better when they are lower
    slow: tuple[str, ...] = ()  # those of them that are not computed at every epoch
    column: str = ""  # that a head learns which names none; "": it must be named
    beside: tuple[str, ...] = ()  # further columns that the clip table needs
    produces: str = (
        ""  # what `predict` writes of it: "classes", "segments", "phones", "notes" or "values"; "": nothing
    )
    per_clip: bool = False  # one output for the clip, not one for each step
    reads_text: bool = False  # its outputs are positions of the text of inputs.text
    reads_recording: bool = False  # its column has paths of recordings, whose frames it learns
    activation: str = ""  # "softmax" or "sigmoid" between `output`, which `loss` takes, and the answer
    decoders: tuple[str, ...] = ()  # decoding.HEAD.method besides greedy
    beside_kind: str = ""  # kind of the head that decoding.HEAD.beside may name


@dataclass(frozen=True, eq=False)
class Answer:
    """Output of one head for one clip."""

    clip_id: str
    row: Mapping[str, Any]  # of the clip table
    target: Any  # array, or None where the clip lacks the label
    output: np.ndarray  # on the clip's own steps
    n_frames: int
    decoder: Any = None  # what the kind's `fit_decoder` gave; None reads each step by itself
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)  # of all heads, of this clip
    logits: np.ndarray | None = None  # of the output; None: of a model that an earlier version saved


class Kind(Protocol):
    """The functions of a kind of head.

    A kind may also have ``per_clip(name, head, answer, names, settings) -> {HEAD_COUNT: number}``: counts of
    one clip whose sums make up a score, for ``PER_CLIP`` of the family.

    A kind with ``ABOUT.decoders`` also has ``fit_decoder(name, head, decoding, train, validation, names,
    settings)``, which returns what ``Answer.decoder`` then is: ``train`` and ``validation`` are the answers
    of the clips that have the label, those of train without outputs; of phones also train clips, without
    target, whose phones another head learns. ``decoder_to_json(decoder)`` gives it as plain values,
    ``decoder_from_json(saved)`` reads them.
    """

    ABOUT: About

    def classes(
        self, name: str, head: "Head", train: "pd.DataFrame", settings: "Settings"
    ) -> tuple[str, ...]:
        """Sorted class names, from the train split only; () for kinds without classes."""

    def target(
        self,
        name: str,
        head: "Head",
        row: Mapping[str, Any],
        n_frames: int,
        names: Sequence[str],
        settings: "Settings",
        frames_of: Callable[[str], np.ndarray | None],
    ) -> np.ndarray | None:
        """Target of one clip whose column has a value. ``frames_of`` gives the frames of the recording in a
        column.

        Raises
        ------
        UserError : naming clip, value and rule.
        """

    def scaled(self, target: np.ndarray | None, scaler: Any, settings: "Settings") -> np.ndarray | None:
        """The target, given the scaler fitted on the train split."""

    def batch(
        self, targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int
    ) -> np.ndarray:
        """The targets of some clips as one array (clips, ...), padded to ``steps``."""

    def output(
        self,
        layer: str,
        steps: Any,
        lengths: Any,
        *,
        classes: int,
        bands: int,
        stride: int,
        text: Any = None,
        keys: Any = None,
    ) -> Any:
        """The output tensor before ``ABOUT.activation``, whose last layer is called ``layer``.

        ``text`` is (keys, tokens) of the text to align, ``keys`` what the encoder knows of each key, or None.
        """

    def loss(self, outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
        """The loss, a scalar, of what `output` gives: logits where there is an activation.

        ``steps`` (clips,) says how many are a clip's own.
        """

    def spans(self, head: "Head", answer: Answer, names: Sequence[str], settings: "Settings") -> Spans:
        """Predicted spans of one clip, in order: phones, notes, or passages of a class. Of the clip's row
        only the text to align may be read.
        """

    def scores(
        self,
        head: "Head",
        answers: Sequence[Answer],
        names: Sequence[str],
        settings: "Settings",
        *,
        every_score: bool,
    ) -> dict[str, float]:
        """Scores over clips that all have the label; ``every_score`` = False leaves out those that take
        long.
        """

    def rows(
        self, name: str, head: "Head", answer: Answer, names: Sequence[str], settings: "Settings"
    ) -> dict[str, list[dict[str, Any]]]:
        """Rows for the tables that `predict` writes, by table.

        Of ``predictions`` one, with further columns of the clip's row.
        """

    def panel(
        self, head: "Head", answer: Answer, names: Sequence[str], settings: "Settings"
    ) -> tuple[str, tuple[Any, ...]] | None:
        """What is drawn of one clip: an argument of `audiomtl.pictures.heard` (texts, notes, activities)
        and what it draws.
        """

    def picture(self, name: str, answers: Sequence[Answer], names: Sequence[str], folder: Path) -> None:
        """Draw a picture of many clips."""


def kinds() -> list[str]:
    """Names of the kinds, sorted."""
    return names(__name__)


def kind(name: str) -> Kind:
    """The module of a kind."""
    if name not in kinds():
        raise UserError(
            f"kind = {show(name)}: no such kind of head{nearest(name, kinds())}; available:"
            f" {', '.join(kinds())}"
        )
    return importlib.import_module(f"{__name__}.{name}")


# ---------------------------------------------------------------- for kinds that have nothing of their own


def no_classes(*_: Any) -> tuple[str, ...]:
    return ()


def as_it_is(target: np.ndarray | None, *_: Any) -> np.ndarray | None:
    return target


def no_spans(*_: Any) -> Spans:
    return []


def no_rows(*_: Any) -> dict[str, list[dict[str, Any]]]:
    return {}


def no_panel(*_: Any) -> None:
    return None


def no_picture(*_: Any) -> None:
    return None
