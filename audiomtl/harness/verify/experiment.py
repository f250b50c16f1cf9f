"""The recorded scores of experiments rebuilt: all of them, or their first ten training steps.

Conventions: a number is reproduced only where everything that it depends on is what was recorded, and the
training gives it again. Contents: `Checked`, `examine`, `quick`, `whole`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomtl.config import ExperimentFile
from audiomtl.harness.experiment import family_scores
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.child import Job
from audiomtl.harness.verify import compare, origin, steps
from audiomtl.harness.verify.again import fingerprints, train_again, with_rounding
from audiomtl.harness.verify.result import Verified


@dataclass(frozen=True)
class Checked:
    """An experiment with recorded scores, and what has changed since."""

    file: ExperimentFile
    current: dict[str, Any]  # `origin.now`
    changes: tuple[origin.Change, ...]

    @property
    def recorded(self) -> dict[str, Any]:
        return dict(self.file.expected["recorded"])

    @property
    def said(self) -> list[str]:
        """The changes, and where only the code has changed the commit that recorded."""
        lines = [str(one) for one in self.changes]
        if self.changes and self.only_code:
            commit = origin.commit_of(self.file, self.recorded)
            lines.append(
                f"recorded by commit {commit[:12] or 'unknown'}: --checkout rebuilds the scores there"
            )
        return lines

    @property
    def only_code(self) -> bool:
        return all(one.what in origin.CODE for one in self.changes)


def examine(file: ExperimentFile, *, fingerprint: bool) -> Checked:
    """Compare what scores, or their fingerprint, were computed from with what is here.

    Raises
    ------
    MissingData : the data set is not on this machine.
    """
    recorded = file.expected["recorded"]
    current = origin.now(file.raw, file.settings)
    changes = origin.changes(recorded, current, file.settings.seeds, fingerprint=fingerprint)
    if recorded.get("dirty"):
        changes.append(
            origin.Change("commit", f"{recorded.get('commit')} with changed files", "no such commit")
        )
    return Checked(file, current, tuple(changes))


def quick(checked: Sequence[Checked], *, record: bool, slots: int, threads: int) -> list[Verified]:
    """The first ten training steps of each experiment; with ``record`` their losses are written into its
    file, where data, settings and seeds are still those of its scores.
    """
    wanted = [one for one in checked if one.only_code and (record or one.recorded.get("fingerprint"))]
    first = [(one.file.name, one.file.raw, int(one.recorded["seeds"][0])) for one in wanted]
    moved = with_rounding(first, slots=slots, threads=threads) if record else {}
    found = (
        {name: losses for name, (losses, _) in moved.items()}
        if record
        else fingerprints(first, slots=slots, threads=threads)
    )
    results = []
    for one in checked:
        name, losses = one.file.name, found.get(one.file.name, [])
        if record and one.only_code and (fault := steps.all_equal(losses)):
            results.append(Verified(name, False, f"no fingerprint recorded: {fault}"))
        elif record and one.only_code and losses:
            origin.write_fingerprint(one.file, losses, one.current, threads=threads, rounding=moved[name][1])
            results.append(Verified(name, True, f"fingerprint of {len(losses)} steps recorded"))
        else:
            results.append(_steps(one, losses, threads))
    return results


def _steps(one: Checked, losses: Sequence[float], threads: int) -> Verified:
    name, recorded = one.file.name, one.recorded
    if not recorded.get("fingerprint"):
        remedy = f"`audiomtl verify {name} --quick --record` adds it"
        reasons = "; ".join(one.said) or "no fingerprint is recorded"
        return Verified(name, False, f"{reasons}; {remedy}")
    text = ""
    if losses:
        exact = not one.changes and compare.same_steps(recorded, threads)
        came_back, text = steps.compared(
            recorded["fingerprint"], losses, exact=exact, rounding=recorded.get("fingerprint_rounding", ())
        )
        if not came_back:
            return Verified(name, False, "; ".join([*one.said, text]))
    elif one.only_code:
        return Verified(name, False, "the training failed before its tenth step")
    if one.changes:
        return Verified(name, False, "; ".join([*one.said, *([text] if text else [])]))
    return Verified(name, True, text)


def whole(one: Checked, *, slots: int, threads: int) -> Verified:
    """All seeds trained again, in a temporary folder, and every recorded score compared."""
    file, recorded = one.file, one.recorded
    if one.changes:
        return Verified(file.name, False, "; ".join(one.said))
    if recorded.get("fingerprint") and not compare.same_bits(recorded, threads):
        first = (file.name, file.raw, int(recorded["seeds"][0]))
        losses = fingerprints([first], slots=1, threads=threads).get(file.name, [])
        if not (found := _steps(one, losses, threads)).reproduced:
            return found
    jobs = [
        Job(f"seed {seed}", file.raw, seed, Path(str(seed)), Path(f"{seed}/checkpoint"), test=True)
        for seed in file.settings.seeds
    ]
    results = train_again(jobs, f"verify {file.name}", slots=slots, threads=threads)
    if lacking := [job.name for job in jobs if job.name not in results]:
        return Verified(file.name, False, f"trainings failed: {', '.join(lacking)}")
    trained = [results[job.name].scores for job in jobs]
    got = {
        name: [scores[name] for scores in trained]
        for name in file.expected
        if name != "recorded" and all(name in scores for scores in trained)
    }
    floors = {} if compare.same_bits(recorded, threads) else compare.floors_here(file)
    verdicts = compare.compare(file.expected, got, threads, family_scores(file), floors=floors)
    if moved := [each for each in verdicts if not each.reproduced]:
        show_table(compare.table(verdicts))
        text = f"recorded score: {len(moved)} of {len(verdicts)} scores were not reproduced"
        return Verified(file.name, False, f"{text}: {', '.join(each.score for each in moved)}")
    return Verified(file.name, True, compare.summary(verdicts, recorded, threads))
