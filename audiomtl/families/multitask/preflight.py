"""What the clips of a multi-task experiment tell before training. Contents: `clips`, `check_sides`."""

import pandas as pd

from audiomtl.data import text
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.families.multitask.examples import classes_of, refuse_texts, with_arrays
from audiomtl.families.multitask.settings import Settings
from audiomtl.settings.validation import nearest


def clips(settings: Settings, table: pd.DataFrame) -> pd.DataFrame:
    """Every column that a head or an input names is there, and has lists where they are read."""
    table = text.with_phones(with_arrays(table), settings.text)
    columns = list(map(str, table.columns))
    named = {"inputs.text": settings.inputs.text, "inputs.score": settings.inputs.score}
    named |= {f"heads.{name}.item_weight": head.item_weight for name, head in settings.heads.items()}
    for place, column in named.items():
        if column and column not in columns:
            raise UserError(
                f'{place} = "{column}": the clip table has no such column{nearest(column, columns)}; it has'
                f" {', '.join(columns)}"
            )
    refuse_texts(table, settings)
    return table


def check_sides(settings: Settings, sides: Splits) -> None:
    """Train has the label of every head, and classes enough to learn."""
    train = sides.train
    for name, head in settings.heads.items():
        classes_of(name, head, train, settings)
        if not train[head.reads(settings.data.label)].notna().any():
            raise UserError(
                f"heads.{name}: no clip of the train split has its label; raise labelled_share or remove the"
                " head"
            )
