"""What the clips of a CTC experiment tell before training. Contents: `clips`, `check_sides`."""

from itertools import pairwise

import pandas as pd

from audiomtl.data import catalog, splits, text
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.families.ctc.settings import Settings

SLACK = 1  # frames: lengths are rounded


def clips(settings: Settings, table: pd.DataFrame) -> pd.DataFrame:
    """The clips that have phones, with times where times are learned, and enough frames for them."""
    table = text.with_phones(table, settings.text)
    if "phones" not in table.columns:
        raise UserError(
            f'data.dataset = "{settings.data.dataset}": the clip table has no column phones, which ctc'
            " learns; add it, or a column of transcripts and the table [text]; it has"
            f" {', '.join(map(str, table.columns))}"
        )
    table = text.checked(table)
    lacking = text.untranscribed(table)
    if lacking.any() and (settings.network.untranscribed == "error" or lacking.all()):
        named = ", ".join(map(str, table["clip_id"][lacking][:5]))
        raise UserError(
            f"{int(lacking.sum())} of {len(table)} clips have no transcript: {named}: add them, or leave the"
            ' clips out with network.untranscribed = "drop"'
        )
    table = table[~lacking].reset_index(drop=True)
    if settings.network.objective != "ctc" and not all(len(starts) for starts in table["starts"]):
        raise UserError(
            f'network.objective = "{settings.network.objective}": needs phone times, which'
            f' {settings.data.dataset} lacks: use "ctc"'
        )
    if settings.network.infeasible == "error":
        _check_lengths(settings, table)
    return table


def check_sides(settings: Settings, sides: Splits) -> None:
    """Train has every phone of validation and test."""
    if settings.network.unseen == "error":
        splits.check_phones(sides)


def _check_lengths(settings: Settings, table: pd.DataFrame) -> None:
    """As `examples.audit` checks when the frames are there."""
    bad = []
    for clip, seconds, phones in zip(table["clip_id"], catalog.seconds(table), table["phones"], strict=True):
        frames = settings.features.frames(seconds) / settings.network.time_reduction + 1 + SLACK
        repeats = sum(one == other for one, other in pairwise(phones))
        if frames < len(phones) + repeats:  # never where the length is not known
            bad.append(str(clip))
    if bad:
        raise UserError(
            f"{len(bad)} clips have more phones (and repeats) than network frames: {', '.join(bad[:5])}:"
            ' shorten features.hop_seconds, lower network.time_reduction, or set network.infeasible = "drop"'
        )
