"""A frozen study rebuilt: every training in a file that `audiomtl report NAME --freeze` wrote.

Contents: `verify_frozen`.
"""

import hashlib
import json
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.record import parts, provenance
from audiomtl.harness.verify import compare, origin, steps
from audiomtl.harness.verify.again import fingerprint
from audiomtl.harness.verify.origin import Change
from audiomtl.harness.verify.record import Record, changes_of
from audiomtl.harness.verify.result import Verified
from audiomtl.harness.verify.run import rebuilt
from audiomtl.settings.published import without_published

METADATA, RUNS = "ro-crate-metadata.json", "runs.json"


def verify_frozen(place: Path, *, quick: bool, slots: int, threads: int) -> list[Verified]:
    """Check the files of the archive, then what its numbers depend on, then train everything again.

    With ``quick`` nothing is trained but the first ten steps of the experiment, where its ``[expected]`` has
    their losses. On another processor they come first without it, too.

    Raises
    ------
    UserError : not a file that `freeze` wrote.
    MissingData : the data set is not on this machine.
    """
    files = _read(place)
    if broken := _altered(files):
        return [Verified(str(place), False, f"changed since it was written: {', '.join(broken)}")]
    records = [_record(entry, files) for entry in json.loads(files[RUNS])]
    document = without_published(tomllib.loads(files["experiment.toml"].decode()))
    expected = document.pop("expected", {})
    document.pop("ablation", None)
    if changed := _changes(document, json.loads(files["data.json"]), files):
        return [Verified(str(place), False, "; ".join(map(str, changed)))]
    recorded = expected.get("recorded", {})
    if not quick:
        first = (
            _first_steps(place, document, recorded, threads)
            if _elsewhere(document, recorded, threads)
            else None
        )
        if first and not first.reproduced:
            return [first]
        floors = {name: one["floor"] for name, one in expected.items() if "floor" in one}
        return rebuilt(records, f"verify {place.name}", slots=slots, threads=threads, floors=floors)
    results = []
    for record in records:
        if changed := changes_of(record):
            results.append(Verified(record.name, False, "; ".join(map(str, changed))))
    return results or [_first_steps(place, document, recorded, threads)]


def _elsewhere(raw: dict[str, Any], recorded: Mapping[str, Any], threads: int) -> bool:
    """Whether the first steps in ``[expected]`` are those of today's settings and code, and were recorded by
    another processor, so that they say more than equivalent scores.
    """
    code = recorded.get("fingerprint_code", recorded.get("code"))
    return (
        bool(recorded.get("fingerprint"))
        and not compare.same_steps(recorded, threads)
        and recorded.get("settings") == config.digest(config.scored_settings(raw))
        and code == provenance.code_version(raw)
    )


def _first_steps(place: Path, raw: dict[str, Any], recorded: Mapping[str, Any], threads: int) -> Verified:
    if recorded.get("dirty"):
        return Verified(str(place), False, "[expected] was recorded with changed files, which no commit has")
    if not recorded.get("fingerprint"):
        return Verified(str(place), False, "no first steps are recorded in it; leave out --quick")
    now = fingerprint(place.stem, raw, int(recorded["seeds"][0]), threads=threads)
    exact = compare.same_steps(recorded, threads)
    rounding = recorded.get("fingerprint_rounding", ())
    return Verified(str(place), *steps.compared(recorded["fingerprint"], now, exact=exact, rounding=rounding))


def _read(place: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(place) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{place}: cannot be read as a ZIP archive ({error})") from None
    needed = (METADATA, RUNS, "experiment.toml", "data.json")
    if lacking := [name for name in needed if name not in files]:
        raise UserError(
            f"{place}: has no {lacking[0]}: not a file that `audiomtl report NAME --freeze` wrote"
        )
    return files


def _altered(files: Mapping[str, bytes]) -> list[str]:
    """Names of files that are not as described, not described, or gone."""
    described = {one["@id"]: one for one in json.loads(files[METADATA])["@graph"] if one["@type"] == "File"}
    names = sorted({*described, *files} - {METADATA})
    return [
        name
        for name in names
        if name not in files
        or name not in described
        or hashlib.sha256(files[name]).hexdigest() != described[name]["sha256"]
    ]


def _record(entry: Mapping[str, Any], files: Mapping[str, bytes]) -> Record:
    raw = tomllib.loads(files[f"runs/{entry['key']}/settings.toml"].decode())
    return Record(entry["name"], raw, entry["params"], entry["tags"], entry["scores"])


def _changes(raw: dict[str, Any], data: Mapping[str, Any], files: Mapping[str, bytes]) -> list[Change]:
    """What of the data and the lock differs from the archive's."""
    found = list[Change]()
    if "columns" in data:
        here = parts.data_of(raw, config.settings_of(raw, "experiment.toml"))
        found = origin.changed_data(data["columns"], here)
    if "requirements.lock" in files:
        lock = hashlib.sha256(files["requirements.lock"]).hexdigest()[:12]
        if lock != provenance.lock_hash():
            found.append(Change("lock", lock, provenance.lock_hash()))
    return found
