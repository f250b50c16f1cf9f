"""How many trainings judge a trial: the table ``[judge]`` of a study file. Contents: `Judge`, `judge_of`."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.table import Count, Table


class Judge(Table):
    """The trainings of one trial; its score is their mean.

    ===== ===============================================================================================
    one   one training, on the split of ``study_seed``
    folds one training on each inner fold: another part validates, test stays unseen
    seeds trainings of different seeds on the split of ``study_seed``
    ===== ===============================================================================================
    """

    over: Literal["one", "folds", "seeds"] = Field(
        description=(
            "What judges a trial: one training, one training per inner fold, or trainings of several seeds on"
            " one split. Without the table: folds where the protocol has them, else one."
        )
    )
    n: Count | None = Field(
        None, description="Number of trainings per trial. Default: all inner folds; seeds need a number."
    )
    drop: bool = Field(
        True,
        description=(
            "Whether a trial is stopped after some of its trainings if its predictions on the same clips are"
            " worse than those of the best trial. Default true."
        ),
    )

    @model_validator(mode="after")
    def _a_number_that_fits(self) -> Self:
        if self.over == "one" and self.n not in (None, 1):
            raise ValueError(
                f'n must be left out with over = "one", but got {self.n}: use over = "folds" or "seeds"'
            )
        if self.over == "seeds" and self.n is None:
            raise ValueError('n is missing: over = "seeds" needs a number of trainings, such as n = 3')
        if self.over != "one" and self.n == 1:
            raise ValueError(f'n must be at least 2 with over = "{self.over}", but got 1: use over = "one"')
        return self


def judge_of(given: Judge | None, raw: Mapping[str, Any]) -> Judge:
    """How the trials of a study are judged.

    Parameters
    ----------
    given : the file's table ``[judge]``, if it has one.
    raw : raw settings of the experiment; without a table the kind of its protocol decides.
    """
    if given is not None:
        return given
    protocol = raw.get("protocol", {})
    kind = protocol.get("kind")
    folds = kind in ("folds", "leave_one_out") or (kind == "blocks" and protocol.get("rotations") != 1)
    return Judge(over="folds" if folds and not protocol.get("leaky") else "one", n=None, drop=True)
