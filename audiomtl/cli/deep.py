"""`audiomtl check --deep`: an audit of the data, then a look at the first training steps.

Contents: `deep`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiomtl.cli.common import Faults
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest


def deep(targets: Sequence[str], label: str, groups: str, to: Path | None, arm: str = "") -> None:
    """Audit each target; exit with code 1 if something is found that makes scores wrong.

    Parameters
    ----------
    targets : experiments, tables and folders. label, groups : columns; "" takes those that are found.
    arm : an ablation of the experiments, whose first steps are examined; "" is the experiment itself.
    """
    faults = Faults()
    for target in targets:
        with faults.of(target):
            own = to / Path(target).stem if to and len(targets) > 1 else to
            faults.count += _deep(target, label, groups, own, arm)
    faults.end()


def _deep(target: str, label: str, groups: str, to: Path | None, arm: str) -> bool:
    """Whether something serious is found."""
    from audiomtl import config
    from audiomtl.data import files
    from audiomtl.data.audit import audit, subject

    file = None
    known = config.names("experiments")
    if target.endswith(".toml") or target in known:
        file = config.load_experiment(target)
        if arm and arm not in file.ablations:
            arms = sorted(file.ablations)
            raise UserError(f"{file.path}: no ablation {arm}{nearest(arm, arms)}; it has {', '.join(arms)}")
        clips = subject.of_experiment(file.name, file.settings, label=label, groups=subject.named(groups))
    elif not Path(target).exists():
        raise UserError(
            f"{target}: no table or folder at this path, and no"
            f" experiment{nearest(target, known) or files.near(Path(target))};"
            f" experiments/ contains {', '.join(known) or 'no files'}"
        )
    else:
        clips = subject.of_place(target, label=label, groups=subject.named(groups))
    seen = audit(clips, to=to, progress=lambda text: print(text, file=sys.stderr, flush=True))
    print(seen.text, flush=True)
    serious = bool(seen.serious)
    return _first_steps(file, arm) or serious if file else serious


def _first_steps(file: Any, arm: str) -> bool:
    """Whether something is found in the first training steps of an experiment that keeps it from learning."""
    from audiomtl.cli.common import quiet_tensorflow
    from audiomtl.harness.doctor import doctor

    print(f"{file.name}: ten training steps", file=sys.stderr, flush=True)
    quiet_tensorflow()
    report = doctor(file, arm)
    print(report.text, flush=True)
    return bool(report.findings)
