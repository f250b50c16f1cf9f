"""An audit of recordings before anything is trained: leaks, shortcuts, counts, without TensorFlow.

Contents: `audit`, `Audit`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiomtl.data.audit.subject import Subject

__all__ = ["Audit", "audit"]


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    subject: Subject
    serious: tuple[str, ...]  # what makes scores wrong: one line each
    warnings: tuple[str, ...]
    text: str  # all of it, for a terminal


def audit(
    subject: Subject, *, to: Path | None = None, progress: Callable[[str], None] = lambda _: None
) -> Audit:
    """Look at all clips of a table, folder or experiment.

    Parameters
    ----------
    to : folder into which the picture is written; None writes none.
    progress : is told what is done, one line each.
    """
    lines: Sequence[str] = [f"{subject.name}: {len(subject.table)} clips"]
    return Audit(subject, subject.faults, subject.warnings, "\n".join(lines))
