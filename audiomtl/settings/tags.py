"""Settings of data sets that a person writes, whose clips may have several labels. Contents: `Tagged`."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Strings

COLUMN = "tags"  # that is made of several columns of 0 and 1


class Tagged(DataSet):
    """``[data]`` of a table of one's own. ``label = ["rain", "wind"]`` names columns of 0 and 1."""

    label_separator: str = Field(
        "",
        description=(
            'What separates the classes in a cell, such as ";", with data.labels = "several"; "" takes lists'
            ' alone. Default "".'
        ),
    )
    label_columns: Strings = Field(
        (),
        description=(
            "Columns of 0 and 1, one per class, of which the column data.label is made; data.label = [...] is"
            " short for it. Default []."
        ),
    )
    labels_left_out: Strings = Field(
        (), description='Classes that are taken out of every cell, with data.labels = "several". Default [].'
    )

    @model_validator(mode="before")
    @classmethod
    def _label_may_be_columns(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and _are_columns(raw.get("label")) and "label_columns" not in raw:
            own = {"label": COLUMN, "label_columns": list(raw["label"])}
            return {"labels": "several", **raw, **own}
        return raw

    @field_validator("label", mode="before")
    @classmethod
    def _label_is_a_column(cls, label: Any) -> Any:
        if isinstance(label, list | tuple):
            raise ValueError("must be the name of a column, or a list of different columns of 0 and 1")
        return label

    @model_validator(mode="after")
    def _several_labels(self) -> Self:
        given = f'label_separator = "{self.label_separator}"' if self.label_separator else ""
        given = f"labels_left_out = {list(self.labels_left_out)}" if self.labels_left_out else given
        given = f"label_columns = {list(self.label_columns)}" if self.label_columns else given
        if given and self.labels == "one":
            raise ValueError(f'{given}: is for several labels per clip; set labels = "several" as well')
        if self.label_separator and self.label_columns:
            raise ValueError(f"{given}: columns of 0 and 1 have no label_separator; remove one of the two")
        if self.label in self.label_columns or (self.label_columns and not self.label):
            raise ValueError(
                f'{given}: label = "{self.label}" must be a name of its own for what is made of them'
            )
        return self


def _are_columns(label: Any) -> bool:
    """Whether a label is a list of different names."""
    named = isinstance(label, list) and all(isinstance(name, str) and name.strip() for name in label)
    return named and 0 < len(set(label)) == len(label)
