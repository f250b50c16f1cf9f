"""GTZAN: 1,000 excerpts of thirty seconds in ten genres.

Source: Tzanetakis and Cook, "Musical genre classification of audio signals", 2002. Layout: ``genres/GENRE/GENRE.NNNNN.wav`` (or
``.au``). The set has doubled, distorted and mislabelled excerpts (Sturm, 2013). The *fault-filtered* split of Kereliuk, Sturm and
Larsen (2015) leaves them out and keeps artists apart: three lists of files, ``train_filtered.txt``, ``valid_filtered.txt`` and
``test_filtered.txt``, published at https://github.com/coreyker/dnn-mgr; they are not part of this project. jazz.00054 is published
broken; it is left out and counted.

Contents: `clips`.
"""

from pathlib import Path

import pandas as pd
import soundfile

from audiomtl.errors import MissingData
from audiomtl.settings.clips import Gtzan

LISTS = {"train": "train_filtered.txt", "validation": "valid_filtered.txt", "test": "test_filtered.txt"}


def clips(data: Gtzan, folder: Path) -> pd.DataFrame:
    """The clip table.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the file's stem): path, seconds, genre; with ``fault_filtered`` also ``side``, for
        ``protocol.column``. Unreadable files are left out and counted in ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such folder, no recordings, or with ``fault_filtered`` a list that is absent.
    """
    root = next((one for one in (folder / "gtzan", folder / "GTZAN", folder) if (one / "genres").is_dir()), None)
    paths = sorted(path for suffix in ("wav", "au") for path in root.glob(f"genres/*/*.{suffix}")) if root else []
    if root is None or not paths:
        raise MissingData(f"GTZAN is not in {folder / 'gtzan'}: put genres/GENRE/GENRE.NNNNN.wav there")
    sides: dict[str, str] = {}
    if data.fault_filtered:
        for side, name in LISTS.items():
            if not (root / name).is_file():
                raise MissingData(
                    f"data.fault_filtered = true: {root / name} is absent; put {', '.join(LISTS.values())} there, "
                    "published at https://github.com/coreyker/dnn-mgr"
                )
            sides |= {Path(line.strip()).stem: side for line in (root / name).read_text().splitlines() if line.strip()}
    rows, broken = [], 0
    for path in paths:
        if sides and path.stem not in sides:
            continue
        try:
            seconds = soundfile.info(path).duration
        except soundfile.SoundFileError:
            broken += 1
            continue
        row = {"clip_id": path.stem, "path": str(path), "seconds": seconds, "genre": path.parent.name}
        rows.append(row | ({"side": sides[path.stem]} if sides else {}))
    if not rows:
        raise MissingData(f"GTZAN: none of the {len(paths)} files in {root / 'genres'} can be used")
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    table.attrs["left_out"] = {"unreadable": broken} if broken else {}
    return table
