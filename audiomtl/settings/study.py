"""Settings of a study: one search space and one budget over one experiment.

Unlike an experiment file, a study file has a few optional keys (``ablation``, ``log``, ``step``, ``when``): absent means off.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.shared import Count, Table

Number = int | float


class Dimension(Table):
    """One swept setting: ``{ low, high, log, step }`` or ``{ choices }``; ``when`` makes it conditional on other settings.

    Whole numbers for ``low`` and ``high`` sweep whole numbers. Choices may be lists.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = None
    choices: list[Any] | None = None
    when: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices stand alone, without low, high, log or step")
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
            raise ValueError(f"high must be low and some steps, but got low={self.low}, high={self.high}, step={self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether whole numbers are swept."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def space(self) -> str:
        """The values that are swept, as a person reads them."""
        if self.choices is not None:
            return f"choices {self.choices}"
        return f"[{self.low}, {self.high}]" + (f" in steps of {self.step}" if self.step else "")

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
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.whole and not isinstance(value, int)):
            return False
        return self.low <= value <= self.high and (self.step is None or _whole((value - self.low) / self.step))


class Study(Table):
    """One study file."""

    experiment: str
    ablation: str = ""  # sweep this ablation of the experiment; promoting writes into its table
    description: str
    metric: str  # judged by this validation score at the best epoch
    direction: Literal["minimize", "maximize"]
    prune_on: str  # the epoch score by which successive halving stops trials early
    prune_direction: Literal["minimize", "maximize"]
    prune_after_epochs: Count  # no trial is stopped before
    trials: Count  # the total, over all restarts
    sampler_seed: int
    search: Annotated[dict[str, Dimension], Field(min_length=1)]

    @model_validator(mode="after")
    def _judged_on_validation(self) -> Self:
        for name in ("metric", "prune_on"):
            if not getattr(self, name).startswith("validation/"):
                raise ValueError(f'{name} must be a validation score such as "validation/loss", but got "{getattr(self, name)}"')
        return self


def _whole(ratio: float) -> bool:
    return abs(ratio - round(ratio)) < 1e-9
