"""A study in one file: everything that its numbers were computed from, but for the recordings, and the
numbers themselves. It opens without a server, and `audiomtl verify` reads it.

The file is a ZIP archive and an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1). The same runs give the same
bytes: entries are sorted and carry no time of writing.

- ``ro-crate-metadata.json``: what each file is, its size and SHA-256
- ``experiment.toml``, ``requirements.lock``: the settings with ``[expected]``, and the packages
- ``data.json``: the key of the clip table, and of the files of each of its columns
- ``runs.json``: of each training its kind, seed, settings, tags and scores
- ``runs/KEY/``: of each training its complete settings, its learning curves (``history.json``) and its
  predictions for every clip
- ``report/``: tables and figures

Contents: `freeze`, `RUNS`, `KEPT`.
"""

import json
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import MissingData, UserError
from audiomtl.harness.record import parts, provenance
from audiomtl.harness.record import runs as recorded
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import crate, markdown
from audiomtl.harness.verify.record import read

RUNS = "runs.json"
KINDS = ("best", "ablation", "trial", "member")  # of the runs that are frozen
ENDINGS = (".parquet", "settings.toml", "history.json", "learning_curves.png")  # files of a run that are kept
KEPT = ("kind", "seed", "ablation", "study", "trial", "data", "code", "lock", "commit", "dirty", "machine",
        "threads", "device", "keras", "fingerprint", "weights", *parts.TAGS)  # fmt: skip


def freeze(name: str, place: Path) -> str:
    """Write the best runs of an experiment, its ablations and trials under the same code and data.

    Returns
    -------
    What was written where, for people.

    Raises
    ------
    UserError : no such experiment; no complete best run; a run that lacks its settings.
    """
    if place.suffix != ".zip":
        raise UserError(f"{place}: --freeze writes a ZIP archive: give a name that ends in .zip")
    file, tracking = config.load_experiment(name), recorded.existing()
    every = tracking.runs(file.name) if tracking else []
    best = recorded.choose(file, every)
    if tracking is None or best is None:
        raise UserError(f"{file.path}: no complete best run to freeze; run `audiomtl best {file.name}` first")
    files: dict[str, bytes] = {"experiment.toml": file.path.read_bytes()}
    if (lock := Path("requirements.lock")).is_file():
        files["requirements.lock"] = lock.read_bytes()
    files["data.json"] = _json(_data(file, best))
    entries, chosen = [], list[Run]()
    for run, needed in _candidates(file, every, best):
        own = _files_of(tracking, run)
        if "settings.toml" not in own and run.data.tags["kind"] == "trial":
            continue  # judged by several trainings, its members, which are here themselves
        entry = _entry(run, own)
        if not needed and not _same_code(file, best, run, own):
            continue
        chosen.append(run)
        entries.append(entry)
        files |= {f"runs/{entry['key']}/{path}": content for path, content in own.items()}
    files[RUNS] = _json(entries)
    with tempfile.TemporaryDirectory() as folder:
        markdown.write([name], Path(folder), None, pages=False)
        files |= {
            f"report/{path.name}": path.read_bytes() for path in Path(folder).iterdir() if path.is_file()
        }
    ended = max(run.info.end_time for run in chosen) / 1000
    crate.write(place, file.name, file.settings.description, files, datetime.fromtimestamp(ended, UTC))
    megabytes = place.stat().st_size / 2**20
    return f"{place}: {len(entries)} trainings of {file.name}, {len(files)} files, {megabytes:.1f} MB"


def _candidates(file: ExperimentFile, every: Sequence[Run], best: recorded.BestSet) -> list[tuple[Run, bool]]:
    """Of each training the newest complete run, and whether a table needs it: a best run or an ablation.

    Ablations are those that the tables count, also with data or code of their own; other trainings have the
    data of the best runs.
    """
    found: dict[str, tuple[Run, bool]] = {}
    for run in every:
        tags = run.data.tags
        complete = tags.get("kind") in KINDS and recorded.outcome(run) == "complete"
        if complete and "fingerprint" in tags and tags.get("data") == best.data:
            found[tags["fingerprint"]] = (run, False)
    counted = [run for arm in recorded.arms(file, best, every) for run in arm.runs.values()]
    found |= {run.data.tags["fingerprint"]: (run, True) for run in [*counted, *best.runs.values()]}
    return [found[key] for key in sorted(found)]


def _same_code(file: ExperimentFile, best: recorded.BestSet, run: Run, own: Mapping[str, bytes]) -> bool:
    """Whether a run has the code of the best runs. Another scaling, say, goes through other code: the key of
    that is known if the best runs have the code of today.
    """
    code = run.data.tags.get("code", best.code)
    if code == best.code or best.code != provenance.code_version(file.raw):
        return code == best.code
    return code == provenance.code_version(tomllib.loads(own["settings.toml"].decode()))


def _data(file: ExperimentFile, best: recorded.BestSet) -> dict[str, Any]:
    """Keys of the data by column, where the data are here; the key of all in the runs."""
    try:
        return {"runs": best.data, "columns": parts.data_of(file.raw, file.settings)}
    except MissingData:
        return {"runs": best.data}


def _files_of(tracking: Tracking, run: Run) -> dict[str, bytes]:
    names = [one.path for one in tracking.client.list_artifacts(run.info.run_id) if not one.is_dir]
    kept = sorted(name for name in names if name.endswith(ENDINGS))
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: Path(tracking.client.download_artifacts(run.info.run_id, name, folder)).read_bytes()
            for name in kept
        }


def _entry(run: Run, own: Mapping[str, bytes]) -> dict[str, Any]:
    if "settings.toml" not in own:
        raise UserError(f"run {run.info.run_id}: has no file settings.toml: it cannot be rebuilt")
    record = read(run, own["settings.toml"].decode())
    tags, key = record.tags, record.tags["fingerprint"]
    which = tags.get("ablation") or (f"trial {tags['trial']}" if "trial" in tags else "best")
    return {
        "name": f"{which} seed {record.seed} ({key})",
        "key": key,
        "params": record.params,
        "tags": {name: tags[name] for name in KEPT if name in tags},
        "scores": record.scores,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
