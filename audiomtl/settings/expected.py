"""``[expected]`` of an experiment file: the scores of its best runs, and where they were recorded. Written by
``audiomtl best --record``.

Unlike a table that a person writes it may have more keys than these.
"""

import math
import statistics
from typing import Annotated, Self

from pydantic import ConfigDict, Field, Strict, model_validator

from audiomtl.settings.clips import Values
from audiomtl.settings.table import Count, Integers, NotNegative, Table

Floats = Annotated[tuple[float, ...], Strict(False), Field(min_length=1)]


class Origin(Table):
    """``[expected.recorded]``."""

    model_config = ConfigDict(extra="allow")

    machine: str = Field(description="Processor on which the scores were recorded.")
    device: str = Field("CPU", description="CPU, or GPU and its name. Default CPU.")
    threads: Count = Field(1, description="TensorFlow threads of each training. Default 1.")
    seeds: Integers = Field(description="Seeds of the trainings.")
    folds: Integers | None = Field(
        None,
        description=(
            "Test fold of each seed, in the order of seeds; seeds of one fold test the same clips. Default:"
            " from the settings, where they tell."
        ),
    )
    cpu_seconds_per_training: NotNegative | None = Field(
        None, description="Median CPU time of one training, in seconds."
    )
    code: str | None = Field(None, description="Key of the code that computed the scores.")
    lock: str | None = Field(None, description="Key of requirements.lock.")
    commit: str | None = Field(None, description="Commit of the project; none outside git.")
    dirty: bool = Field(False, description="Whether code or lock differed from the commit. Default false.")
    settings: str | None = Field(None, description="Key of the settings that affect the scores.")
    settings_code: str | None = Field(None, description="Key of the code that reads the settings.")
    data: dict[str, str] | None = Field(
        None, description="Key of the clip table without its files, and of the files of each of its columns."
    )
    clips: dict[str, Values | Count] | None = Field(
        None,
        description=(
            "The clips of a published data set that the scores were recorded on, as in data.subset: number of"
            " clips; values, or number of values, of label, groups and folds."
        ),
    )
    unseen_seeds: Integers | None = Field(
        None,
        description=(
            "Seeds whose test clips no study has seen. Default: not known, or nothing was chosen by a study."
        ),
    )
    fingerprint: Floats | None = Field(
        None, description="Losses of the first ten training steps of the first of seeds."
    )
    fingerprint_rounding: Floats | None = Field(
        None, description="How far rounding alone moves each of these losses (relative difference)."
    )
    fingerprint_code: str | None = Field(
        None, description="Key of the code that computed the fingerprint, where it is not that of the scores."
    )
    fingerprint_lock: str | None = Field(
        None, description="Key of requirements.lock for the fingerprint, where it is not that of the scores."
    )
    fingerprint_machine: str | None = Field(
        None, description="Processor that computed the fingerprint, where it is not that of the scores."
    )
    fingerprint_threads: int | None = Field(
        None, description="TensorFlow threads of the fingerprint, where they are not those of the scores."
    )


class NewGroups(Table):
    """``new_groups`` of a score: the score over all test clips, with an interval for new groups, or why there
    is none.
    """

    model_config = ConfigDict(extra="allow")

    score: float | None = Field(
        None, description="Score over the test clips of all folds together, each clip counted once."
    )
    low: float | None = Field(None, description="Lower limit of its 95 % interval for new groups.")
    high: float | None = Field(None, description="Upper limit of its 95 % interval for new groups.")
    clips: Count | None = Field(None, description="Number of test clips.")
    groups: dict[str, Count] = Field({}, description="Number of groups in them, by column.")
    reason: str = Field("", description="Why there is no interval.")

    @model_validator(mode="after")
    def _an_interval_or_a_reason(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.low is None) != bool(self.reason):
            raise ValueError(
                "needs either low and high or a reason, but got"
                f" low = {self.low}, high = {self.high}, reason = {self.reason!r}"
            )
        return self


class Score(Table):
    """``[expected."test/phone_error_rate"]``."""

    model_config = ConfigDict(extra="allow")

    mean: float = Field(description="Mean over the seeds.")
    per_seed: Floats = Field(description="Score of each seed, in the order of recorded.seeds.")
    new_groups: NewGroups | None = Field(
        None, description="On test: the score with its interval for new groups."
    )
    floor: float | None = Field(
        None, description="Best score without the network, mean over the seeds: see floor_by."
    )
    floor_by: str = Field("", description="What reaches the floor, such as the majority class.")
    ceilings: dict[str, float] = Field({}, description="Scores of oracles, by what they know.")
    tolerance: NotNegative | None = Field(
        None, description="No longer used; written by versions up to 0.1.0."
    )


class Expected(Table):
    """The whole of it: ``recorded`` and one table per score."""

    recorded: Origin = Field(description="Where the scores were recorded.")
    scores: dict[str, Score] = Field(description="Scores by name.")

    @model_validator(mode="after")
    def _one_score_per_seed(self) -> Self:
        folds = self.recorded.folds
        if folds is not None and len(folds) != len(self.recorded.seeds):
            raise ValueError(
                f"recorded.folds needs one fold for each of recorded.seeds = {list(self.recorded.seeds)}, but"
                f" got {list(folds)}"
            )
        for name, score in self.scores.items():
            if len(score.per_seed) != len(self.recorded.seeds):
                raise ValueError(
                    f"{name}: per_seed needs one score for each of recorded.seeds ="
                    f" {list(self.recorded.seeds)}, but got {list(score.per_seed)}"
                )
            if not math.isclose(score.mean, statistics.fmean(score.per_seed), rel_tol=1e-9, abs_tol=1e-12):
                raise ValueError(
                    f"{name}: mean must be that of per_seed, {statistics.fmean(score.per_seed):.6g}, but got"
                    f" {score.mean:.6g}"
                )
        return self
