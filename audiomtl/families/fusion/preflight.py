"""What the clips of a fusion experiment tell before training. Contents: `clips`."""

import pandas as pd

from audiomtl.families.fusion import inputs
from audiomtl.families.fusion.settings import Settings

LIGHT = ("text", "score", "table")  # kinds whose values stand in the table, not in files


def clips(settings: Settings, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of every modality are there, and their values are of its kind."""
    for name, modality in settings.used.items():
        inputs.check_column(table, name, modality, settings.data.label)
        if modality.kind in LIGHT:
            inputs.values_of(table, name, modality)
    return table
