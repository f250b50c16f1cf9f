"""What the clips of a multi-task experiment tell before training. Contents: `clips`, `check_sides`."""

import pandas as pd

from audiomtl.data import item_weights, text
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.families.multitask.examples import classes_of, refuse_texts, with_arrays
from audiomtl.families.multitask.settings import Settings


def clips(settings: Settings, table: pd.DataFrame) -> pd.DataFrame:
    """Every column that a head or an input names is there, and has lists where they are read."""
    table = text.with_phones(with_arrays(table), settings.text)
    named = {"inputs.text": settings.inputs.text, "inputs.score": settings.inputs.score}
    for place, column in named.items():
        item_weights.check_column(column, table.columns, place)
    for name, head in settings.heads.items():
        item_weights.weights_of(table, head.item_weight, f"heads.{name}.item_weight")
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
