"""What the measurements of steps say: each function gives the findings of some kinds.

Contents: `of_inputs`, `of_scale`, `of_masks`, `of_gradients`, `of_units`, `of_rate`.
"""

import math
from collections.abc import Sequence

import numpy as np

from audiomtl.findings import Finding
from audiomtl.nn.doctor.steps import Step, Steps
from audiomtl.nn.doctor.subject import Subject, share

SATURATED = 0.5  # share of saturated units from which a layer counts as saturated
RELIEF = 0.5  # and at most this part of it is left once the input is standardised
TIMES_LOSS = 3.0  # loss on the input as it is, relative to that on the standardised one
LEARNT = 0.5
FAR = 10.0  # root mean square of an input from which it may be the cause of such a loss
SMALL = 0.1  # standard deviation of an input below which its answers are compared
FAINT = 0.05  # variation of the answers, relative to that on the standardised input
FEW_VALUES = 8  # per item; an input with fewer is no recording but a flag or a length
DEAD = 0.75  # share of units
FEWEST_UNITS = 8  # of a layer that may count as dead
HIDDEN = 0.5  # share of items
VANISHED = 1e-5  # relative gradient of a weight matrix, compared with the largest one
STILL = 1e-3  # relative change of a loss that does not move
MOVES = 0.01  # with a much higher rate it does
RISES = 1.5  # loss after ten steps, relative to before
OVERSHOOT = 5  # times as many steps, after which a loss that only overshot is below its start again
STEPS = 10


def of_inputs(steps: Sequence[Step]) -> list[Finding]:
    """Inputs that are not finite, or constant."""
    found = []
    for name in steps[0].inputs:
        values = [step.inputs[name] for step in steps]
        if not np.issubdtype(values[0].dtype, np.floating):
            continue
        if bad := sum(int((~np.isfinite(one)).sum()) for one in values):
            number = next(index for index, one in enumerate(values) if not np.isfinite(one).all())
            items = np.flatnonzero(~np.isfinite(values[number]).reshape(len(values[number]), -1).all(axis=1))
            told = f"{bad} values are NaN or infinite, first in item {items[0]} of batch {number}"
            found.append(Finding("input not finite", f'input "{name}"', told))
        elif _per_item(values[0]) >= FEW_VALUES and sum(map(len, values)) > 1 and _alike(values):
            low, high = min(one.min() for one in values), max(one.max() for one in values)
            told = f"all {sum(map(len, values))} items are alike, with values from {low:.4g} to {high:.4g}"
            found.append(Finding("constant input", f'input "{name}"', told))
    return found


def _per_item(values: np.ndarray) -> int:
    return int(np.prod(values.shape[1:]))


def _alike(values: Sequence[np.ndarray]) -> bool:
    """Whether every frame of every item is the same, or every item; padding by 0 aside."""
    rows = [one.reshape(-1, one.shape[-1]) if one.ndim > 2 else one for one in values]
    kept = np.concatenate([one[(one != 0).any(axis=1)] if values[0].ndim > 2 else one for one in rows])
    if not len(kept) or bool((np.ptp(kept, axis=0) <= 1e-6 * np.abs(kept[0])).all()):
        return True
    shapes = {one.shape[1:] for one in values}
    if len(shapes) > 1 or values[0].ndim < 3:
        return False
    return all(np.array_equal(item, values[0][0]) for one in values for item in one)


# ---------------------------------------------------------------- scale


def of_scale(first: Step, standard: Step, with_loss: bool) -> list[Finding]:
    """Input that is not scaled: compares a step with the same one on standardised input.

    ``with_loss`` = False does not compare losses, which are stand-ins.
    """
    sizes = {name: _described(x) for name, x in first.inputs.items() if _is_feature(x)}
    if not sizes or (with_loss and first.loss < LEARNT * standard.loss):  # the model has learnt this scale
        return []
    name, (told, far, small) = max(sizes.items(), key=lambda one: max(one[1][1], 1 / max(one[1][2], 1e-30)))
    measured = []
    for key, (before, after) in _shares(first, standard).items():
        if before >= SATURATED and after <= RELIEF * before:
            what, layer = key.split(" ", 1)
            told = f"{100 * before:.0f} % of {WHAT[what]} {layer} are {STATE[what]}"
            measured.append(f"{told}, {100 * after:.0f} % on the same batch standardised")
    if (
        with_loss
        and far >= FAR
        and (first.loss > TIMES_LOSS * standard.loss or not math.isfinite(first.loss))
    ):
        measured.append(
            f"the first loss is {first.loss:.4g}, {standard.loss:.4g} on the same batch standardised"
        )
    ratio = _variation(first) / max(_variation(standard), 1e-30)
    if small < SMALL and ratio < FAINT:
        measured.append(
            f"answers vary {1 / max(ratio, 1e-9):.0f} times less from item to item than on the same batch"
            " standardised"
        )
    if not measured or (far < 2 and small >= SMALL):
        return []
    return [Finding("unscaled input", f'input "{name}"', f"{told}; {'; '.join(measured[:2])}")]


WHAT = {"saturated": "the units of", "certain": "the answers of", "fixed": "the ReLU units of"}
STATE = {"saturated": "saturated", "certain": "certain", "fixed": "always or never 0"}


def _is_feature(x: np.ndarray) -> bool:
    return np.issubdtype(x.dtype, np.floating) and x.ndim > 1 and not bool(np.isin(x, (0, 1)).all())


def _described(x: np.ndarray) -> tuple[str, float, float]:
    """Range, mean and deviation in words; root mean square; standard deviation. Padding by 0 aside."""
    rows = x.reshape(-1, x.shape[-1]) if x.ndim > 2 else x
    kept = rows[(rows != 0).any(axis=1)] if x.ndim > 2 else rows
    kept = np.asarray(kept if kept.size else rows, np.float64)
    mean, deviation = float(kept.mean()), float(kept.std())
    told = f"values from {kept.min():.4g} to {kept.max():.4g}, mean {mean:.4g}, deviation {deviation:.4g}"
    return told, float(np.sqrt(np.mean(kept**2))), deviation


def _shares(first: Step, standard: Step) -> dict[str, tuple[float, float]]:
    """{"KIND LAYER": share before, and once standardised}."""
    found = {
        key: (float(value), float(standard.measures[key]))
        for key, value in first.measures.items()
        if key.startswith(("saturated ", "certain ")) and key in standard.measures
    }
    for key in first.measures:
        if key.startswith("highest ") and key in standard.measures:
            layer = key.removeprefix("highest ")
            found[f"fixed {layer}"] = (_fixed(first, layer), _fixed(standard, layer))
    return found


def _fixed(step: Step, layer: str) -> float:
    """Share of ReLU units on the same side of 0 at every place."""
    return share((step.measures[f"highest {layer}"] <= 0) | (step.measures[f"lowest {layer}"] > 0))


def _variation(step: Step) -> float:
    """Standard deviation of the answers over items, mean over their values."""
    import tensorflow as tf

    flat = [np.asarray(one, np.float64) for one in tf.nest.flatten(step.outputs) if one is not None]
    stds = [one.std(axis=0).mean() for one in flat if one.ndim > 0 and len(one) > 1 and one.size]
    return float(max(stds, default=0.0))


# ---------------------------------------------------------------- masks and normalization


def of_masks(steps: Sequence[Step]) -> list[Finding]:
    """Masks that leave nothing, and means over one value."""
    found = []
    for key in steps[0].measures:
        kind, layer = key.split(" ", 1)
        if kind not in ("hidden", "averaged"):
            continue
        values = [float(step.measures[key]) for step in steps if key in step.measures]
        if kind == "hidden" and np.mean(values) >= HIDDEN:
            told = f"its mask leaves nothing of {100 * np.mean(values):.0f} % of the items"
            found.append(Finding("mask hides everything", f"layer {layer}", told))
        elif kind == "averaged" and np.median(values) <= 1:
            told = "every mean is over 1 value: a batch of one item without a time axis"
            found.append(Finding("normalization over one value", f"layer {layer}", told))
    return found[:1] if found and found[0].name == "mask hides everything" else found


# ---------------------------------------------------------------- gradients


def of_gradients(subject: Subject, measured: Steps, steps: Sequence[Step]) -> list[Finding]:
    """Missing, vanishing and exploding gradients."""
    trainable = subject.trainable
    matrices = [number for number, one in enumerate(trainable) if len(one.shape) > 1]
    found, finite = [], [step for step in steps if math.isfinite(step.loss)]
    if not finite:
        return []
    every = np.array([np.nan_to_num(step.gradients, nan=0.0, posinf=np.inf) for step in finite])
    still = [number for number in matrices if not every[:, number].any()]
    still = [number for number in still if not _idle(trainable[number], subject.idle)]
    for later in range(1, len(subject.losses)) if still else ():
        measured.restore()
        step, _ = measured.measured(subject.batches[0], loss=later)
        still = [number for number in still if not step.gradients[number] > 0]
    if still:
        names = [_name(trainable[number]) for number in still]
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        told = f"gradient 0 in {len(finite)} of {len(finite)} steps, {len(still)} of {len(matrices)} matrices"
        found.append(Finding("no gradient", some, told))
    found += _broken(subject, steps)
    ratios = {
        number: float(np.median(every[:, number])) / max(float(finite[0].weights[number]), 1e-12)
        for number in matrices
        if every[:, number].any() and finite[0].weights[number] > 0
    }
    ratios = {number: one for number, one in ratios.items() if math.isfinite(one)}
    if len(ratios) > 1:
        number, least = min(ratios.items(), key=lambda one: one[1])
        most = max(ratios.values())
        if least < VANISHED * most:
            times = most / max(least, 1e-30)
            told = f"relative to its weights, its gradient is {times:.1e} times smaller than the largest one"
            found.append(Finding("vanishing gradients", _name(trainable[number]), told))
    return found


def _broken(subject: Subject, steps: Sequence[Step]) -> list[Finding]:
    """Gradients that are not finite, of a loss that is."""
    for number, step in enumerate(steps, start=1):
        if math.isfinite(step.loss) and not step.finite:
            pairs = zip(subject.trainable, step.gradients, strict=True)
            names = [_name(one) for one, norm in pairs if norm == np.inf]
            told = f"gradient not finite at step {number}, with a loss of {step.loss:.4g}"
            return [Finding("exploding gradients", ", ".join(names[:3]), told)]
    return []


def _idle(variable: object, names: Sequence[str]) -> bool:
    return any(
        part == name or part.startswith(f"{name}_") for part in _name(variable).split("/") for name in names
    )


def _name(variable: object) -> str:
    return str(getattr(variable, "path", getattr(variable, "name", "a variable")))


# ---------------------------------------------------------------- units


def of_units(steps: Sequence[Step]) -> list[Finding]:
    """Layers of dead ReLU units."""
    found = []
    for key in steps[0].measures:
        if not key.startswith("highest "):
            continue
        highest = np.max([step.measures[key] for step in steps if key in step.measures], axis=0)
        dead = share(highest <= 0)
        if len(highest) >= FEWEST_UNITS and dead >= DEAD:
            count = f"{round(dead * len(highest))} of {len(highest)} units"
            told = f"{count} are 0 for every input of {len(steps)} steps"
            found.append(Finding("dead units", f"layer {key.removeprefix('highest ')}", told))
    return found


# ---------------------------------------------------------------- rate


def of_rate(subject: Subject, measured: Steps, steps: Sequence[Step]) -> list[Finding]:
    """Learning rates far too high or too low, losses that are not finite."""
    batch, rate = subject.batches[0], subject.rate
    if not math.isfinite(steps[0].loss):
        return [Finding("loss not finite", "first step", f"the loss is {steps[0].loss}")]
    before, after = measured.loss_after(batch, rate, STEPS)
    place = f"learning rate {rate:.3g}"
    told = f"in {STEPS} steps on one batch the loss goes from {before:.6g} to {after:.6g}"

    def cured(loss: float) -> bool:
        return math.isfinite(loss) and loss <= before + 0.05 * abs(before)

    if not math.isfinite(after) or after > before + (RISES - 1) * abs(before):
        if math.isfinite(after) and measured.loss_after(batch, rate, OVERSHOOT * STEPS)[1] <= before:
            return []
        for factor, clipnorm in ((10, 0.0), (1, 1.0), (1000, 0.0)):
            _, then = measured.loss_after(batch, rate / factor, STEPS, clipnorm)
            if cured(then) and clipnorm:
                largest = max(steps, key=lambda step: step.norm).norm
                told += f", with gradients clipped to norm 1, to {then:.6g}; the norm is up to {largest:.3g}"
                return [Finding("exploding gradients", place, told)]
            if cured(then):
                told += f"; with {rate / factor:.3g}, to {then:.6g}"
                return [Finding("learning rate too high", place, told)]
        return [] if math.isfinite(after) else [Finding("loss not finite", place, told)]
    for factor in (100, 10_000) if abs(after - before) < STILL * abs(before) else ():
        _, then = measured.loss_after(batch, factor * rate, STEPS)
        if math.isfinite(then) and before - then > MOVES * abs(before):
            told += f"; with {factor * rate:.3g}, to {then:.6g}"
            return [Finding("learning rate too low", place, told)]
    return []
