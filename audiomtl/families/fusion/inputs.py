"""Columns of a clip table that are inputs: words, notes, pictures, numbers.

Conventions: one row of the table is one clip: what belongs together stands in one row. A value of none (null,
NaN): the clip lacks the modality. Every fault is refused with the setting, the clip and the value.

Contents: `check_column`, `values_of`, `tokens`, `notes`, `picture`, `numbers`.
"""

from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd

from audiomtl.data.scores import HIGHEST, LOWEST
from audiomtl.errors import UserError
from audiomtl.families.fusion.settings import Modality
from audiomtl.settings.validation import nearest, show


def check_column(table: pd.DataFrame, name: str, modality: Modality, label: str) -> None:
    """The columns of ``[modalities.NAME]`` are there, and what stands in one row belongs to one clip.

    Raises
    ------
    UserError : an absent column; an ``id_column`` that says another clip than clip_id, with its row; a file
        in rows of unlike labels that is not ``shared``.
    """
    place, known = f"modalities.{name}", list(map(str, table.columns))
    for setting, column in (("column", modality.column), ("id_column", modality.id_column)):
        if (column or setting == "column") and column not in known:
            hint = f"{nearest(column, known)}; it has {', '.join(known)}"
            raise UserError(f'{place}.{setting} = "{column}": the clip table has no such column{hint}')
    if modality.id_column:
        other = table[table[modality.id_column].astype(str) != table["clip_id"].astype(str)]
        if len(other):
            row = other.iloc[0]
            raise UserError(
                f'{place}.id_column = "{modality.id_column}": row {other.index[0]} pairs modalities of'
                " different clips: clip_id is "
                f"{row['clip_id']}, but {modality.id_column} is {row[modality.id_column]} ({len(other)} such"
                " rows); join tables by clip_id"
            )
    if modality.kind in ("image", "audio") and not modality.shared:
        labels = table[table[modality.column].notna()].groupby(modality.column)[label].nunique()
        if (labels > 1).any():
            file = labels.index[labels > 1][0]
            rows = table[table[modality.column] == file]
            said = ", ".join(
                f"{clip} ({answer})" for clip, answer in zip(rows["clip_id"], rows[label], strict=True)
            )
            raise UserError(
                f"{place}: {file} occurs in rows with different {label}: {said}: modalities of different"
                f" clips are paired; give every clip its own file, or say {place}.shared = true where a label"
                " belongs to the pair"
            )


def values_of(table: pd.DataFrame, name: str, modality: Modality) -> list[Any]:
    """Of each clip, in the table's order: a path (audio), tokens, notes, picture or numbers; None where it
    lacks them.

    Raises
    ------
    UserError : a value that is not of its kind; pictures or numbers of unlike shape.
    """
    column = [
        None if value is None or (np.ndim(value) == 0 and pd.isna(value)) else value
        for value in table[modality.column]
    ]
    read: Any = {"audio": _path, "text": tokens, "score": notes, "image": picture, "table": numbers}[
        modality.kind
    ]
    places = [f"modalities.{name}: {clip}" for clip in table["clip_id"]]
    found: list[Any] = [
        None if value is None else read(value, place) for value, place in zip(column, places, strict=True)
    ]
    if modality.kind in ("image", "table"):
        shapes = [
            (value.shape, place) for value, place in zip(found, places, strict=True) if value is not None
        ]
        for shape, place in shapes:
            if shape != shapes[0][0]:
                raise UserError(
                    f"{place}: has shape {shape}, but the first clip has {shapes[0][0]}; all need the same:"
                    " resize them first"
                )
    return found


def _path(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{place}: {show(value)}: must be the path of a sound file")
    return value


def tokens(value: Any, place: str) -> list[str]:
    """A list of tokens unchanged; one text split at spaces."""
    found = value.split() if isinstance(value, str) else list(value) if np.ndim(value) == 1 else None
    if found is None or not all(isinstance(token, str) for token in found):
        raise UserError(
            f"{place}: {show(value)}: must be a list of tokens, or a text with tokens separated by spaces"
        )
    return found


def notes(value: Any, place: str) -> np.ndarray:
    """(n_notes, 3): onset and offset in seconds, MIDI pitch from 21 to 108."""
    try:
        found = np.array([tuple(note) for note in value], np.float64).reshape(-1, 3)
    except (TypeError, ValueError):
        raise UserError(
            f"{place}: {show(value)}: must be a list of (onset seconds, offset seconds, MIDI pitch)"
        ) from None
    for onset, offset, pitch in found:
        if not (LOWEST <= pitch <= HIGHEST and pitch == round(pitch)):
            raise UserError(
                f"{place}: a note of MIDI pitch {pitch:g}: a piano has whole pitches from 21 to 108;"
                " transpose or remove it"
            )
        if not 0 <= onset < offset < np.inf:
            raise UserError(f"{place}: a note from {onset:g} to {offset:g} s: 0 <= onset < offset must hold")
    return found


def picture(value: Any, place: str) -> np.ndarray:
    """(height, width, 3) float32 of a PNG or NPY file; whole numbers become shares of their greatest.

    Grey is repeated, alpha left out.
    """
    try:
        pixels = (
            np.load(value, allow_pickle=False)
            if str(value).endswith(".npy")
            else matplotlib.image.imread(value)
        )
    except (OSError, ValueError, SyntaxError, TypeError, AttributeError) as error:
        raise UserError(
            f"{place}: {show(value)}: cannot be read as an image ({error}); it must be a PNG or NPY file"
        ) from None
    pixels = pixels / np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else pixels
    pixels = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not np.isfinite(pixels).all():
        raise UserError(
            f"{place}: {value}: has shape {pixels.shape}, but a picture is (height, width) or (height, width,"
            " 3), all finite"
        )
    return pixels[:, :, :3].astype(np.float32)


def numbers(value: Any, place: str) -> np.ndarray:
    """(numbers,) float64"""
    try:
        found = np.atleast_1d(np.array(value, np.float64))
    except (TypeError, ValueError):
        raise UserError(f"{place}: {show(value)}: must be a number or a list of numbers") from None
    if found.ndim != 1 or not np.isfinite(found).all():
        raise UserError(
            f"{place}: {show(value)}: must be a list of finite numbers; a clip that lacks them has none"
            " (null) there"
        )
    return found
