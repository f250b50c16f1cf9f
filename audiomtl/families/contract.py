"""The interface of a family, and functions shared by all families.

A family is a package with the modules ``settings`` (`Settings`, SCORES ...), ``model``, whose functions
`Family` describes, and ``use``, whose functions `Use` describes; ``export`` and ``new`` are further modules
of those that have them. There is nothing to inherit from and nothing to register.

Conventions: sides are "train", "validation" and "test". An example is one clip, with a ``clip_id``; an
`Output` is an example with the outputs of the network. Scores, tables and pictures are computed from it, so
that one pass over the network is enough.

Contents: `Family`, `Use`, `Prepared`, `Fitted`, `Output`; `compiled`, `walk`, `of_each`; `margin`,
`by_class`; `heard`, `stored`, `padded`, `known_classes`, `classes`; `save`, `load`, `of_features`.
"""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from pydantic import BaseModel

from audiomtl.data import features, tags
from audiomtl.data.answers import Classes, Recording, Response
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.nn import saved
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch
from audiomtl.settings.family import settings_of
from audiomtl.settings.named import modules
from audiomtl.settings.saved import upgraded
from audiomtl.settings.shared import Features
from audiomtl.settings.toml import flatten
from audiomtl.settings.validation import nearest

# versions of a use.json that names none; the profile of YAMNet then stood beside the settings
FIRST = {
    "features": 1,
    "embeddings": 1,
}
S = TypeVar("S", bound=BaseModel)
E = TypeVar("E")
Output = tuple[Any, Any]  # an example, and what the network says of it: an array, or a mapping of arrays


@dataclass(frozen=True)
class Prepared:
    """Input of a training."""

    splits: Splits
    examples: dict[str, list[Any]]  # of each side
    known: Any  # the family's own record of what the train side says: classes, vocabulary, scaler ...
    facts: dict[str, float]  # counts worth a line in the record


@dataclass(frozen=True)
class Fitted:
    """A trained model with all it needs to be used."""

    model: Any  # keras.Model, or what the family trains in its place
    settings: Any
    known: Any  # as in `Prepared`
    forward: Any  # the model without dropout, compiled once
    parameters: int
    fit: Fit | None = None  # how the training went; None when loaded from disk


class Family(Protocol):
    """The functions of a family's module ``model``.

    A family with a table ``[decoding]`` also has ``with_decoder(fitted, prepared, found) -> Fitted``: the
    model with its decoder, fitted on the train split, its numbers chosen on ``found``, the outputs of the
    validation split. It is called once, after the training; `evaluate`, `predict` and `Use.respond` then read
    outputs with it, and `save` and `load` keep it. ``chosen_decoding(fitted)`` gives the numbers that were
    chosen by setting path, for a refit. It may have ``decoded_scores(fitted, found)``, those of the scores
    that a decoder changes, for studies of decoding.

    A family whose `evaluate` walks over the network again has ``evaluate_outputs(fitted, found)``, the scores
    that follow from the outputs alone, for averages of models.
    """

    def prepare(self, settings: Any, seed: int) -> Prepared:
        """Split the clips first, then read them; everything that is fitted is fitted on the train split.

        Raises
        ------
        UserError : data that do not fit the settings, naming setting, clip and value.
        MissingData : a data set is not on this machine.
        """

    def train(
        self, settings: Any, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
    ) -> Fitted:
        """Train one model and return it with the weights of its best epoch.

        A pure function of settings, clips and seed.
        """

    def outputs(self, fitted: Fitted, examples: Sequence[Any]) -> list[Output]:
        """One pass over the network: each example once, with its outputs.

        Neither the order of the examples nor which of them share a batch changes an answer by more than the
        last bits of a float32 sum.
        """

    def evaluate(self, fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
        """Scores over a whole split by name; scores of labels that no clip has are left out."""

    def predict(self, fitted: Fitted, found: Sequence[Output]) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """The table ``predictions``, or several by name: of clips, of windows. Each has a column clip_id, is
        sorted by it, and ``predictions`` has one row for every clip.
        """

    def pictures(self, fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
        """Draw PNG files into ``folder``."""

    def produces(self, settings: Any) -> tuple[str, ...]:
        """What `predict` gives of a clip: "classes", "segments" (scores of classes over time), "phones",
        "notes" and "values".
        """

    def save(self, fitted: Fitted, folder: Path) -> None:
        """Write the model and ``use.json`` into ``folder``; no pickle."""

    def load(self, folder: Path) -> Fitted:
        """Read what `save` wrote, to the bit; Keras's safe mode stays on.

        Raises
        ------
        UserError : the model was trained on features of another version of this code.
        """


class Use(Protocol):
    """The functions of a family's module ``use``: a trained model on recordings and clips that it was not
    trained on. A family without this module can be trained, but not used.

    Families that can may also have ``respond_file(fitted, path, name) -> Response`` (in memory that does not
    grow with the file), ``stream(fitted, path) -> Stream``, ``align``, ``embed(fitted, recordings)``,
    ``adapted(fitted, recordings) -> Fitted``, the model with what it takes from all recordings that are
    answered together, and ``check_model(fitted, place)``, which refuses a model whose parts do not fit. With
    ``LACKING = True`` a row of a table may lack any of the inputs, its sound among them.

    A family whose answers are probabilities of a clip's classes has ``averaged_classes(fitted)``: the classes
    of each such answer, by its name. Then the answers of several models can be averaged; it refuses a model
    that has others. Of the outputs of `Family.outputs` those are not averaged whose names end in ``logits``.
    """

    def sample_rate(self, settings: Any) -> int:
        """Rate of `Recording.y` in Hz; 0 for a model that reads no sound."""

    def columns(self, settings: Any) -> tuple[str, ...]:
        """Columns of a table that the model reads beside the sound; a model that needs none has ()."""

    def gives(self, settings: Any) -> dict[str, str]:
        """The answers of `respond`: name -> "classes", "segments", "phones", "notes" or "values"."""

    def respond(self, fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
        """What the model says of new recordings, in their order.

        The same as `Family.predict` says of the same sound; neither their order nor how many are given at
        once changes an answer.

        Raises
        ------
        UserError : a recording that the model cannot answer, naming it.
        """

    def examples(self, fitted: Fitted, table: pd.DataFrame) -> list[Any]:
        """The clips of a labelled table, as `Family.prepare` makes them, for `Family.outputs` and
        `Family.evaluate`. Clips with labels that the model does not know are left out.

        Raises
        ------
        UserError : a column that is not there; what `Family.prepare` refuses.
        """


# ---------------------------------------------------------------- the forward pass


def compiled(model: keras.Model, signature: Any = None) -> Callable[[Any], Any]:
    """The model without dropout as one compiled function of its inputs."""
    if signature is not None:
        return tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature])
    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)


def walk(
    examples: Sequence[E],
    size: Callable[[E], int],
    answers: Callable[[list[E]], Sequence[Any]],
    *,
    clips: int = 0,
    places: int = 0,
) -> list[tuple[E, Any]]:
    """Each example once with its output, by size and then clip_id, so that batches have similar sizes.

    Parameters
    ----------
    size : frames, or windows, of an example.
    answers : a batch of examples -> the answer to each.
    clips : examples in a batch at most. places : or frames of all of them together; no example is cut in two.
        One of the two is given.
    """
    ordered = sorted(examples, key=lambda one: (size(one), one.clip_id))  # type: ignore[attr-defined]
    found: list[tuple[E, Any]] = []
    for batch in _batches(ordered, size, clips, places):
        found += zip(batch, answers(batch), strict=True)
    return found


def _batches(examples: Sequence[E], size: Callable[[E], int], clips: int, places: int) -> Iterator[list[E]]:
    batch, total = list[E](), 0
    for one in examples:
        if batch and ((clips and len(batch) == clips) or (places and total + size(one) > places)):
            yield batch
            batch, total = [], 0
        batch.append(one)
        total += size(one)
    if batch:
        yield batch


def of_each(
    outputs: Mapping[str, Any], counts: Sequence[int], flat: Sequence[str], padded: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Outputs of a batch of bags, bag by bag.

    Parameters
    ----------
    flat : outputs whose rows stand one behind the other, ``counts`` of them to a bag. padded : outputs (bags,
        longest, ...), of which the first ``counts`` rows are a bag's own. Others are (bags, ...).
    """
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    found = []
    for number, (count, end) in enumerate(zip(counts, np.cumsum(counts), strict=True)):
        own = {name: array[number] for name, array in arrays.items() if name not in (*flat, *padded)}
        own |= {name: arrays[name][end - count : end] for name in flat} | {
            name: arrays[name][number, :count] for name in padded
        }
        found.append(own)
    return found


# ---------------------------------------------------------------- parts of tables


def margin(posteriors: np.ndarray) -> float:
    """Best less second-best probability of (classes,)."""
    return float(posteriors.max() - np.delete(posteriors, int(posteriors.argmax())).max())


def by_class(classes: Sequence[str], posteriors: Any) -> dict[str, float]:
    """``probability_CLASS`` of each class."""
    return {f"probability_{name}": float(value) for name, value in zip(classes, posteriors, strict=True)}


# ---------------------------------------------------------------- new recordings


def heard(one: Recording, settings: Features) -> np.ndarray:  # (n_frames, n_bands)
    """Features of a recording, not scaled, as those of the training were computed.

    Raises
    ------
    UserError : it has no samples.
    """
    if not len(one.y):
        raise UserError(f"{one.name}: no samples; the model reads sound")
    return features.extract(np.asarray(one.y, np.float32), settings)


def stored(one: Recording, column: str) -> np.ndarray:  # (n_windows, size)
    """The array of a recording whose embeddings are stored in a file that a column names.

    Raises
    ------
    UserError : no such column, or no such file with an array of this shape.
    """
    path = one.columns.get(column)
    if not isinstance(path, str) or not path:
        raise UserError(
            f"{one.name}: the model reads stored embeddings, not sound; give a table with a column {column}"
        )
    try:
        array = np.asarray(np.load(path, allow_pickle=False), np.float32)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as .npy ({' '.join(str(error).split())[:120]})") from None
    if array.ndim != 2 or not array.size:
        raise UserError(f"{path}: must hold an array (windows, size), but has shape {array.shape}")
    return array


def padded(seconds: float, least: float) -> tuple[str, ...]:
    """The remark on a recording that is shorter than what the model looks at; () on others."""
    return (f"padded from {seconds:.3g} s to {least:.3g} s",) if seconds < least - 1e-9 else ()


def known_classes(table: pd.DataFrame, label: str, classes: Sequence[str]) -> pd.DataFrame:
    """The rows of a table whose label is one of the classes; of clips with several labels those that have
    none, or one of them at least.

    Raises
    ------
    UserError : there is no such column, or no such row.
    """
    if label not in table.columns:
        names = list(map(str, table.columns))
        raise UserError(
            f'data.label = "{label}": the table has no such column{nearest(label, names)}; it has'
            f" {', '.join(names)}"
        )
    kept = table[[_known(value, classes) for value in table[label]]]
    if kept.empty:
        found = tags.classes_of(table[label])
        raise UserError(
            f"{label}: the model knows none of the classes {', '.join(found[:5])}; it knows"
            f" {', '.join(classes)}"
        )
    return kept.reset_index(drop=True)


def _known(value: Any, classes: Sequence[str]) -> bool:
    if isinstance(value, tuple):
        return not value or bool({*value} & {*classes})
    return value is not None and str(value) in classes


def classes(settings: Any, names: Sequence[str], probabilities: np.ndarray) -> Classes:
    """Probabilities (classes,) of a clip as an answer: of one class, or of tags as ``data.labels`` says."""
    exclusive = settings.data.labels == "one"
    return Classes(tuple(names), np.asarray(probabilities), exclusive, tags.THRESHOLD)


# ---------------------------------------------------------------- on disk


def save(
    folder: Path,
    model: keras.Model | None,
    use: Mapping[str, Any],
    settings: BaseModel,
    versions: Mapping[str, Any],
) -> None:
    """Write ``model.keras``, and ``use.json``: ``use`` (classes, scaler ...), the settings and the
    ``versions`` of what computes inputs.

    Versions are numbers, or a front end's profile, by name: a model that was trained on other features than
    this code computes would silently give wrong outputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if model is not None:
        model.save(folder / "model.keras")
    kept = {**use, "settings": settings.model_dump(mode="json", exclude_none=True), "versions": versions}
    (folder / "use.json").write_text(
        json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8"
    )


def load(
    folder: Path, kind: type[S], versions: Callable[[S], Mapping[str, Any]]
) -> tuple[dict[str, Any], S, Any]:
    """``use`` as `save` wrote it, also under version 0.1.0, its settings, and the model; None where there is
    no ``model.keras``.

    Raises
    ------
    UserError : the model was trained on what another version of this code computed.
    """
    path = folder / "use.json"
    use = json.loads(path.read_text(encoding="utf-8"))
    raw = upgraded(use["settings"])
    settings = settings_of(raw, str(path))
    assert isinstance(settings, kind)
    found = flatten(use.get("versions", {**FIRST, "profile": use.get("profile", {})}))
    for name, wanted in flatten(versions(settings)).items():
        if found.get(name) != wanted:
            raise UserError(
                f"{path}: versions.{name} = {json.dumps(found.get(name))}: must be {json.dumps(wanted)}, the"
                " version of this code, whose input features differ from those of the training; train it"
                " again with `audiomtl best NAME --again`"
            )
    for module in modules(kind, raw):  # a layer is known to Keras once its module is imported
        importlib.import_module(module)
    if not (folder / "model.keras").is_file():
        return use, settings, None
    return use, settings, saved.load(folder / "model.keras")


def of_features(settings: Any) -> dict[str, Any]:
    """The versions of a model that reads `features.extract`."""
    return {"features": features.FEATURES_VERSION}
