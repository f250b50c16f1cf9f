"""Trained models in Python: `audiomtl.load`.

Contents: `load`, `Model`.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, formats
from audiomtl.data.answers import Classes, Notes, Phones, Recording, Response, Segments, Value
from audiomtl.data.text import words_of
from audiomtl.errors import UserError
from audiomtl.harness.use import align as aligning
from audiomtl.harness.use import evaluate as evaluating
from audiomtl.harness.use.average import Average
from audiomtl.harness.use.inputs import Asked, asked, recording
from audiomtl.harness.use.models import Loaded, opened
from audiomtl.harness.use.predict import respond, together

Sound = str | Path | np.ndarray
Sounds = Sound | Iterable[Sound] | pd.DataFrame
LARGEST_PEAK = 2.0  # as `audio.load` has it


def load(source: str | Path, *, seed: int | None = None) -> "Model":
    """Load a trained model.

    Parameters
    ----------
    source : the name of an experiment or its file (the best run with the best validation score is taken), the
        folder of a saved model, or ``models:/NAME@ALIAS`` of MLflow's registry.
    seed : of the best run; None takes the best one.

    Raises
    ------
    UserError : there is no such model.
    """
    _import_tensorflow()
    return Model(opened(str(source), seed))


def _import_tensorflow() -> None:
    """Import TensorFlow, without the messages of its C++ code unless ``TF_CPP_MIN_LOG_LEVEL`` is set."""
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # for later messages; some of the import ignore it
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Model:
    """A trained model.

    Every method takes one recording or several: paths of sound files, folders, tables (CSV, Parquet) with one
    row per recording, DataFrames like these tables, or waveforms, arrays (n_samples,) of floats in [-1, 1]
    whose ``sample_rate`` is given. Sound is resampled to the model's rate.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def __repr__(self) -> str:
        answers = ", ".join(f"{name}: {kind}" for name, kind in self.gives.items())
        return f"<audiomtl.Model {self.loaded.told} ({self.settings.model}; {answers})>"

    @property
    def settings(self) -> Any:
        """Its settings, typed."""
        return self.loaded.settings

    @property
    def gives(self) -> dict[str, str]:
        """Kinds of its answers by name: classes, segments, phones, notes, values."""
        return self.loaded.gives

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the sound that it reads; 0 if it reads none."""
        return self.loaded.sample_rate

    def respond(self, recordings: Sounds, *, sample_rate: int | None = None) -> list[Response]:
        """Answers as they are (`audiomtl.data.answers`): scores over time among them.

        Raises
        ------
        UserError : a recording that cannot be read or answered, by name.
        """
        given = self._asked(recordings, sample_rate)
        loaded = together(self.loaded, given)
        return [respond(loaded, one) for one in given]

    def predict(self, recordings: Sounds, *, sample_rate: int | None = None) -> pd.DataFrame:
        """One row per recording.

        Returns
        -------
        DataFrame with the columns file (of an array its number), seconds and remarks, and of each answer,
        after ``NAME_`` unless the answer is called as its kind: predicted (a class, or a list of tags) and
        probability_CLASS; value; phones, segments or notes, as lists of (start, end, label or MIDI number).
        """
        return pd.DataFrame([_row(one) for one in self.respond(recordings, sample_rate=sample_rate)])

    def spans(self, recordings: Sounds, *, sample_rate: int | None = None) -> pd.DataFrame:
        """One row per segment, phone and note: file, answer, start_seconds, end_seconds, label, score."""
        timed = {name for name, kind in self.gives.items() if kind in ("segments", "phones", "notes")}
        return self._rows(recordings, sample_rate, timed, "segments, phones or notes")

    def transcribe(self, recordings: Sounds, *, sample_rate: int | None = None) -> pd.DataFrame:
        """One row per phone: file, answer, start_seconds, end_seconds, label, score.

        Raises
        ------
        UserError : the model gives no phones.
        """
        phones = {name for name, kind in self.gives.items() if kind == "phones"}
        return self._rows(recordings, sample_rate, phones, "phones")

    def align(
        self,
        recording: Sound,
        text: str | Sequence[str],
        *,
        phones: bool = False,
        language: str = "",
        sample_rate: int | None = None,
    ) -> pd.DataFrame:
        """Align a text with one recording.

        Parameters
        ----------
        text : words, or with ``phones`` phones: a text, or a list of them.
        language : of espeak-ng, which then pronounces the words; "" for the model's own way.

        Returns
        -------
        DataFrame with one row per phone: word ("" without one), phone, start_seconds, end_seconds, confidence
        of the phone, word_confidence (NaN without a word)

        Raises
        ------
        UserError : the model cannot align; symbols that it does not know; a text longer than the recording.
        """
        self._must("align", "aligns a text")
        self.loaded.use.check(self.settings, "align", "", self.loaded.place)
        split = str.split if phones else words_of
        said = split(text) if isinstance(text, str) else list(text)
        if not said:
            raise UserError(
                f"text: contains no {'phones' if phones else 'words'}; give that of the recording"
            )
        [one] = self._asked(recording, sample_rate)
        y = one.y if isinstance(one, Recording) else self._read(one).y
        found = self.loaded.use.align(self.loaded.fitted, y, said, phones=phones, language=language)
        return pd.DataFrame(aligning.rows(found), columns=list(aligning.COLUMNS))

    def embed(self, recordings: Sounds, *, sample_rate: int | None = None) -> list[np.ndarray]:
        """Embeddings of each recording, (n_patches, size), where the family has them (transfer).

        Raises
        ------
        UserError : the model has no embeddings.
        """
        self._must("embed", "has embeddings")
        found = []
        for one in self._asked(recordings, sample_rate):
            given = one if isinstance(one, Recording) else self._read(one)
            found += self.loaded.use.embed(self.loaded.fitted, [given])
        return found

    def evaluate(self, data: str | Path) -> "evaluating.Evaluated":
        """Scores on other labelled clips, with intervals: a table with the columns of the model's experiment,
        or the name of another experiment.
        """
        return evaluating.evaluate(self.loaded, str(data))

    # ------------------------------------------------------------ parts

    def _must(self, verb: str, does: str) -> None:
        if isinstance(self.loaded.fitted, Average) and verb not in vars(self.loaded.use):
            raise UserError(
                f"{self.loaded.place}: is the mean of {len(self.loaded.fitted.members)} models; only a single"
                f" model {does}: load one of its folders seed_N"
            )
        if not hasattr(self.loaded.use, verb):
            raise UserError(
                f"{self.loaded.place}: no model of the family {self.settings.model} {does}; this one gives"
                f" {', '.join(sorted({*self.gives.values()}))}"
            )

    def _rows(self, recordings: Any, sample_rate: int | None, wanted: set[str], what: str) -> pd.DataFrame:
        if not wanted:
            raise UserError(
                f"{self.loaded.place}: the model gives {', '.join(self.gives.values())}, but no {what}"
            )
        found: list[dict[str, Any]] = []
        for one in self.respond(recordings, sample_rate=sample_rate):
            found += [row for row in formats.rows(one) if row["answer"] in wanted]
        return pd.DataFrame(found, columns=list(formats.COLUMNS))

    def _read(self, one: Asked) -> Recording:
        return recording(one, self.sample_rate)

    def _asked(self, recordings: Any, sample_rate: int | None) -> list[Asked | Recording]:
        """Recordings to read, or as they are given."""
        if isinstance(recordings, pd.DataFrame):
            return [_of_row(row, number) for number, row in enumerate(recordings.to_dict("records"))]
        several = [recordings] if isinstance(recordings, str | Path | np.ndarray) else list(recordings)
        found: list[Asked | Recording] = []
        for number, one in enumerate(several):
            if isinstance(one, str | Path):
                some, lost = asked([one], self.loaded)
                if lost:
                    raise UserError(f"{one}: {lost} rows of the table have recordings that cannot be read")
                found += some
            else:
                found.append(Recording(str(number), self._waveform(one, number, sample_rate)))
        return found

    def _waveform(self, y: Any, number: int, sample_rate: int | None) -> np.ndarray:
        """A waveform at the model's rate."""
        array = np.asarray(y)
        place = f"array {number}"
        if sample_rate is None:
            raise UserError(f"{place}: sample_rate is missing; give the rate of the waveforms in Hz")
        if not self.sample_rate:
            raise UserError(f"{place}: the model reads no sound; give a table")
        if array.ndim != 1 or not array.size or not np.issubdtype(array.dtype, np.floating):
            raise UserError(
                f"{place}: a waveform must be a float array of shape (n_samples,), but got {array.dtype} of"
                f" shape {array.shape}; take the mean of its channels, and divide 16-bit integers by 32768"
            )
        peak = np.abs(array).max()
        if not peak <= LARGEST_PEAK:
            raise UserError(
                f"{place}: samples must lie in [-1, 1], but reach {peak:.6g}; divide 16-bit integers by 32768"
            )
        samples = array.astype(np.float32)
        if sample_rate != self.sample_rate:
            samples = audio._resample(samples, sample_rate, self.sample_rate)
        return np.clip(samples, -1.0, 1.0)


def _of_row(row: dict[Any, Any], number: int) -> Asked:
    """A row of a DataFrame as a recording."""
    path = row.get("path")
    file = path if isinstance(path, str) and path else ""
    columns = {str(name): value for name, value in row.items()}
    name = str(row.get("clip_id", file or number))
    return Asked(name, Path(file) if file else None, columns)


def _row(response: Response) -> dict[str, Any]:
    """A response as one row."""
    row: dict[str, Any] = {"file": response.name, "seconds": response.seconds}
    for name, answer in response.answers.items():
        kind = formats.KINDS[type(answer)]
        before = "" if name == kind else f"{name}_"
        match answer:
            case Classes():
                ranked = formats.ranked(answer)
                tags = [label for label, value in ranked if value >= answer.threshold]
                row[f"{before}predicted"] = ranked[0][0] if answer.exclusive else tags
                row |= {
                    f"{before}probability_{label}": float(value)
                    for label, value in zip(answer.names, answer.probabilities, strict=True)
                }
            case Value():
                row[f"{before}value"] = answer.value
            case Notes():
                row[f"{before}notes"] = list(answer.notes)
            case Segments() | Phones():
                row[f"{before}{kind}"] = [
                    (one.start_seconds, one.end_seconds, one.label) for one in answer.spans
                ]
    return row | {"remarks": list(response.remarks)}
