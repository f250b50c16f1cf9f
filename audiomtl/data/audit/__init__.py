"""An audit of recordings before anything is trained: copies on two sides of a split, shortcuts to the label,
counts, and the leak bill. Minutes, without TensorFlow.

Contents: `audit`, `Audit`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiomtl import pictures
from audiomtl.data.audit import counts, duplicates, measures
from audiomtl.data.audit.divisions import Design, Task, design, task_of
from audiomtl.data.audit.leak_bill import REPETITIONS, Bill, bill
from audiomtl.data.audit.measures import Sounds
from audiomtl.data.audit.shortcuts import Probe, probes
from audiomtl.data.audit.shown import text
from audiomtl.data.audit.subject import Subject

__all__ = ["Audit", "audit"]
COPIES = "copies"  # what clips that are copies of one another share, where there are no groups


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    subject: Subject
    serious: tuple[str, ...]  # what makes scores wrong, one line each
    warnings: tuple[str, ...]
    bill: Bill | str  # or why there is none
    probes: tuple[Probe, ...]
    copies: tuple[duplicates.Copy, ...]  # their numbers are rows of the subject's table
    text: str  # all of it, for a terminal


def audit(
    subject: Subject,
    *,
    to: Path | None = None,
    repetitions: int = REPETITIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Look at, and listen to, all clips of a table, folder or experiment.

    Parameters
    ----------
    to : folder into which the picture ``leak_bill.png`` is written; None writes none.
    repetitions : of the cross-validation of the leak bill. progress : is told what is done, one line each.
    """
    serious, warnings = list(subject.faults), list(subject.warnings)
    warnings += [f"{kind}: {words}" for kind, words in subject.bad]
    sounds = _listened(subject, progress)
    serious += list(sounds.faults)
    progress("copies")
    found = [
        copy._replace(first=int(sounds.rows[copy.first]), second=int(sounds.rows[copy.second]))
        for copy in duplicates.copies([one.print for one in sounds.measures])
    ]
    worse, others = counts.leaks(subject, found)
    serious += worse
    warnings += [*others, *counts.conflicts(subject, found), *counts.of_classes(subject)]
    warnings += counts.of_sound(subject, sounds.rows, sounds.measures)
    plan, prices, seen = _learned(subject, sounds, found, repetitions, progress)
    warnings += [
        f"shortcut: {subject.label} follows from {probe.name} alone ({probe.score:.2f}, chance"
        f" {probe.chance:.2f}, p = {probe.p:.2f}); {probe.remedy}"
        for probe in seen
        if probe.shortcut
    ]
    seconds = float(sounds.of("seconds").sum()) if sounds.measures else 0.0
    told = text(subject, seconds, prices, plan, seen, serious, warnings)
    if to is not None and isinstance(prices, Bill):
        rows = [(one.name, one.score, *one.interval) for one in prices.prices]
        path = Path(to) / "leak_bill.png"
        pictures.leak_bill(rows, chance=prices.chance, score=prices.score, title=subject.name, path=path)
        told += f"\n{path} written"
    return Audit(subject, tuple(serious), tuple(warnings), prices, tuple(seen), tuple(found), told)


def _listened(subject: Subject, progress: Callable[[str], None]) -> Sounds:
    """The measures of all recordings."""
    if not subject.recordings:
        return Sounds(np.empty(0, int), [], ())
    paths = list(map(str, subject.table["path"]))
    told = 0

    def heard(done: int, of: int) -> None:
        nonlocal told
        if done == of or done >= told + max(50, of // 10):
            told = done
            progress(f"listening: {done} of {of} clips")

    return measures.measured(paths, heard)


def _learned(
    subject: Subject,
    sounds: Sounds,
    copies: list[duplicates.Copy],
    repetitions: int,
    progress: Callable[[str], None],
) -> tuple[Design | str, Bill | str, list[Probe]]:
    """The divisions, the leak bill, and the probes; a reason where there is none."""
    if not subject.recordings:
        reason = "the clips are no recordings"
        return reason, reason, []
    if not subject.kind:
        reason = "there is no label; --label names the column of classes, tags or values"
        return reason, reason, []
    clips = subject.table.iloc[sounds.rows]
    task = task_of(clips, subject.label, subject.kind)
    groups = {name: clips[name].to_numpy() for name in subject.groups if name != subject.label}
    if not groups and copies:
        pairs = [(copy.first, copy.second) for copy in copies]
        groups = {COPIES: duplicates.clusters(pairs, len(subject.table))[sounds.rows]}
    plan = design(task, groups)
    rows = np.array([one.row for one in sounds.measures])
    if isinstance(plan, Design):
        prices = bill(rows, plan, repetitions=repetitions, progress=progress)
        return plan, prices, probes(sounds.measures, plan, prices.prices[-1].score, progress=progress)
    return _without_groups(task, plan, rows, sounds, progress)


def _without_groups(
    task: Task, reason: str, rows: np.ndarray, sounds: Sounds, progress: Callable[[str], None]
) -> tuple[Design | str, str, list[Probe]]:
    """Probes under a random split, where groups cannot be held out: shortcuts are there all the same."""
    plan = design(task, {})
    if isinstance(plan, str):
        return reason, reason, []
    score = bill(rows, plan, repetitions=3, progress=progress).prices[0].score
    return plan, reason, probes(sounds.measures, plan, score, progress=progress)
