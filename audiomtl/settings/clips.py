"""Settings of an experiment on a clip table: where the clips come from and how they are split.

A data set or corpus is one module, in which a class ``Settings`` derives from `DataSet`. A family's own
settings name `DataSet` only; `family.settings_class` puts the class of the data set that the file names in
its place.

Contents: `DataSet`, `Subset`, `several`, `ClipExperiment`, `LabelledExperiment`, `WeightedExperiment`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from audiomtl.settings.protocol import Protocol
from audiomtl.settings.shared import Experiment
from audiomtl.settings.table import Count, Strings, Table

Values = Annotated[tuple[bool | int | str, ...], Strict(False), Field(min_length=1)]
Subset = Mapping[str, Values | int]


class DataSet(Table):
    """``[data]`` as far as every data set has it."""

    dataset: str = Field(
        description=(
            "Data set or corpus: a module of audiomtl/data, or with a dot in its name a module outside the"
            " project."
        )
    )
    label: str = Field(
        "",
        description=(
            "Column of the clip table with each clip's class. May be left out where no class is learned."
        ),
    )
    labels: Literal["one", "several"] = Field(
        "one",
        description=(
            "Whether each clip has exactly one class, or a list of any number of classes (tags), none"
            ' included. Default "one".'
        ),
    )
    groups: Strings = Field(
        description=(
            "Columns of the clip table whose values never appear in more than one split, such as speaker or"
            " song."
        )
    )
    pauses: Strings | None = Field(
        None,
        description=(
            "Phones that are pauses, which no phone error rate counts. Default: those of the data set (sil of"
            " TIMIT, _ of others; of your own data _, sil, sp, pau and h#)."
        ),
    )
    subset: dict[str, Values | Count] = Field(
        {},
        description=(
            "Clips that are used: for a column of the clip table the values that are read, each of which must"
            " occur, or how many different values must remain. Default {}: all."
        ),
    )
    on_odd: Literal["ignore", "warn", "skip", "error"] = Field(
        "ignore",
        description=(
            "What to do about recordings that are silent (also in one channel), constant, clipped, in"
            " antiphase or very short: ignore, print, leave out, or stop. All but ignore decode each"
            " recording once."
        ),
    )


def several(data: Mapping[str, Any]) -> bool:
    """Whether a raw table ``[data]`` gives clips several labels."""
    return data.get("labels") == "several" or isinstance(data.get("label"), list | tuple)


class ClipExperiment(Experiment):
    """An experiment whose clips are divided by a protocol."""

    data: DataSet = Field(description="Where the clips come from.")
    protocol: Protocol = Field(description="How clips are divided into train, validation and test.")

    @model_validator(mode="after")
    def _groups_for_the_protocol(self) -> Self:
        groups, protocol = self.data.groups, self.protocol
        for name, values in (
            ("test_values", protocol.test_values),
            ("validation_values", protocol.validation_values),
        ):
            if protocol.kind == "blocks" and (not groups or len(values) != len(groups) or min(values) < 1):
                raise ValueError(
                    f"protocol.{name} must have one number >= 1 for each of data.groups = {list(groups)}, but"
                    f" got {list(values)}"
                )
        if protocol.kind == "leave_one_out" and not groups:
            raise ValueError(
                "protocol.kind = leave_one_out leaves out values of the first of data.groups, but there is"
                " none"
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_chosen_on_what_is_trained_on(self) -> Self:
        training = getattr(self, "training", None)
        if self.protocol.train_on != "train" and training is not None and training.keep != "last":
            raise ValueError(
                f'protocol.train_on = "{self.protocol.train_on}" trains on the validation split, which then'
                f' cannot choose an epoch: set training.keep = "last", but got "{training.keep}"'
            )
        decoding = getattr(self, "decoding", None)
        tables = decoding if isinstance(decoding, Mapping) else {"": decoding}
        for head, table in tables.items() if self.protocol.train_on != "train" else ():
            for name, value in table or ():
                if isinstance(value, tuple) and len(value) > 1:
                    place = ".".join(filter(None, ("decoding", head, name)))
                    raise ValueError(
                        f'protocol.train_on = "{self.protocol.train_on}" trains on validation clips, which'
                        f" then cannot choose {place}: give one number, but got {list(value)}"
                    )
        return self


class LabelledExperiment(ClipExperiment):
    """An experiment that learns the class of each clip."""

    @model_validator(mode="after")
    def _has_a_label(self) -> Self:
        if not self.data.label:
            raise PydanticCustomError("needed", "it names the column of classes", {"path": "data.label"})
        return self


class WeightedExperiment(LabelledExperiment):
    """An experiment whose loss can weight classes and clips."""

    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description=(
            "Whether every class has the same part in the loss, however many clips it has (balanced; of tags:"
            ' clips with a tag and clips without it), or every clip (none). Default "none".'
        ),
    )
    item_weight: str = Field(
        "",
        description=(
            "Column of each train clip's weight in the loss, a number of at least 0; it multiplies the weight"
            ' of the clip\'s class; "" weights all equally. Default "".'
        ),
    )

    @model_validator(mode="after")
    def _normalized_within_sides(self) -> Self:
        column = getattr(getattr(self, "features", None), "normalize_by", "")
        if column and column not in self.data.groups and not self.protocol.leaky:
            raise ValueError(
                f'features.normalize_by = "{column}": one value may be on two sides of the split, whose'
                f' clips would be normalized together: add "{column}" to data.groups'
            )
        return self

    @model_validator(mode="after")
    def _something_to_weight(self) -> Self:
        for table in ("classifier", "head"):
            chosen = getattr(self, table, None)
            kind = getattr(chosen, "name", None) or getattr(chosen, "kind", None)
            for setting, unset in (("class_weights", "none"), ("item_weight", "")):
                value = getattr(self, setting)
                if value != unset and kind == "nearest_neighbours":
                    raise ValueError(
                        f'{setting} = "{value}": nearest_neighbours knows no weights; set {setting} ='
                        f' "{unset}", or choose another classifier'
                    )
        return self
