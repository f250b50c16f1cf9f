"""Normalisation of features over all clips of a group, such as a speaker: what is constant in a voice, or in
a place, goes, and what changes from clip to clip stays.

Conventions: frames are (n_frames, n_bands); a `Normal` is a mean and a deviation of each feature, over all
frames of a group's clips. It uses no labels, so clips of the validation and test split are normalised like
those of train, each by its own group: a model that was trained so has to be given several recordings of a
speaker, and the more it hears the better. Recordings without a value are one group.

Contents: `Normal`, `normals`, `normalized`; `by_column` of a table; of new recordings `of_recordings`,
`of_recording`, `remarks`; `value_of`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import features, scaling
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.settings.shared import GroupFeatures
from audiomtl.settings.validation import nearest


@dataclass(frozen=True, eq=False)
class Normal:
    """Mean and deviation (n_bands,) float64 of each feature over a group's frames, and its clips."""

    mean: np.ndarray
    deviation: np.ndarray
    clips: int = 1


def normals(clips: Iterable[tuple[str, np.ndarray]]) -> dict[str, Normal]:
    """The statistics of each group.

    Parameters
    ----------
    clips : (group, frames) of every clip; one clip is in memory at a time.
    """
    found: dict[str, scaling.Statistics] = {}
    count = Counter[str]()
    for group, frames in clips:
        found.setdefault(group, scaling.Statistics()).add(np.asarray(frames))
        count[group] += 1
    return {
        group: Normal(np.asarray(one.band_mean), np.sqrt(one.band_squares / one.frames), count[group])
        for group, one in sorted(found.items())
        if one.frames
    }


def normalized(frames: np.ndarray, normal: Normal) -> np.ndarray:
    """Frames less the mean, over the deviation, as a new array float32; what does not vary becomes 0."""
    return scaling.standardised(np.array(frames, np.float32), normal.mean, normal.deviation)


def by_column(
    table: pd.DataFrame, frames: Sequence[np.ndarray], column: str, *, needed: bool = True
) -> list[np.ndarray]:
    """The frames of each row of a clip table, normalised over all rows with its value; as they are without a
    column. The result is held in memory.

    Parameters
    ----------
    needed : whether the table must have the column, with a value in each row; otherwise all rows without one
        are one group.

    Raises
    ------
    UserError : there is no such column, or a clip has no value in it.
    """
    if not column:
        return list(frames)
    if column not in table.columns and needed:
        names = list(map(str, table.columns))
        raise UserError(
            f'features.normalize_by = "{column}": the clip table has no such column{nearest(column, names)};'
            f" it has {', '.join(names)}"
        )
    values = [value_of(value) for value in table.get(column, [""] * len(table))]
    empty = [clip for clip, value in zip(table["clip_id"], values, strict=True) if not value]
    if empty and needed:
        raise UserError(
            f'features.normalize_by = "{column}": {len(empty)} clips have no value ({", ".join(empty[:5])});'
            " fill it in, or leave them out"
        )
    known = normals(zip(values, frames, strict=True))
    return [normalized(one, known[value]) for one, value in zip(frames, values, strict=True)]


def value_of(cell: Any) -> str:
    """A cell of a column of groups as text, "" where it is missing."""
    missing = cell is None or (isinstance(cell, float) and np.isnan(cell))
    return "" if missing else str(cell).strip()


def of_recordings(recordings: Iterable[Recording], settings: GroupFeatures) -> dict[str, Normal]:
    """The statistics of new recordings that are answered together: over all that have one value in the column
    ``settings.normalize_by``, and over all that have none. None, and no recording is read, without a column.
    """
    if not settings.normalize_by:
        return {}
    return normals(
        (value_of(one.columns.get(settings.normalize_by)), features.extract(one.y, settings))
        for one in recordings
        if len(one.y)
    )


def of_recording(
    frames: np.ndarray, columns: Mapping[str, Any], column: str, known: Mapping[str, Normal]
) -> np.ndarray:
    """The frames of a new recording: normalised by the statistics of its group, where these are known,
    otherwise by its own; as they are without a column.
    """
    if not column:
        return frames
    normal = known.get(value_of(columns.get(column))) or normals([("", frames)])[""]
    return normalized(frames, normal)


def remarks(one: Recording, column: str, known: Mapping[str, Normal]) -> tuple[str, ...]:
    """The remark on a recording that is normalised by nothing but itself, or with others of which nobody says
    that they belong together; () on others.
    """
    if not column:
        return ()
    group = value_of(one.columns.get(column))
    if group not in known or known[group].clips == 1:
        return (f"no other recording of its {column} was given: features are normalized by this one alone",)
    if not group:
        return (
            f"without a {column}: features are normalized over the {known[group].clips} recordings without"
            " one, as if they had the same",
        )
    return ()
