"""Files among the artifacts of a run: how large they are, and where they lie.

Contents: `sizes`, `folder`.
"""

from pathlib import Path

from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from audiomtl.harness.record.store import Run, Tracking


def sizes(tracking: Tracking, run: Run, below: str | None = None) -> dict[str, int]:
    """Bytes of every file and folder at the top of a run's artifacts, or in their folder ``below``, by path;
    as the store says.
    """
    return {
        item.path: sum(sizes(tracking, run, item.path).values()) if item.is_dir else int(item.file_size or 0)
        for item in tracking.client.list_artifacts(run.info.run_id, below)
    }


def folder(run: Run) -> Path | None:
    """Folder of a run's artifacts; None where they are behind a server."""
    uri = run.info.artifact_uri
    return Path(local_file_uri_to_path(uri)) if is_local_uri(uri) else None
