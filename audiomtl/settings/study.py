"""Settings of a study: one search space and one budget over one experiment.

Unlike an experiment file, a study file has a few optional keys (``ablation``, ``log``, ``step``, ``when``):
absent means off. It is judged either by one score, ``metric`` and ``direction``, or by several at once, the
lists ``metrics`` and ``directions``; `judge` says how many trainings a trial has.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.judge import Judge
from audiomtl.settings.table import Count, Table

Number = int | float


class Dimension(Table):
    """One swept setting: ``{ low, high, log, step }`` or ``{ choices }``; ``when`` makes it conditional on
    other settings.

    Whole numbers for ``low`` and ``high`` sweep whole numbers. Choices may be lists.
    """

    low: Number | None = Field(None, description="Lower end of the range.")
    high: Number | None = Field(None, description="Upper end of the range.")
    log: bool = Field(
        False, description="Whether the range is sampled logarithmically; needs low > 0. Default false."
    )
    step: Number | None = Field(
        None,
        description="Distance between sampled values; must divide high - low. Default: none.",
    )
    choices: list[Any] | None = Field(None, description="Values to choose from, instead of a range.")
    when: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {},
        description=(
            "Setting paths and lists of their values under which this setting is swept. Default: always."
        ),
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices cannot be combined with low, high, log or step")
            if not self.choices or any(self.choices.count(choice) > 1 for choice in self.choices):
                raise ValueError(f"choices must be one or more different values, but got {self.choices}")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low < high must hold, but got low={self.low}, high={self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"log needs low > 0 and no step, but got low={self.low}, step={self.step}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, but got step={self.step}")
        if self.step is not None and not _whole((self.high - self.low) / self.step):
            raise ValueError(
                f"step must divide high - low, but got low={self.low}, high={self.high}, step={self.step}"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether whole numbers are swept."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def space(self) -> str:
        """The values that are swept, as text."""
        if self.choices is not None:
            return f"choices {self.choices}"
        return f"[{self.low}, {self.high}]" + (f" in steps of {self.step}" if self.step else "")

    @property
    def grid(self) -> list[Any] | None:
        """All values, in order; None for a range without steps."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None and self.high is not None
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            return None
        values = [self.low + number * step for number in range(round((self.high - self.low) / step) + 1)]
        return values if self.whole else [round(float(value), 12) for value in values]

    @property
    def samples(self) -> list[Any]:
        """The choices, or both ends of the range, as they would be sampled."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None and self.high is not None
        return [self.low, self.high] if self.whole else [float(self.low), float(self.high)]

    def holds(self, value: Any) -> bool:
        """Whether ``value`` lies inside."""
        if self.choices is not None:
            return value in self.choices
        assert self.low is not None and self.high is not None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (self.whole and not isinstance(value, int))
        ):
            return False
        return self.low <= value <= self.high and (
            self.step is None or _whole((value - self.low) / self.step)
        )


Direction = Literal["minimize", "maximize"]
PRUNING = ("prune_on", "prune_direction", "prune_after_epochs")


class Study(Table):
    """One study file.

    Trials of one training are stopped early by asynchronous successive halving on the score ``prune_on``,
    also with several metrics. There a trial continues whatever its ``prune_on``, as long as no other trial at
    the same epoch is better in every metric: it may belong to the Pareto front.
    """

    experiment: str = Field(description="Experiment that is swept: a file in experiments/, without .toml.")
    ablation: str = Field(
        "", description="Ablation of the experiment that is swept in its place. Default: none."
    )
    description: str = Field(description="One sentence about the study.")
    metric: str | None = Field(
        None, description="Objective of a trial: a validation score at the best epoch."
    )
    direction: Direction | None = Field(None, description="Whether metric is to be minimized or maximized.")
    metrics: list[str] | None = Field(
        None, description="Several objectives in place of metric; the result is a Pareto front."
    )
    directions: list[Direction] | None = Field(None, description="Direction of each metric.")
    prune_on: str = Field(
        "",
        description=(
            "Score of each epoch by which successive halving stops trials of one training early. Left out"
            " where a trial has several."
        ),
    )
    prune_direction: Direction = Field(
        "minimize", description="Whether prune_on is to be minimized or maximized."
    )
    prune_after_epochs: Count = Field(1, description="Number of epochs before which no trial is stopped.")
    trials: Count = Field(
        description=(
            'Total number of trials, over all restarts. With sampler = "tpe" at least 20, and 5 for each'
            ' dimension; with sampler = "grid" it may be left out: all combinations.'
        )
    )
    sampler: Literal["tpe", "random", "grid"] = Field(
        "tpe",
        description=(
            "How settings are proposed: by a tree-structured Parzen estimator, whose first 10 trials are"
            " random, at random, or every combination of the choices and steps. Default tpe."
        ),
    )
    sampler_seed: int = Field(description="Seed of the sampler.")
    stop_after_failures: Count = Field(
        3,
        description=(
            "Number of first trials that may fail for the same reason before the study stops. Default 3."
        ),
    )
    optimism_seeds: Annotated[int, Field(ge=0)] = Field(
        3,
        description=(
            "Number of new seeds with which the best trial is trained again when the study ends: how much of"
            " its score was luck; 0 leaves that out, and the bias of the selection. Default 3."
        ),
    )
    judge: Judge | None = Field(None, description="How many trainings judge a trial.")
    decode_only: bool = Field(
        False,
        description=(
            "Whether trials read the outputs of one trained model in different ways instead of training: only"
            " settings of decoding are swept then. Default false."
        ),
    )
    search: Annotated[dict[str, Dimension], Field(min_length=1)] = Field(
        description="Setting paths and their ranges or choices."
    )

    @model_validator(mode="after")
    def _one_metric_or_several(self) -> Self:
        one, several = (self.metric, self.direction), (self.metrics, self.directions)
        if one == several == (None, None):
            raise ValueError(
                "metric is missing: give metric and direction, or the lists metrics and directions"
            )
        if one != (None, None) and several != (None, None):
            raise ValueError(
                "metric and metrics exclude each other: give metric and direction, or the lists metrics and"
                " directions"
            )
        for name, direction in (("metric", "direction"), ("metrics", "directions")):
            if (getattr(self, name) is None) != (getattr(self, direction) is None):
                given, lacking = (direction, name) if getattr(self, name) is None else (name, direction)
                raise ValueError(f"{lacking} is missing: {given} needs it")
        if self.metrics is not None and self.directions is not None:
            if len(self.metrics) < 2 or len(set(self.metrics)) < len(self.metrics):
                raise ValueError(
                    f"metrics must be two or more different scores, but got {self.metrics}; use metric for a"
                    " single score"
                )
            if len(self.directions) != len(self.metrics):
                raise ValueError(
                    f"directions must have one entry for each of the {len(self.metrics)} metrics, but got"
                    f" {len(self.directions)}"
                )
        return self

    @model_validator(mode="after")
    def _pruned_by_all_three_or_none(self) -> Self:
        given = [name for name in PRUNING if name in self.model_fields_set]
        if given and (lacking := [name for name in PRUNING if name not in given]):
            raise ValueError(f"{lacking[0]} is missing: {given[0]} needs it")
        return self

    @model_validator(mode="after")
    def _reading_alone(self) -> Self:
        """A study that trains once sweeps nothing that changes a training, and stops none early."""
        if not self.decode_only:
            return self
        if others := [path for path in self.search if not path.startswith("decoding.")]:
            raise ValueError(
                f"decode_only = true sweeps settings of decoding alone, but search has {others[0]}: remove"
                " it, or decode_only"
            )
        for name in ("prune_on", "judge"):
            if name in self.model_fields_set:
                raise ValueError(f"decode_only = true trains one model: remove {name}")
        return self

    @model_validator(mode="after")
    def _judged_on_validation(self) -> Self:
        for (name, score), _ in self.judges():
            if not score.startswith("validation/"):
                raise ValueError(
                    f'{name} must be a validation score such as "validation/loss", but got "{score}"'
                )
        return self

    @property
    def objectives(self) -> dict[str, Direction]:
        """Each objective and its direction."""
        if self.metric is not None and self.direction is not None:
            return {self.metric: self.direction}
        return dict(zip(self.metrics or (), self.directions or (), strict=True))

    def judges(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Every score that judges or prunes: (its setting path, score), (setting path of its direction,
        direction).
        """
        several = self.metrics is not None
        named: list[tuple[tuple[str, str], tuple[str, str]]] = [
            (
                ((f"metrics[{index}]", score), (f"directions[{index}]", direction))
                if several
                else (("metric", score), ("direction", direction))
            )
            for index, (score, direction) in enumerate(self.objectives.items())
        ]
        if self.prune_on:
            named.append((("prune_on", self.prune_on), ("prune_direction", self.prune_direction)))
        return named

    def told(self, *less: str) -> dict[str, Any]:
        """The file's content as plain values, without the keys that it does not use, without ``judge`` (see
        `judge_of`) and without the keys in ``less``.
        """
        unused = {"metric", "direction"} if self.metrics is not None else {"metrics", "directions"}
        unused |= {"judge"} | (set() if self.prune_on else set(PRUNING))
        unused |= set() if self.decode_only else {"decode_only"}
        return self.model_dump(exclude={*less, *unused})


def _whole(ratio: float) -> bool:
    return abs(ratio - round(ratio)) < 1e-9
