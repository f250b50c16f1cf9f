"""How far the first ten training steps differ between instruction sets: one experiment of each family.

Prints, for each environment, the largest relative difference of the losses to those of the machine as it is.
Features and embeddings are computed anew in each environment, in a cache of its own; corpora are those of
AUDIOMTL_CACHE. An experiment whose data set is absent is left out.

    python benchmarks/fingerprints.py [NAME ...]

With --recorded COMMIT nothing is trained: the recorded fingerprints of the experiment files are compared with
those of a commit that another processor recorded, where data and settings are the same, beside the bound.
Code is not compared. Scikit-learn classifiers are left out: losses recorded by earlier versions are those of
train clips.

    python benchmarks/fingerprints.py --recorded 979c698
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

NAMES = (
    "baseline_esc10",
    "transfer_dog_rooster",
    "mil_emodb",
    "ctc_timit",
    "multitask_timit",
    "fusion_pictures",
)
NO_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
WITHOUT_STEPS = ("baseline_esc10", "transfer_esc10_logistic")  # scikit-learn classifiers
ENVIRONMENTS = {
    "as it is": {},
    "oneDNN without AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN with SSE 4.1 only": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "TensorFlow without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "all of the lowest": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": f"{NO_AVX512} AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}


def measured(names: list[str]) -> dict[str, list[float]]:
    """In a process of its own: losses of each experiment."""
    from audiomtl import config
    from audiomtl.data import availability
    from audiomtl.errors import MissingData
    from audiomtl.harness.verify.again import fingerprints

    wanted = []
    for name in names:
        file = config.load_experiment(name)
        try:
            availability.require(file.settings)
        except MissingData as error:
            print(error, file=sys.stderr)
            continue
        wanted.append((name, file.raw, file.settings.seeds[0]))
    return fingerprints(wanted, slots=1, threads=1)


def main(names: list[str]) -> None:
    from audiomtl.harness.verify.steps import differences

    cache = Path(os.environ.get("AUDIOMTL_CACHE", "cache")).resolve()
    found: dict[str, dict[str, list[float]]] = {}
    for title, variables in ENVIRONMENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (cache / "corpora").mkdir(parents=True, exist_ok=True)
            (place / "corpora").symlink_to(cache / "corpora")
            told = {"AUDIOMTL_CACHE": folder, "AUDIOMTL_RUNS": str(place / "runs")}
            command = [sys.executable, "-P", __file__, "--measure", str(place / "found.json"), *names]
            subprocess.run(command, env={**os.environ, **told, **variables}, check=True, stdout=sys.stderr)
            found[title] = json.loads((place / "found.json").read_text())
    usual = found.pop("as it is")
    print(f"| environment | {' | '.join(usual)} |\n| --- |{' --- |' * len(usual)}")
    for title, losses in found.items():
        cells = [f"{max(differences(usual[name], losses.get(name, []))):.1e}" for name in usual]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


def recorded(commit: str) -> None:
    """Print a row for each experiment whose fingerprint was recorded in ``commit`` by another processor."""
    from audiomtl.harness.verify.steps import bounds, differences

    machines: set[tuple[str, str]] = set()
    rows = []
    for path in sorted(Path("experiments").glob("*.toml")):
        now = _record(path.read_text(encoding="utf-8"))
        shown = subprocess.run(
            ["git", "show", f"{commit}:{path}"], capture_output=True, text=True, check=False
        )
        then = _record(shown.stdout) if shown.returncode == 0 else {}
        if not (now.get("fingerprint") and then.get("fingerprint")):
            continue
        if path.stem in WITHOUT_STEPS:
            print(f"{path.stem}: losses of other clips", file=sys.stderr)
            continue
        if any(now["data"].get(name, value) != value for name, value in then["data"].items()):
            print(f"{path.stem}: other data", file=sys.stderr)
            continue
        if then["settings"] != now["settings"]:
            print(f"{path.stem}: other settings", file=sys.stderr)
            continue
        if _machine(then) == _machine(now):
            print(f"{path.stem}: recorded by the same processor", file=sys.stderr)
            continue
        machines.add((_machine(then), _machine(now)))
        apart = differences(then["fingerprint"], now["fingerprint"])
        allowed = bounds(len(apart), now.get("fingerprint_rounding", ()))
        inside = all(one <= bound for one, bound in zip(apart, allowed, strict=True))
        cells = [f"{value:.1e}" for value in (apart[0], allowed[0], max(apart), allowed[-1])]
        rows.append(f"| {path.stem} | {' | '.join(cells)} | {'yes' if inside else 'no'} |")
    print("; ".join(f"{then} and {now}" for then, now in sorted(machines)))
    print("| experiment | first loss | its bound | largest | bound of the others | within |")
    print("| --- |" + " ---: |" * 4 + " --- |")
    print("\n".join(rows))


def _record(text: str) -> dict[str, Any]:
    return dict(tomllib.loads(text).get("expected", {}).get("recorded", {}))


def _machine(record: dict[str, Any]) -> str:
    return str(record.get("fingerprint_machine", record["machine"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--recorded"]:
        recorded(sys.argv[2])
    elif sys.argv[1:2] == ["--measure"]:
        Path(sys.argv[2]).write_text(json.dumps(measured(sys.argv[3:])))
    else:
        main(sys.argv[1:] or list(NAMES))
