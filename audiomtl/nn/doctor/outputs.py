"""What the outputs are to learn, and whether they can: labels, probabilities, blanks.

Contents: `of_labels`, `of_agreement`, `of_slopes`, `of_blanks`.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from audiomtl.findings import Finding
from audiomtl.nn.doctor.steps import Step
from audiomtl.nn.doctor.subject import Learned, share

MANY_ITEMS = 20  # items per class from which a class that is absent counts as missing
FEWEST_ITEMS = 4  # of a batch that may hold a single class
WRONG = 1e-6  # probability of the true class
FLAT = 0.1  # slope with respect to its logarithm, relative to that of a cross-entropy
SATURATED = 0.25  # share of items
BLANK = 0.99  # share of frames
SAME = 0.005  # deviation of log probabilities over frames, in nats: a deep network begins with 0.02
SIGNS = 24  # answers, none of which is negative, from which they count as probabilities
NAMED = 5


def of_labels(batches: Sequence[Sequence[Learned]]) -> list[Finding]:
    """Labels that do not fit, are absent, or of too few classes; by output, over all batches."""
    found = []
    for name in [one.name for one in batches[0]]:
        some = [one for learned in batches for one in learned if one.name == name]
        known = [_known(one) for one in some]
        if not any(mask.any() for mask in known):
            told = f"no item has a label and a weight above 0, in {sum(map(len, known))} items"
            found.append(Finding("no labels", f'output "{name}"', told))
        elif some[0].kind == "ctc":
            found += _fit(name, some)
        elif some[0].kind == "classes":
            found += _classes(name, some, known)
        elif some[0].kind == "tags":
            found += _tags(name, some, known)
        else:
            found += _values(name, some)
    return found


def _known(one: Learned) -> np.ndarray:  # (n,)
    """Which items are learnt from."""
    if one.kind == "ctc":
        known = np.array([len(labels) > 0 for labels in one.labels], bool)
    elif one.kind == "classes":
        known = np.asarray(one.labels) >= 0
    else:
        known = np.ones(len(one.labels), bool)
    return known if one.weights is None else known & (np.asarray(one.weights) > 0)


def _fit(name: str, some: Sequence[Learned]) -> list[Finding]:
    """Labels of CTC: none is the blank, and each needs a frame, and a blank between two that are equal."""
    place, bad, items = f'output "{name}"', list[str](), 0
    for batch, one in enumerate(some):
        for item, (labels, answers) in enumerate(zip(one.labels, one.answers, strict=True)):
            items += 1
            wrong = [label for label in labels if not 0 <= label < one.classes or label == one.blank]
            if wrong:
                rule = f"must be in 0..{one.classes - 1} and not the blank, {one.blank}"
                told = f"label {wrong[0]} in item {item} of batch {batch}: {rule}"
                return [Finding("labels out of range", place, told)]
            needed = len(labels) + sum(left == right for left, right in pairwise(labels))
            if needed > len(answers):
                bad.append(f"item {item} of batch {batch} needs {needed} frames and has {len(answers)}")
    if not bad:
        return []
    told = f"{len(bad)} of {items} items have no alignment: {bad[0]}"
    return [Finding("labels do not fit into the frames", place, told)]


def _classes(name: str, some: Sequence[Learned], known: Sequence[np.ndarray]) -> list[Finding]:
    place, classes = f'output "{name}"', some[0].classes
    every = [np.asarray(one.labels)[mask] for one, mask in zip(some, known, strict=True)]
    labels = np.concatenate(every)
    if (labels >= classes).any():
        told = f"labels up to {labels.max()}, but the output has {classes} classes, 0..{classes - 1}"
        return [Finding("labels out of range", place, told)]
    present = np.unique(labels)
    if classes > 1 and len(present) == 1 and len(labels) >= FEWEST_ITEMS:
        return [Finding("classes are missing", place, f"all {len(labels)} items are of class {present[0]}")]
    full = [one for one in every if len(one) >= FEWEST_ITEMS]
    if len(full) > 1 and all(len(np.unique(one)) == 1 for one in full):
        named = ", ".join(str(one[0]) for one in full[:NAMED])
        told = f"each of {len(full)} batches holds one class only: {named}"
        return [Finding("classes are missing", place, told)]
    absent = sorted({*range(classes)} - {*present.tolist()})
    if absent and len(labels) >= MANY_ITEMS * classes:
        named = ", ".join(map(str, absent[:NAMED]))
        told = f"none of {len(labels)} items is of class {named}; the output has {classes} classes"
        return [Finding("classes are missing", place, told)]
    return []


def _tags(name: str, some: Sequence[Learned], known: Sequence[np.ndarray]) -> list[Finding]:
    labels = np.concatenate(
        [np.asarray(one.labels, np.float64)[mask] for one, mask in zip(some, known, strict=True)]
    )
    low, high = float(np.nanmin(labels)), float(np.nanmax(labels))
    if low < 0 or high > 1:
        told = f"targets from {low:.4g} to {high:.4g}: must be in [0, 1]"
        return [Finding("labels out of range", f'output "{name}"', told)]
    if len(labels) >= FEWEST_ITEMS and low == high:
        told = f"all {labels.size} targets are {low:g}"
        return [Finding("classes are missing", f'output "{name}"', told)]
    return []


def _values(name: str, some: Sequence[Learned]) -> list[Finding]:
    bad = sum(int((~np.isfinite(np.asarray(one.labels, np.float64))).sum()) for one in some)
    told = f"{bad} targets are NaN or infinite"
    return [Finding("labels out of range", f'output "{name}"', told)] if bad else []


def of_agreement(learned: Sequence[Learned]) -> list[Finding]:
    """Logits where the loss expects probabilities, or the other way round."""
    found = []
    for one in learned:
        if not one.expects or one.answers is None or one.kind == "values":
            continue
        answers = np.concatenate(one.answers) if one.kind == "ctc" else np.asarray(one.answers, np.float64)
        if not answers.size or not np.isfinite(answers).all():
            continue
        low, high = float(answers.min()), float(answers.max())
        within = low >= -1e-6 and high <= 1 + 1e-6
        softmax = within and answers.shape[-1] > 1 and bool(np.abs(answers.sum(axis=-1) - 1).max() < 1e-3)
        sigmoid = one.kind == "tags" and within and answers.size >= SIGNS
        if one.expects == "logits" and (softmax or sigmoid):
            told = f"the loss expects logits, but gets probabilities, from {low:.3g} to {high:.3g}"
        elif one.expects == "probabilities" and not within:
            told = f"the loss expects probabilities, but gets numbers from {low:.3g} to {high:.3g}"
        else:
            continue
        found.append(Finding("outputs and loss disagree", f'output "{one.name}"', told))
    return found


# ---------------------------------------------------------------- slopes


def of_slopes(learned: Sequence[Learned], slopes: Sequence[Learned | None]) -> list[Finding]:
    """Losses without a slope where they are large; ``slopes`` are gradients in the place of ``answers``."""
    found = []
    for one, slope in zip(learned, slopes, strict=True):
        if one.kind not in ("classes", "tags") or not one.expects:
            continue
        if slope is None or slope.answers is None:
            continue
        known = _known(one)
        if not known.any():
            continue
        answers, steep = (
            np.asarray(one.answers, np.float64)[known],
            np.asarray(slope.answers, np.float64)[known],
        )
        right, steep = _right(one, answers, steep, known)
        # d loss / d log p, of a mean of cross-entropies 1 / n
        flat = (right < WRONG) & (np.abs(steep) * right.size < FLAT)
        if share(flat) >= SATURATED:
            told = (
                f"{100 * share(flat):.0f} % of the items give the true class a probability below {WRONG:g},"
                " where the loss has no slope"
            )
            found.append(Finding("saturated loss", f'output "{one.name}"', told))
    return found


def _right(
    one: Learned, answers: np.ndarray, steep: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of what is right of each item, of tags of each tag, and the slope of the loss with respect
    to its logarithm; where p is near 0, log p changes as the logit does.
    """
    labels, logits = np.asarray(one.labels)[known], one.expects == "logits"
    if one.kind == "classes":
        rows = np.arange(len(answers))
        if logits:
            right = np.exp(answers[rows, labels] - np.logaddexp.reduce(answers, axis=1))
        else:
            right = answers[rows, labels]
        steep = steep[rows, labels]
    else:
        held = np.asarray(labels, np.float64) > 0.5
        right = (
            np.exp(-np.logaddexp(0, np.where(held, -answers, answers)))
            if logits
            else (np.where(held, answers, 1 - answers))
        )
    return right, steep if logits else steep * right


# ---------------------------------------------------------------- blanks


def of_blanks(first: Step, last: Step) -> list[Finding]:
    """Answers of CTC that are blank throughout and do not depend on the sound."""
    found = []
    for before, after in zip(first.learned, last.learned, strict=True):
        if after.kind != "ctc":
            continue
        blanks, spread = _blank_share(after), _spread(after)
        if blanks >= BLANK and spread < SAME:
            told = (
                f"{100 * blanks:.0f} % of the frames are blank, and log probabilities vary by {spread:.2g}"
                f" nats from frame to frame ({_spread(before):.2g} at the first step)"
            )
            found.append(Finding("blank collapse", f'output "{after.name}"', told))
    return found


def _blank_share(one: Learned) -> float:
    return share(np.concatenate([answers.argmax(axis=-1) == one.blank for answers in one.answers]))


def _spread(one: Learned) -> float:
    """Deviation of log probabilities over frames, mean over classes and items."""
    logs = [answers - np.logaddexp.reduce(answers, axis=-1, keepdims=True) for answers in one.answers]
    return float(np.mean([one.std(axis=0).mean() for one in logs if len(one)]))
