"""What a table of recorded scores says where its rows were not recorded alike. Contents: `mixed`."""

from collections.abc import Sequence

from audiomtl.config import ExperimentFile

PARTS = {"lock": "versions of packages (`requirements.lock`)", "machine": "processors", "commit": "commits"}


def mixed(files: Sequence[ExperimentFile]) -> list[str]:
    """A sentence for each part of the origin in which experiments differ; none where they all agree.

    Of each part only what was recorded counts.
    """
    found = []
    for key, what in PARTS.items():
        rows: dict[str, list[str]] = {}
        for file in files:
            if value := file.expected["recorded"].get(key):
                rows.setdefault(str(value)[:12] if key == "commit" else str(value), []).append(file.name)
        if len(rows) > 1:
            each = "; ".join(f"{value}: {', '.join(sorted(names))}" for value, names in sorted(rows.items()))
            found.append(f"The rows of this table were recorded with different {what}: {each}.")
    return found
