"""Published weights: found on this machine, or fetched by checksum.

Contents: `weights`, `digest`, `fetch`, `PUBLISHED`.
"""

from pathlib import Path

from audiomtl.data import catalog, files
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.validation import nearest

# name -> (address of the folder, {file: SHA-256})
PUBLISHED = {
    "yamnet": (
        "https://storage.googleapis.com/audioset/",
        {"yamnet.h5": "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744"},
    )
}


def weights(name: str = "") -> Path:
    """The file of YAMNet's weights: ``name``, or if it is empty ``yamnet/yamnet.h5``, else
    ``yamnet/yamnet.tflite`` in the data folder.

    Raises
    ------
    MissingData : there is no such file.
    """
    folder = catalog.data_folder() / "yamnet"
    for place in [Path(name)] if name else [folder / "yamnet.h5", folder / "yamnet.tflite"]:
        if place.is_file():
            return place
    if name:
        raise MissingData(f"extractor.weights = {name}: no such file")
    raise MissingData(
        f"YAMNet's weights are not in {folder} (yamnet.h5 or yamnet.tflite): download them with"
        " `audiomtl data fetch yamnet`"
    )


def digest(place: Path) -> str:
    """First 12 hexadecimal digits of a file's SHA-256."""
    return files.digest(place)[:12]


def fetch(name: str, folder: Path, mirror: str = "") -> list[Path]:
    """Get the files of ``name`` into ``folder/name``; what is there with the right checksum is not fetched
    again.

    Parameters
    ----------
    mirror : address of a folder to take them from instead of where they are published.

    Raises
    ------
    UserError : no such name, no network, a folder that cannot be written, or a file with another checksum,
        which is not kept.
    """
    import pooch
    import requests

    if name not in PUBLISHED:
        raise UserError(
            f"fetch {name}: no such download{nearest(name, PUBLISHED)}; available: {', '.join(PUBLISHED)}"
        )
    address, published = PUBLISHED[name]
    address = f"{(mirror or address).rstrip('/')}/"
    pooch.get_logger().setLevel("WARNING")
    fetcher = pooch.create(
        path=folder / name,
        base_url=address,
        registry={file: f"sha256:{digest}" for file, digest in published.items()},
    )
    found = []
    for file in published:
        try:
            found.append(Path(fetcher.fetch(file)))
        except ValueError as error:  # pooch's word for another checksum
            raise UserError(
                f"{address}{file}: the checksum differs from that of the published file; not kept; try again"
            ) from error
        except requests.RequestException as error:
            reason = type(error).__name__
            raise UserError(
                f"{address}{file}: cannot be downloaded ({reason}); without a network, copy it to"
                f" {folder / name / file}"
            ) from error
        except OSError as error:
            raise UserError(
                f"{folder / name}: cannot be written ({error.strerror or error}); set AUDIOMTL_DATA to a"
                " writable folder"
            ) from error
    return found
