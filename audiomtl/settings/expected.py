"""``[expected]`` of an experiment file: the scores of its best runs, and where they were recorded. Written by ``audiomtl best --record``.

Unlike a table that a person writes it may have more keys than these.
"""

import math
import statistics
from typing import Annotated, Self

from pydantic import ConfigDict, Field, Strict, model_validator

from audiomtl.settings.shared import Count, Integers, NotNegative, Table


class Origin(Table):
    """``[expected.recorded]``."""

    model_config = ConfigDict(extra="allow")

    machine: str
    device: str = "CPU"  # or GPU and its name
    threads: Count = 1  # TensorFlow threads of each training
    seeds: Integers


class Score(Table):
    """``[expected."test/phone_error_rate"]``."""

    model_config = ConfigDict(extra="allow")

    mean: float
    per_seed: Annotated[tuple[float, ...], Strict(False), Field(min_length=1)]  # in the order of recorded.seeds
    tolerance: NotNegative  # largest difference of one seed on another machine


class Expected(Table):
    """The whole of it: ``recorded`` and one table per score."""

    recorded: Origin
    scores: dict[str, Score]

    @model_validator(mode="after")
    def _one_score_per_seed(self) -> Self:
        for name, score in self.scores.items():
            if len(score.per_seed) != len(self.recorded.seeds):
                raise ValueError(
                    f"{name}: per_seed needs one score for each of recorded.seeds = {list(self.recorded.seeds)}, "
                    f"but got {list(score.per_seed)}"
                )
            if not math.isclose(score.mean, statistics.fmean(score.per_seed), rel_tol=1e-9, abs_tol=1e-12):
                raise ValueError(f"{name}: mean must be that of per_seed, {statistics.fmean(score.per_seed):.6g}, but got {score.mean:.6g}")
        return self
