"""What the clips of a CTC experiment tell before training. Contents: `check`, `check_sides`."""

from itertools import pairwise

import numpy as np
import pandas as pd

from audiomtl.data import splits
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.families.ctc.settings import Settings

SLACK = 1  # frames: lengths in an index are rounded


def check(settings: Settings, table: pd.DataFrame) -> None:
    """There are phones, with times where they are learned, and enough frames for them."""
    if "phones" not in table:
        raise UserError(
            f'data.dataset = "{settings.data.dataset}": CTC learns a column phones, which the clip table'
            f" lacks; it has {', '.join(map(str, table.columns))}"
        )
    lacking = [clip for clip, phones in zip(table["clip_id"], table["phones"], strict=True) if _none(phones)]
    if lacking:
        raise UserError(
            f"phones: {len(lacking)} clips have none ({', '.join(map(str, lacking[:5]))}); write their"
            " phones, or leave them out"
        )
    timed = "starts" in table and all(len(starts) for starts in table["starts"] if not _none(starts))
    if settings.network.objective != "ctc" and not timed:
        raise UserError(
            f'network.objective = "{settings.network.objective}": needs phone times, which'
            f' {settings.data.dataset} lacks: use "ctc"'
        )
    if settings.network.infeasible == "error" and "seconds" in table:
        _check_lengths(settings, table)


def check_sides(settings: Settings, sides: Splits) -> None:
    """Train has every phone of validation and test."""
    splits.check_phones(sides)


def _none(cell: object) -> bool:
    return not isinstance(cell, list | tuple | np.ndarray) or not len(cell)


def _check_lengths(settings: Settings, table: pd.DataFrame) -> None:
    """As `model.prepare` checks when the frames are there."""
    bad = []
    for clip, seconds, phones in zip(table["clip_id"], table["seconds"], table["phones"], strict=True):
        frames = settings.features.frames(seconds) / settings.network.time_reduction + 1 + SLACK
        repeats = sum(one == other for one, other in pairwise(phones))
        if frames < len(phones) + repeats:
            bad.append(str(clip))
    if bad:
        raise UserError(
            f"{len(bad)} clips have more phones (and repeats) than network frames: {', '.join(bad[:5])}:"
            ' shorten features.hop_seconds, lower network.time_reduction, or set network.infeasible = "drop"'
        )
