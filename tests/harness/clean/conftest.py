"""A store that is filled by hand, and what can be listed of a folder."""

from pathlib import Path

from tests.harness.report.conftest import empty, store  # noqa: F401  (fixtures)


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below a folder, with the size of files.

    SQLite makes and removes files of its own beside a database whenever a connection is opened or closed: these,
    and the size of the database, say nothing.
    """
    return {
        str(path.relative_to(folder)): path.lstat().st_size if path.is_file() and path.suffix != ".db" else -1
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(("-wal", "-shm", "-journal"))
    }


def written(folder: Path, name: str, size: int = 1000) -> Path:
    """A file of so many bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path
