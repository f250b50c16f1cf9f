"""A table of machines on which recorded numbers came back, in a Markdown file. Contents: `append`."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path

from audiomtl.harness.record import provenance
from audiomtl.harness.verify.result import Verified
from audiomtl.settings.toml import write

HEAD = ("date", "command", "machine", "software", "commit", "reproduced", "not reproduced")
TITLE = "# Machines that reproduced the results\n\n"
RULE = f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}\n"


def append(place: Path, command: str, results: Sequence[Verified]) -> None:
    """Add a row for this machine, or replace the one of the same command on it.

    The rows are the end of the file; it is created if it does not exist.
    """
    text = place.read_text(encoding="utf-8") if place.is_file() else TITLE + RULE
    if RULE not in text:
        text = f"{text.rstrip()}\n\n{RULE}"
    before, _, after = text.partition(RULE)
    head, dirty = provenance.commit()
    failed = [one.name for one in results if not one.reproduced]
    cells = [
        datetime.now(UTC).date().isoformat(),
        f"`{command}`",
        provenance.machine(),
        f"Python {platform.python_version()}, {_tensorflow()}, lock {provenance.lock_hash()}",
        f"{head[:12]}{' with changes' if dirty else ''}",
        f"{len(results) - len(failed)} of {len(results)}",
        ", ".join(failed) or "none",
    ]
    rows = [row for row in after.splitlines() if row and _cells(row)[1:3] != cells[1:3]]
    rows.append(f"| {' | '.join(cells)} |")
    write(place, before + RULE + "\n".join(rows) + "\n")


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def _tensorflow() -> str:
    names = packages_distributions().get("tensorflow", [])
    return f"TensorFlow {version(names[0])}" if names else "no TensorFlow"
