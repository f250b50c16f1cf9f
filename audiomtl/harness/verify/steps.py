"""The fingerprint of a training: its losses at the first ten steps, with one seed.

It depends on data, features, scaler, order of the clips, initial weights, loss, gradients and optimizer, and
takes seconds. A family without training steps (a scikit-learn classifier) has instead the model's loss on
each of the first ten clips of the train split, after its fit.

Conventions: losses are floats in the order of the steps; a training of fewer steps has fewer. The training
itself is the ordinary one: the child process watches the steps from outside and ends it after the tenth.
Contents: `FirstSteps`, `losses_of`, `difference`, `compared`, `BOUND`, `STEPS`.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from audiomtl import config
from audiomtl.harness.train.child import Job, Result

STEPS = 10
BOUND = 1e-4  # relative; see docs/how-to/reproduce.md for the differences between instruction sets


class _Enough(BaseException):
    """Ends a training after its tenth step; no handler of errors takes it for one."""


@dataclass(frozen=True)
class FirstSteps(Job):
    """A training that ends after ten steps; `Result.scores` are their losses."""

    def work(self, train: Callable[[], Result]) -> Result:
        """Run ``train``, watched. Runs in a child process, whose modules it changes."""
        losses: list[float] = []
        _watch(self.settings["model"], losses)
        with contextlib.suppress(_Enough):
            train()
        return Result(
            stopped=False,
            scores={f"step/{number}": loss for number, loss in enumerate(losses)},
            best_epoch=-1,
            epochs=0,
            seconds=0.0,
            cpu_seconds=0.0,
            parameters=0,
        )


def losses_of(result: Result) -> list[float]:
    """Losses of a `FirstSteps` in the order of the steps."""
    return [result.scores[f"step/{number}"] for number in range(len(result.scores))]


def difference(recorded: Sequence[float], now: Sequence[float]) -> float:
    """Largest relative difference of two fingerprints; infinite where they differ in length or are not
    finite.
    """
    if len(recorded) != len(now) or not all(map(math.isfinite, [*recorded, *now])):
        return math.inf
    return max(
        (
            abs(one - other) / max(abs(one), abs(other)) if one != other else 0.0
            for one, other in zip(recorded, now, strict=True)
        ),
        default=math.inf,
    )


def compared(recorded: Sequence[float], now: Sequence[float], *, exact: bool) -> tuple[bool, str]:
    """Whether a fingerprint comes back, and what is said of it.

    Parameters
    ----------
    exact : it was recorded on such a machine with the same code; then every bit must come back, and a
        difference of any size says that the training computes something else in each run.
    """
    if list(recorded) == list(now):
        return True, f"{len(now)} steps reproduced bit for bit"
    apart = difference(recorded, now)
    text = f"the losses of the first {len(recorded)} steps differ by {apart:.2g} (relative)"
    if apart > BOUND:
        return False, f"{text}, more than {BOUND:g}"
    if exact:
        return False, f"{text}, but on the processor that recorded them they must be equal"
    return True, f"{len(now)} steps reproduced within {apart:.1g} (relative)"


def _watch(name: str, losses: list[float]) -> None:
    """Let every optimizer step of this process note its loss, and the family's ``train`` end after ten."""
    from audiomtl.nn import steps as graphs

    compiled = graphs.Steps.compiled

    def watched(self: Any, loss: Any, epoch: int = 0) -> Callable[[Any, float], Any]:
        step = compiled(self, loss, epoch)

        def noted(batch: Any, rate: float) -> Any:
            value = step(batch, rate)
            losses.append(float(value))
            if len(losses) == STEPS:
                raise _Enough
            return value

        return noted

    setattr(graphs.Steps, "compiled", watched)  # noqa: B010
    family = config.family("model", name)
    train = family.train

    def first(settings: Any, prepared: Any, seed: int, on_epoch: Any, checkpoint: Any) -> Any:
        fitted = train(settings, prepared, seed, lambda epoch, scores: True, None)
        if not losses:  # no steps
            for clip in prepared.examples["train"][:STEPS]:
                losses.append(float(family.evaluate(fitted, family.outputs(fitted, [clip]))["loss"]))
        raise _Enough

    setattr(family, "train", first)  # noqa: B010
