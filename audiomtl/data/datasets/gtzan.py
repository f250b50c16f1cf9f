"""GTZAN: 1,000 excerpts of thirty seconds in ten genres.

Source: Tzanetakis and Cook, "Musical genre classification of audio signals", 2002. Layout:
``genres/GENRE/GENRE.NNNNN.wav`` (or ``.au``). The set has doubled, distorted and mislabelled excerpts (Sturm,
2013). The *fault-filtered* split of Kereliuk, Sturm and Larsen (2015) leaves them out and keeps artists
apart: three lists of files, ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt``,
published at https://github.com/coreyker/dnn-mgr; they are not part of this project. jazz.00054 is published
broken; it is left out, named in a line and counted.

Contents: `clips`.
"""

from pathlib import Path

import pandas as pd
from pydantic import Field

from audiomtl.data import audio, identity
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set."""

    fault_filtered: bool = Field(
        description=(
            "Whether to leave out the repeated, distorted and mislabelled clips found by Sturm (2013)."
        )
    )


LISTS = {"train": "train_filtered.txt", "validation": "valid_filtered.txt", "test": "test_filtered.txt"}
NAMED = 5  # how many clips a line names


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the file's stem): path, seconds, genre; with ``fault_filtered`` also
    ``side``, for
        ``protocol.column``. Unreadable files, and listed ones that are absent, are left out, said in a line
        and counted in ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such folder, no recordings, or with ``fault_filtered`` a list that is absent.
    UserError : a clip that two of the lists have.
    """
    root = next(
        (one for one in (folder / "gtzan", folder / "GTZAN", folder) if (one / "genres").is_dir()), None
    )
    paths = (
        sorted(path for suffix in ("wav", "au") for path in root.glob(f"genres/*/*.{suffix}")) if root else []
    )
    if root is None or not paths:
        raise MissingData(f"GTZAN is not in {folder / 'gtzan'}: put genres/GENRE/GENRE.NNNNN.wav there")
    sides: dict[str, str] = {}
    if data.fault_filtered:
        for side, name in LISTS.items():
            if not (root / name).is_file():
                raise MissingData(
                    f"data.fault_filtered = true: {root / name} is missing; put {', '.join(LISTS.values())}"
                    " there, published at https://github.com/coreyker/dnn-mgr"
                )
            for clip in _listed(root / name):
                if sides.setdefault(clip, side) != side:
                    raise UserError(
                        f"{root / name}: {clip} is also in {LISTS[sides[clip]]}; a clip must be in one list"
                    )
    rows, broken = [], []
    for path in paths:
        clip = identity.clean(path.stem)
        if sides and clip not in sides:
            continue
        try:
            seconds = audio.info(path).seconds
        except UserError:
            broken.append(path.stem)
            continue
        row = {"clip_id": clip, "path": str(path), "seconds": seconds, "genre": path.parent.name}
        rows.append(row | ({"side": sides[clip]} if sides else {}))
    if not rows:
        raise MissingData(f"GTZAN: none of the {len(paths)} files in {root / 'genres'} can be used")
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    left_out = {
        "missing": sorted(set(sides) - {identity.clean(path.stem) for path in paths}),
        "unreadable": broken,
    }
    for reason, some in left_out.items():
        if some:
            more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
            print(
                f"GTZAN: {len(some)} clips are left out, {reason}: {', '.join(some[:NAMED])}{more}",
                flush=True,
            )
    table.attrs["left_out"] = {reason: len(some) for reason, some in left_out.items() if some}
    return table


def _listed(path: Path) -> list[str]:
    """Clip ids of a list, which writes ``GENRE/GENRE.NNNNN.wav``."""
    lines = path.read_text(encoding="utf-8").split()
    return [identity.clean(Path(line).name.removesuffix(".wav").removesuffix(".au")) for line in lines]
