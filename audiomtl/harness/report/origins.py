"""What a table of recorded scores says where its rows were not recorded alike. Contents: `mixed`."""

from collections.abc import Iterator, Sequence

from audiomtl import config
from audiomtl.config import ExperimentFile

PARTS = {"lock": "versions of packages (`requirements.lock`)", "machine": "processors", "commit": "commits"}


def mixed(files: Sequence[ExperimentFile], *, short: bool = False) -> list[str]:
    """A sentence for each part of the origin in which experiments differ; none where they all agree.

    Of each part only what was recorded counts. With ``short`` it is one sentence, which counts them.
    """
    found = []
    for what, rows in _parts(files):
        if len(rows) > 1 and short:
            found.append(f"{len(rows)} {what}")
        elif len(rows) > 1:
            each = "; ".join(f"{value}: {', '.join(sorted(names))}" for value, names in sorted(rows.items()))
            found.append(f"The rows of this table were recorded with different {what}: {each}.")
    if short and found:
        return [f"The rows of this table were not recorded alike: {'; '.join(found)}."]
    return found


def _parts(files: Sequence[ExperimentFile]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """(what, {value: names of experiments}) of each part of the origin."""
    for key, what in PARTS.items():
        rows: dict[str, list[str]] = {}
        for file in files:
            if value := _value(file, key):
                rows.setdefault(value, []).append(file.name)
        yield what, rows
    alike: dict[str, list[ExperimentFile]] = {}
    for file in files:
        if "data" in file.expected["recorded"]:
            alike.setdefault(config.digest(file.raw["data"]), []).append(file)
    for some in alike.values():  # experiments on the same clips
        for column in sorted({name for file in some for name in file.expected["recorded"]["data"]}):
            rows = {}
            for file in some:
                if value := file.expected["recorded"]["data"].get(column):
                    rows.setdefault(value, []).append(file.name)
            yield f"versions of the data set {some[0].raw['data']['dataset']} ({column})", rows


def _value(file: ExperimentFile, key: str) -> str:
    """One part of the origin of a record, as text; "" where it is not recorded."""
    origin = file.expected["recorded"]
    text = str(origin.get(key, ""))
    if key != "commit" or not text:
        return text
    return f"{text[:12]}{' with uncommitted changes' if origin.get('dirty') else ''}"
