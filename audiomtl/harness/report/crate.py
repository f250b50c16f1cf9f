"""A ZIP archive that describes itself: RO-Crate 1.1, JSON-LD.

Conventions: paths in it are relative, with forward slashes. Contents: `write`, `METADATA`.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from audiomtl import __version__
from audiomtl.system import replacing

METADATA = "ro-crate-metadata.json"
FORMATS = {
    ".toml": "application/toml",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".lock": "text/plain",
}
ALWAYS = (1980, 1, 1, 0, 0, 0)  # time of every entry: the earliest that ZIP knows


def write(place: Path, name: str, description: str, files: Mapping[str, bytes], ended: datetime) -> None:
    """Write files and their description; the same files and time give the same bytes.

    Parameters
    ----------
    files : path in the archive -> content. ended : when the newest of the described trainings ended.
    """
    whole = {METADATA: _metadata(name, description, files, ended), **files}
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as stream, zipfile.ZipFile(stream, "w") as archive:
        for path in [METADATA, *sorted(files)]:
            info = zipfile.ZipInfo(path, ALWAYS)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            archive.writestr(info, whole[path], compresslevel=6)


def _metadata(name: str, description: str, files: Mapping[str, bytes], ended: datetime) -> bytes:
    parts = [{"@id": path} for path in sorted(files)]
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": name,
            "description": description,
            "datePublished": ended.date().isoformat(),
            "license": {"@id": "#license"},
            "hasPart": parts,
            "mentions": {"@id": "#trainings"},
        },
        {
            "@id": "#license",
            "@type": "CreativeWork",
            "name": "No licence stated",
            "description": "The author states the licence. The recordings are not part of this crate.",
        },
        {
            "@id": "#audiomtl",
            "@type": "SoftwareApplication",
            "name": "audiomtl",
            "version": __version__,
        },
        {
            "@id": "#trainings",
            "@type": "CreateAction",
            "name": "Trainings and their evaluation",
            "endTime": ended.isoformat(timespec="seconds"),
            "instrument": {"@id": "#audiomtl"},
            "result": parts,
        },
    ]
    for path, content in sorted(files.items()):
        graph.append(
            {
                "@id": path,
                "@type": "File",
                "name": path.rpartition("/")[2],
                "contentSize": str(len(content)),
                "encodingFormat": FORMATS.get(Path(path).suffix, "application/octet-stream"),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    crate = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}
    return (json.dumps(crate, ensure_ascii=False, indent=1) + "\n").encode()
