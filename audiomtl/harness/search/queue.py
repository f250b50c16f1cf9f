"""Which trial a worker trains next, when several workers share a study.

Contents: `StudyLeases`, `TrialQueue`, `Taken`.
"""

import contextlib
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from audiomtl.config import StudyFile
from audiomtl.harness.leases import Lease, Leases
from audiomtl.harness.search import retries
from audiomtl.harness.search.proposals import sampler
from audiomtl.harness.train.workers import deferred_signals

# between two attempts to have the turn; twice as long after each, so that many workers leave room for the one
# that has it
TURN_SECONDS, LONGEST_TURN_SECONDS = 0.05, 0.8


class StudyLeases:
    """The leases of one study, as one worker sees them; their names begin with the study's identity."""

    def __init__(self, file: StudyFile, storage: RDBStorage) -> None:
        self.identity = file.identity
        self.leases = Leases(storage.engine)
        self.leases.fence(storage.scoped_session)

    def name(self, what: str) -> str:
        """Whole name of a lease, such as ``trial/3``."""
        return f"{self.identity}/{what}"

    def take(self, what: str) -> Lease:
        """A lease that nobody else keeps for long: waits for it."""
        seconds = TURN_SECONDS
        while not (lease := self.leases.take(self.name(what))):
            time.sleep(seconds)
            seconds = min(2 * seconds, LONGEST_TURN_SECONDS)
        return lease

    def others(self, what: str) -> list[str]:
        """Owners of the live leases of other workers whose names begin with ``what``."""
        return [row.owner for row in self.leases.live(self.name(what))]

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Only one worker at a time is in such a block.

        What it writes to Optuna is written only if that holds.
        """
        lease = self.take("turn")
        try:
            with self.leases.guard(lease):
                yield
        finally:
            self.leases.release(lease)


@dataclass(frozen=True)
class Taken:
    """A trial to train, and the lease of this worker on it."""

    trial: Trial
    lease: Lease
    resumed: bool  # another worker, or this one in an earlier sitting, began it


class TrialQueue:
    """The trials of a study that nobody trains yet.

    Parameters
    ----------
    take_over : also take trials whose leases are held now, before they expire.
    """

    def __init__(self, file: StudyFile, study: optuna.Study, leases: StudyLeases, take_over: bool) -> None:
        self.file, self.study, self.own = file, study, leases
        # leases that are taken over although they have not expired: not those that are taken from now on
        self.given_up = {(row.name, row.token) for row in leases.leases.live(leases.name("trial/"))}
        if not take_over:
            self.given_up.clear()
        # with the settings (a key of their scores) of one that runs here: they are answered when it has ended
        self.aside: list[tuple[Taken, str]] = []

    def next(self, mine: Collection[int], keys: Collection[str]) -> Taken | None:
        """A trial that lost its worker or waits here, or a new one.

        Parameters
        ----------
        mine : numbers of the trials that run here.
        keys : of their scores.
        """
        for place, (taken, key) in enumerate(self.aside):
            if key not in keys:
                del self.aside[place]
                return Taken(taken.trial, taken.lease, True)
        return self._interrupted(mine) or self._new()

    def left(self, mine: Collection[int]) -> list[str] | None:
        """Workers (hosts) whose trials may still become free, or are told but not yet recorded; None where
        there is nothing left to wait for.
        """
        # those that wait beyond the number of trials (of a grid whose number was lowered) stay there
        states = (TrialState.RUNNING, TrialState.WAITING) if self.wanted() > 0 else (TrialState.RUNNING,)
        trials = {one.number for one in self.study.get_trials(deepcopy=False, states=states)}
        owners = self.own.others("trial/")
        if not trials - set(mine) and not owners:
            return None
        return sorted({owner.split(":")[0] for owner in owners})

    def _interrupted(self, mine: Collection[int]) -> Taken | None:
        here = {*mine, *(taken.trial.number for taken, _ in self.aside)}
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        left = [trial for trial in trials if trial.number not in here]
        if not left:
            return None
        leases = self.own.leases
        rows = leases.live(self.own.name("trial/"))
        given_up = {row.name for row in rows if (row.name, row.token) in self.given_up}
        live = {row.name for row in rows} - given_up
        for trial in left:
            name = self.own.name(f"trial/{trial.number}")
            lease = None if name in live else leases.take(name, at_once=name in given_up)
            if lease and self._is_running(trial._trial_id):
                self.study.sampler = sampler(self.file, trial.number)
                return Taken(Trial(self.study, trial._trial_id), lease, True)
            if lease:  # it has ended meanwhile
                leases.release(lease)
        return None

    def _new(self) -> Taken | None:
        """A new trial, as long as the study has fewer than it should have."""
        if self.wanted() <= 0:
            return None
        with self.own.turn(), deferred_signals():
            if self.wanted() <= 0:  # another worker was faster
                return None
            self.study.sampler = sampler(self.file, len(self.begun()))
            trial = self.study.ask()
            lease = self.own.leases.take(self.own.name(f"trial/{trial.number}"))
        if lease and not self._is_running(trial._trial_id):  # held up in between: another worker trained it
            self.own.leases.release(lease)
            lease = None
        return Taken(trial, lease, False) if lease else self._new()

    def _is_running(self, trial_id: int) -> bool:
        return self.study._storage.get_trial(trial_id).state == TrialState.RUNNING

    def begun(self) -> list[FrozenTrial]:
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != TrialState.WAITING]

    def wanted(self) -> int:
        """How many trials the study still has to begin."""
        trials = self.study.get_trials(deepcopy=False)
        return self.file.study.trials + retries.count(trials) - len(self.begun())
