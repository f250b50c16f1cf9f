"""``[expected.recorded]``: what recorded scores and their fingerprint were computed from, and what of it has
changed.

Contents: `Change`, `now`, `changed_data`, `changes`, `commit_of`, `write`, `write_floors`,
`write_new_groups`, `write_fingerprint`.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from audiomtl import config, surroundings
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog, subset
from audiomtl.harness.floors import Floor
from audiomtl.harness.record import parts, provenance
from audiomtl.settings.toml import write as write_toml

CODE = ("code", "lock", "code of the settings")  # changes that the commit of a record can undo


@dataclass(frozen=True)
class Change:
    """Something that a recorded number depends on, and that is not what it was."""

    what: str  # data, settings, seeds, code ...
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, now {self.now}"


def now(raw: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Keys of settings, of the code that reads them, of all code, of the lock file and of the data.

    Parameters
    ----------
    raw : an experiment. settings : the same, typed.

    Raises
    ------
    MissingData : a data set or pretrained weights are not on this machine.
    """
    published = catalog.published(settings.data)
    return {
        **({"clips": subset.recorded(catalog.clips(settings.data), settings)} if published else {}),
        "settings": config.digest(config.scored_settings(raw)),
        "settings_code": provenance.settings_version(raw),
        "code": provenance.code_version(raw),
        "lock": provenance.lock_hash(),
        "data": parts.data_of(raw, settings),
    }


def changed_data(then: Mapping[str, str], here: Mapping[str, str]) -> list[Change]:
    """Parts of the data whose keys differ."""
    return [
        Change(f"data ({name})", then.get(name, "none"), here.get(name, "none"))
        for name in sorted({*then, *here})
        if then.get(name) != here.get(name)
    ]


def changes(
    recorded: Mapping[str, Any],
    current: Mapping[str, Any],
    seeds: Sequence[int],
    *,
    fingerprint: bool = False,
) -> list[Change]:
    """What differs between a record and `now`; what was not recorded is not compared.

    Parameters
    ----------
    seeds : of the experiment. fingerprint : compare with the code and lock of the fingerprint.
    """
    found = changed_data(recorded["data"], current["data"]) if recorded.get("data") else []
    if recorded.get("clips") and "clips" in current:
        then, here = recorded["clips"], current["clips"]
        if other := subset.differences(then, here):
            found.insert(
                0, Change("clips", str(then[subset.CLIPS]), f"{here[subset.CLIPS]} ({'; '.join(other)})")
            )
    if list(recorded["seeds"]) != list(seeds):
        found.append(Change("seeds", str(list(recorded["seeds"])), str(list(seeds))))
    named = {"settings": "settings", "settings_code": "code of the settings", "code": "code", "lock": "lock"}
    for key, what in named.items():
        was = recorded.get(key)
        if fingerprint and key in ("code", "lock"):
            was = recorded.get(f"fingerprint_{key}", was)
        if was is not None and was != current[key]:
            found.append(Change(what, str(was), current[key]))
    if any(one.what == "code of the settings" for one in found):  # it is a part of the code
        found = [one for one in found if one.what != "code"]
    return found


def commit_of(file: ExperimentFile, recorded: Mapping[str, Any]) -> str:
    """The commit that recorded the scores: the recorded one, else the one that brought the key of the code
    into the file; "" where git knows none.
    """
    if recorded.get("commit") not in (None, "none"):
        return str(recorded["commit"])
    searched = f'code = "{recorded.get("code", "")}"'
    try:
        found = subprocess.run(
            ["git", "log", "-m", "--format=%H", f"-S{searched}", "--", str(file.path)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    commits = found.stdout.split()
    return commits[-1] if commits else ""


# ---------------------------------------------------------------- writing


def write(
    file: ExperimentFile,
    got: Mapping[str, Sequence[float]],
    fingerprint: Sequence[float],
    current: Mapping[str, Any],
    *,
    cpu_seconds: float,
    threads: int,
    device: str,
    rounding: Sequence[float] = (),
    floors: Mapping[str, Floor] | None = None,
    folds: Mapping[int, int] | None = None,
    new_groups: Mapping[str, Mapping[str, Any]] | None = None,
    unseen: Sequence[int] | None = None,
) -> None:
    """Write ``[expected]`` at the end of the experiment file; everything else in it is left unchanged.

    Parameters
    ----------
    got : {score: one per seed}. current : of `now`. cpu_seconds : of one training. fingerprint : empty if
        none is recorded. rounding : of it. floors : of the scores that have one. folds : test fold of each
        seed. new_groups : of the scores on test, `new_groups.of_runs`. unseen : seeds whose test clips no
        study has seen.
    """
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    if "expected" in document:
        document.remove("expected")
    head, dirty = provenance.commit()
    origin = tomlkit.table()
    for key, value in {
        "machine": provenance.machine(),
        "device": device,
        "keras": surroundings.keras_text(),
        "commit": head,
        **({"dirty": True} if dirty else {}),
        **{key: current[key] for key in ("code", "lock", "settings", "settings_code")},
        "threads": threads,
        "seeds": list(file.settings.seeds),
        **({"folds": [folds[seed] for seed in file.settings.seeds]} if folds else {}),
        **({} if unseen is None else {"unseen_seeds": list(unseen)}),
        "cpu_seconds_per_training": round(cpu_seconds, 1),
        **({"fingerprint": list(fingerprint)} if fingerprint else {}),
        **_rounding(rounding),
        **({"clips": _inline(dict(sorted(current["clips"].items())))} if "clips" in current else {}),
        "data": _table(current["data"]),  # a table of its own: last
    }.items():
        origin.add(key, value)
    expected = tomlkit.table(is_super_table=True)
    expected.add("recorded", origin)
    for name, values in sorted(got.items()):
        table = tomlkit.table()
        table.add("mean", mean(values))
        table.add("per_seed", list(values))
        if interval := (new_groups or {}).get(name):
            table.add("new_groups", _inline(interval))
        if own := (floors or {}).get(name):
            _add_floor(table, own)
        expected.add(tomlkit.key(name), table)
    text = tomlkit.dumps(document).rstrip("\n") + "\n\n"
    addition = tomlkit.document()
    addition.add("expected", expected)
    write_toml(file.path, text + tomlkit.dumps(addition))


def _add_floor(table: Any, floor: Floor) -> None:
    table["floor"], table["floor_by"] = floor.value, floor.by
    if floor.ceilings:
        table["ceilings"] = dict(sorted(floor.ceilings.items()))


def write_floors(file: ExperimentFile, floors: Mapping[str, Floor]) -> None:
    """Put floors, and ceilings, into the scores of an ``[expected]``; all else is left unchanged."""
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    expected: Any = document["expected"]
    for name, floor in sorted(floors.items()):
        if name in expected:
            _add_floor(expected[name], floor)
    write_toml(file.path, tomlkit.dumps(document))


def write_new_groups(
    file: ExperimentFile, new_groups: Mapping[str, Mapping[str, Any]], unseen: Sequence[int] | None
) -> None:
    """Put intervals for new groups into the scores of an ``[expected]``, and the seeds whose test clips no
    study has seen; all else is left unchanged. Parameters as of `write`.
    """
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    expected: Any = document["expected"]
    for name, interval in new_groups.items():
        if name in expected:
            _after(expected[name], "per_seed", "new_groups", _inline(interval))
    if unseen is None:
        expected["recorded"].pop("unseen_seeds", None)
    else:
        before = "folds" if "folds" in expected["recorded"] else "seeds"
        _after(expected["recorded"], before, "unseen_seeds", list(unseen))
    write_toml(file.path, tomlkit.dumps(document))


def _after(table: Any, before: str, key: str, value: Any) -> None:
    """Put a key into a table: where it stands already, else behind the key ``before``."""
    if key in table:
        table[key] = value
        return
    rest = list(table)[list(table).index(before) + 1 :]
    later = {name: table.pop(name) for name in rest}
    table[key] = value
    for name, old in later.items():
        table.add(name, old)


def write_fingerprint(
    file: ExperimentFile,
    fingerprint: Sequence[float],
    current: Mapping[str, Any],
    *,
    threads: int,
    rounding: Sequence[float] = (),
) -> None:
    """Add a fingerprint, and what it was computed from and on, to an ``[expected.recorded]``; the scores and
    their own code, lock, machine and threads are left unchanged.
    """
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    origin: Any = document["expected"]["recorded"]
    for key in ("settings", "settings_code"):
        origin[key] = current[key]
    origin["fingerprint"] = list(fingerprint)
    origin.pop("fingerprint_rounding", None)
    for key, value in _rounding(rounding).items():
        origin[key] = value
    here = {
        **{key: current[key] for key in ("code", "lock")},
        **{"machine": provenance.machine(), "threads": threads},
    }
    for key, value in here.items():
        origin.pop(f"fingerprint_{key}", None)
        if origin.get(key) != value:
            origin[f"fingerprint_{key}"] = value
    origin.pop("data", None)
    origin["data"] = _table(current["data"])
    write_toml(file.path, tomlkit.dumps(document))


def _rounding(values: Sequence[float]) -> dict[str, list[float]]:
    """In two digits: of what rounding does, the order of magnitude is known."""
    return {"fingerprint_rounding": [float(f"{value:.1e}") for value in values]} if values else {}


def _table(values: Mapping[str, str]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in sorted(values.items()):
        table.add(key, value)
    table.add(tomlkit.nl())
    return table


def _inline(values: Mapping[str, Any]) -> Any:
    """A mapping on one line, which leaves the table where it stands."""
    import tomlkit

    table = tomlkit.inline_table()
    for key, value in values.items():
        table.add(key, _inline(value) if isinstance(value, Mapping) else value)
    return table
