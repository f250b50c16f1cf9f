"""``python -m tests.mutants``: see `tests.mutants.run`. Exit code 1 under 95 % killed."""

import argparse
import sys
import tempfile
import time
import tomllib
from dataclasses import replace
from pathlib import Path

from tests.mutants.run import HERE, chosen, run, table, targets_of, told

ENOUGH = 0.95  # share of mutants that the tests should kill

parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
parser.add_argument("names", nargs="*", help="only files whose path contains one of these")
parser.add_argument("--most", type=int, help="at most so many mutants per file")
parser.add_argument("--list", action="store_true", help="list the mutants, run none")
parser.add_argument("--project", type=Path, default=HERE.parents[1])
parser.add_argument("--targets", type=Path, default=HERE / "targets.toml")
parser.add_argument("--equivalent", type=Path, default=HERE / "equivalent.toml")
asked = parser.parse_args()

targets, imports = targets_of(asked.targets)
targets = [one for one in targets if not asked.names or any(name in one.file for name in asked.names)]
if asked.most:
    targets = [replace(one, most=asked.most) for one in targets]
equivalent = [
    one["mutant"] for one in tomllib.loads(asked.equivalent.read_text(encoding="utf-8"))["equivalent"]
]
if asked.list:
    for target in targets:
        for mutant in chosen(target, asked.project, equivalent)[0]:
            print(f"{mutant.line:4} {mutant.rule:10} {mutant.name}")
    sys.exit()
outcomes, began = [], time.monotonic()
with tempfile.TemporaryDirectory(prefix="audiomtl_mutants_") as folder:
    for outcome in run(asked.project, Path(folder), targets, equivalent, imports):
        outcomes.append(outcome)
        print(told(outcome, began), file=sys.stderr, flush=True)
print(table(outcomes))
killed, survived = (sum(len(getattr(one, name)) for one in outcomes) for name in ("killed", "survived"))
sys.exit(killed < ENOUGH * (killed + survived))
