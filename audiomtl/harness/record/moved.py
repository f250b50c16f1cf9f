"""A folder of runs that was moved or copied: MLflow keeps the absolute places of artifacts, so that runs
would be read from the old place and written there.

Contents: `follow`.
"""

import contextlib
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from audiomtl.data.files import safe_name

# table -> its columns with places of artifacts
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def follow(database: Path, artifacts: Path, tell: Callable[[str], None]) -> None:
    """Let the records in ``database`` point into ``artifacts`` where they pointed into the folder of the same
    name that was there before; what lies elsewhere stays.

    Only for the project's own SQLite file, by the holder of its lock.
    """
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as store, store:
        old = {
            folder
            for place, name, number in store.execute(
                "select artifact_location, name, experiment_id from experiments"
            )
            if (folder := _folder(place, [name, safe_name(name), str(number)], artifacts.name))
            not in (None, artifacts)
        }
        if not old:
            return
        changed = 0
        for table, columns in PLACES.items():
            for column in columns:
                for (place,) in store.execute(
                    f"select distinct {column} from {table} where {column} is not null"
                ).fetchall():
                    if (new := _moved(place, old, artifacts)) and new != place:
                        store.execute(f"update {table} set {column} = ? where {column} = ?", (new, place))
                        changed += 1
    was = ", ".join(sorted(str(folder.parent) for folder in old))
    tell(f"{artifacts.parent}: moved or copied from {was}: {changed} places of artifacts now point here")


def _folder(place: str | None, names: list[str], last: str) -> Path | None:
    """The folder of artifacts in which an experiment of one of some names has its own, as this project
    gives it.
    """
    path = _path(place)
    if path is None or path.name not in names or path.parent.name != last:
        return None
    return path.parent


def _path(place: str | None) -> Path | None:
    """A place as a path; None where it is none of this machine."""
    if not place:
        return None
    if place.startswith("file:"):
        return Path(urllib.request.url2pathname(urllib.parse.urlparse(place).path))
    return Path(place) if place.startswith("/") else None


def _moved(place: str, old: set[Path], artifacts: Path) -> str:
    """A place in one of the old folders as the same one in the new folder, in the same form; else nothing."""
    path = _path(place)
    for folder in old:
        if path and path.is_relative_to(folder):
            new = artifacts / path.relative_to(folder)
            return new.as_uri() if place.startswith("file:") else str(new)
    return ""
