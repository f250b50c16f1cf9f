"""The examination of a subject: ten steps, and what they say. Contents: `examine`, `STEPS`."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.findings import ORDER, Finding, Report
from audiomtl.nn.doctor import outputs, rules
from audiomtl.nn.doctor.steps import Step, Steps, kept
from audiomtl.nn.doctor.subject import Learned, Subject
from audiomtl.nn.doctor.watch import Watch

STEPS = 10
REFUSED = ("labels out of range", "labels do not fit into the frames")


def examine(subject: Subject) -> Report:
    """Take ten training steps, measure them, put everything back, and say what keeps the model from
    learning.
    """
    found: list[Finding] = []
    if not subject.trainable:
        weights = sum(int(np.prod(one.shape)) for one in subject.model.variables)
        found.append(Finding("nothing to train", "model", f"0 of {weights} weights are trainable"))
    with kept(subject.variables), Watch(subject.model) as watch:
        measured = Steps(subject, watch)
        batches = [subject.batches[number % len(subject.batches)] for number in range(STEPS)]
        try:
            done = measured.run(batches, subject.rate)
        except tf.errors.InvalidArgumentError as error:
            refused = _refused(subject, error)
            return Report(tuple(refused), subject.name, "the loss refuses a batch", subject.settings)
        steps = [_with_learned(subject, *pair) for pair in zip(batches, done, strict=False)]
        different = steps[: len(subject.batches)]
        found += rules.of_inputs(different)
        found += rules.of_masks(different)
        found += outputs.of_labels([step.learned for step in different])
        found += outputs.of_agreement(steps[0].learned)
        if not found:
            measured.restore()
            standard, _ = measured.measured(batches[0], standardise=True)
            found += rules.of_scale(steps[0], standard, subject.optimizer is not None)
        found += outputs.of_slopes(steps[0].learned, _slopes(subject, batches[0], steps[0]))
        found += rules.of_units(steps)
        if subject.trainable:
            found += rules.of_gradients(subject, measured, steps)
        if len(steps) > 1:
            found += outputs.of_blanks(steps[0], steps[-1])
        broken = {"input not finite", "nothing to train", "no labels"} & {one.name for one in found}
        if subject.optimizer is not None and not broken:
            found += rules.of_rate(subject, measured, steps)
        measured.restore()
    unique = {(one.name, one.place): one for one in found}
    ordered = sorted(unique.values(), key=lambda one: ORDER.index(one.name))
    return Report(tuple(ordered), subject.name, _summary(subject, steps), subject.settings)


def _refused(subject: Subject, error: Exception) -> list[Finding]:
    """The labels for which a loss ended a step: out of range, or, of CTC, more than the frames."""
    for batch in subject.batches if subject.call is not None else ():
        answers = tf.nest.map_structure(np.asarray, subject.call(batch))  # type: ignore[misc]
        found = outputs.of_labels([subject.learned(batch, answers)])
        if refused := [one for one in found if one.name in REFUSED]:
            return refused
    text = " ".join(str(error).split())
    raise UserError(f"{subject.name}: a training step fails: {text[:300]}") from None


def _with_learned(subject: Subject, batch: object, step: Step) -> Step:
    return replace(step, learned=tuple(subject.learned(batch, step.outputs)))


def _slopes(subject: Subject, batch: object, step: Step) -> list[Learned | None]:
    """The gradients with respect to the outputs, laid out as what is learned."""
    if not step.learned:
        return []
    try:
        return list(subject.learned(batch, step.slopes))
    except (TypeError, ValueError, AttributeError, IndexError):  # an output that the loss does not depend on
        return [None] * len(step.learned)


def _summary(subject: Subject, steps: Sequence[Step]) -> str:
    if subject.optimizer is None:
        return "no loss given: one step with a pseudo-loss"
    first, last = steps[0].loss, steps[-1].loss
    told = f"{len(steps)} steps, loss {first:.4g} to {last:.4g}"
    return told if math.isfinite(last) else f"{len(steps)} steps, then a loss of {last}"
