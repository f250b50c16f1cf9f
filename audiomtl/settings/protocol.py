"""Settings of the split into train, validation and test (``data/protocols.py``)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.table import Count, Integers, Share, Table, used_when


class Protocol(Table):
    """How clips are split. One flat table: keys that the kind does not use may be left out.

    ============= ============================================================================================
    split         shares of the clips, by whole groups: test is the same for every seed, the rest is drawn
                  anew for each; or a column that names sides
    folds         seed s tests on fold s mod k, the next fold validates: nested cross-validation of k seeds
    blocks        whole values of several group columns, crossed; off the diagonal is dropped
    leave_one_out seed s tests on value s mod n of the first group column, the next value validates
    ============= ============================================================================================
    """

    kind: Literal["split", "folds", "blocks", "leave_one_out"] = Field(
        description=(
            "How clips are split: by fractions or a column of split names, by folds, by blocks of several"
            " groups, or by a group value."
        )
    )
    column: str = used_when(
        {"kind": ("split", "folds")},
        description=(
            'Column of "train", "validation", "test" (split) or of fold names (folds); "" lets the project'
            " draw the splits."
        ),
    )
    test_share: Share = used_when(
        {"kind": "split", "column": ""},
        {"leaky": True},
        description="Fraction of the clips for test, above 0; the same for every seed.",
    )
    validation_share: Share = used_when(
        {"kind": "split", "column": ""},
        {"leaky": True},
        description="Fraction of the clips for validation, above 0; drawn for each seed.",
    )
    stratified: bool = used_when(
        {"kind": ("split", "folds"), "column": ""},
        description="Whether every split gets about the same fraction of each class of data.label.",
    )
    folds: Annotated[int, Field(ge=3)] = used_when(
        {"kind": "folds", "column": ""}, description="Number of folds to draw."
    )
    test_values: Integers = used_when(
        {"kind": "blocks"},
        description="Number of values held out for test, one number for each column of data.groups.",
    )
    validation_values: Integers = used_when(
        {"kind": "blocks"},
        description="Number of values held out for validation, one number for each column of data.groups.",
    )
    rotations: Count = used_when(
        {"kind": "blocks"},
        description=(
            "Number of test blocks; seed s tests on block s mod rotations, so 1 gives every seed the same"
            " split."
        ),
    )
    leaky: bool = used_when(
        description="False in families whose examples are whole clips; see the family mil."
    )

    split_seed: int | None = Field(
        None,
        description=(
            "Seed of the split alone, so that trainings of different seeds share it. Default: the seed of the"
            " training."
        ),
    )
    inner_fold: Annotated[int, Field(ge=0)] = Field(
        0,
        description=(
            "Which of the folds beside the test fold validates, counted from the one after it; test stays the"
            " same. Studies set it where they judge over folds. Default 0."
        ),
    )

    train_on: Literal["train", "train_and_validation", "all"] = Field(
        "train",
        description=(
            "Splits that are trained on. Scores of a split that is trained on are not reported, and studies"
            ' train on "train". Default "train".'
        ),
    )

    @property
    def scored(self) -> tuple[str, ...]:
        """Splits whose scores mean something: those that are not trained on."""
        return {"train": ("validation", "test"), "train_and_validation": ("test",), "all": ()}[self.train_on]

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        shares = (self.test_share, self.validation_share)
        if self.kind == "split" and not self.column and (min(shares) <= 0 or sum(shares) >= 1):
            raise ValueError(
                f"test_share and validation_share must be above 0 and their sum below 1, but got {shares[0]}"
                f" and {shares[1]}"
            )
        return self

    @model_validator(mode="after")
    def _windows_have_no_folds(self) -> Self:
        if self.leaky and self.train_on != "train":
            raise ValueError(f'train_on must be "train" with leaky = true, but got "{self.train_on}"')
        if self.leaky and self.inner_fold:
            raise ValueError(f"inner_fold must be 0 with leaky = true, but got {self.inner_fold}")
        return self
