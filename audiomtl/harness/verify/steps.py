"""The fingerprint of a training: its losses at the first ten steps, with one seed.

It depends on data, features, scaler, order of the clips, initial weights, loss, gradients and optimizer, and
takes seconds. A family without training steps (a scikit-learn classifier) has instead the model's loss on
each of the first ten clips of the validation split, after its fit; of the train split, which such a
classifier may know by heart, only where there is no other. Losses that are all equal detect nothing: such a
fingerprint is not recorded.

Processors round differently, and some trainings magnify it: a loss may move by 1e-7 at the first step and by
1e-2 at the tenth. So what rounding does is recorded too, from trainings whose initial weights were moved by
one rounding each, and the bound for another processor follows it.

Conventions: losses are floats in the order of the steps; a training of fewer steps has fewer. The training
itself is the ordinary one: the child process watches the steps from outside and ends it after the tenth.
Contents: `FirstSteps`, `losses_of`, `differences`, `rounding`, `bounds`, `compared`, `all_equal`, `rounded`;
`BOUND`, `MARGIN`, `ROUNDED`, `STEPS`.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiomtl import config
from audiomtl.harness.train.child import Job, Result

STEPS = 10
BOUND = 1e-4  # relative; see docs/how-to/reproduce.md for the differences between processors
MARGIN = 10  # times what rounding does, where that is more
ROUNDED = 3  # trainings from which that is known
TINY = 1e-30


class _Enough(BaseException):
    """Ends a training after its tenth step; no handler of errors takes it for one."""


@dataclass(frozen=True)
class FirstSteps(Job):
    """A training that ends after ten steps; `Result.scores` are their losses.

    With ``rounded`` above 0, every initial weight is first moved to a neighbouring float32, or not, at random
    with this seed; of a scikit-learn classifier every input. What then differs is what rounding alone does.
    """

    rounded: int = 0

    def work(self, train: Callable[[], Result]) -> Result:
        """Run ``train``, watched. Runs in a child process, whose modules it changes."""
        losses: list[float] = []
        _watch(self.settings["model"], losses, self.rounded)
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


def differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Relative difference at each step; infinite where a loss is not finite, or where one has other steps."""
    if len(one) != len(other) or not one:
        return [math.inf] * max(len(one), len(other), 1)
    return [
        math.inf if not (math.isfinite(a) and math.isfinite(b)) else abs(a - b) / max(abs(a), abs(b), TINY)
        for a, b in zip(one, other, strict=True)
    ]


def rounding(losses: Sequence[float], moved: Sequence[Sequence[float]]) -> list[float]:
    """How far rounding moves each loss: the largest relative difference to those of ``moved``, trainings that
    are `FirstSteps.rounded`.
    """
    return [max(at) for at in zip(*(differences(losses, one) for one in moved), strict=True)]


def bounds(steps: int, rounding: Sequence[float] = ()) -> list[float]:
    """How far each loss may be from the recorded one on another processor: `BOUND`, or `MARGIN` times what
    rounding does, if that is more: to this loss for the first one, to any of them for the others.

    Where rounding decides what a maximum takes, it is chance at which step this happens.
    """
    first, later = (MARGIN * max(some, default=0.0) for some in (rounding[:1], rounding))
    return [max(BOUND, later if step else first) for step in range(steps)]


def compared(
    recorded: Sequence[float], now: Sequence[float], *, exact: bool, rounding: Sequence[float] = ()
) -> tuple[bool, str]:
    """Whether a fingerprint comes back, and what is said of it.

    Parameters
    ----------
    exact : it was recorded on such a machine with the same code; then every bit must come back, and a
        difference of any size says that the training computes something else in each run.
    rounding : recorded with it, of `rounding`; without it `BOUND` holds at every step.
    """
    if recorded and list(recorded) == list(now):
        return True, f"{len(now)} steps reproduced bit for bit"
    apart = differences(recorded, now)
    allowed = bounds(len(apart), rounding)
    step = max(range(len(apart)), key=lambda number: apart[number] / allowed[number])
    if apart[step] > allowed[step]:
        if math.isinf(apart[step]):
            return (
                False,
                f"recorded are {len(recorded)} losses, now there are {len(now)}, or one is not finite",
            )
        return False, (
            f"the losses of the first {len(recorded)} steps differ by {apart[step]:.2g} (relative) at step"
            f" {step + 1}, more than {allowed[step]:.1g}"
        )
    text = f"{max(apart):.1g} (relative)"
    if exact:
        return False, (
            f"the losses of the first {len(recorded)} steps differ by {text}, but on the processor that"
            " recorded them they must be equal"
        )
    return True, f"{len(now)} steps reproduced within {text}"


def all_equal(losses: Sequence[float]) -> str:
    """Why a fingerprint is not recorded; "" for one whose losses differ."""
    if len(losses) < 2 or len(set(losses)) > 1:
        return ""
    return f"the first {len(losses)} losses are all {losses[0]:g}, which would detect no change"


def rounded(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Every value moved to the float32 below or above it, or left as it is, with equal chances."""
    near = values.astype(np.float32)
    towards = random.choice(np.array([-np.inf, 0.0, np.inf], np.float32), near.shape)
    moved = np.nextafter(near, np.where(towards == 0, near, towards))
    return moved.astype(values.dtype)


def _round_inputs(random: np.random.Generator) -> None:
    """Let every scikit-learn pipeline of this process be fitted to rounded inputs."""
    from sklearn.pipeline import Pipeline

    fit = Pipeline.fit
    setattr(Pipeline, "fit", lambda self, x, *rest, **more: fit(self, rounded(x, random), *rest, **more))  # noqa: B010


def _watch(name: str, losses: list[float], seed: int) -> None:
    """Let every optimizer step of this process note its loss, and the family's ``train`` end after ten."""
    from audiomtl.nn import steps as graphs

    compiled = graphs.Steps.compiled
    random = np.random.default_rng(seed)
    if seed:
        _round_inputs(random)

    def watched(self: Any, loss: Any, epoch: int = 0) -> Callable[[Any, float], Any]:
        step = compiled(self, loss, epoch)
        if seed and not losses:
            for weights in self.model.trainable_variables:
                weights.assign(rounded(weights.numpy(), random))

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
            clips = prepared.examples.get("validation") or prepared.examples["train"]
            for clip in clips[:STEPS]:
                losses.append(float(family.evaluate(fitted, family.outputs(fitted, [clip]))["loss"]))
        raise _Enough

    setattr(family, "train", first)  # noqa: B010
