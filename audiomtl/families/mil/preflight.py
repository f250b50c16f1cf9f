"""What the clips of a MIL experiment tell before training. Contents: `clips`."""

import pandas as pd

from audiomtl.data.preflight import lengths
from audiomtl.errors import UserError
from audiomtl.families.mil.settings import Settings


def clips(settings: Settings, table: pd.DataFrame) -> pd.DataFrame:
    """Stored embeddings and the window network agree, and every clip has a window."""
    stored = "embedding_path" in table
    if (settings.network.window == "embedding") != stored:
        raise UserError(
            f'network.window = "{settings.network.window}": stored embeddings (a column embedding_path) and'
            ' the window network "embedding" need each other, but the clip table has'
            f" {'embedding_path' if stored else 'no such column'}"
        )
    if settings.network.window == "yamnet":
        return table  # it fills up what is shorter than a patch
    short = lengths(table) < settings.windows.seconds - settings.features.hop_seconds
    if settings.windows.tail == "drop" and short.any():
        raise UserError(
            f'windows.tail = "drop": {int(short.sum())} clips have no window of {settings.windows.seconds} s:'
            ' use tail = "pad", a shorter window, or leave them out'
        )
    return table
