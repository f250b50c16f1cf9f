"""What is decided of a trial that several trainings judge: whether it goes on, is dropped, has failed or is
complete. Contents: `Verdicts`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from audiomtl.harness.search import dropping, members, pareto, records, retries
from audiomtl.harness.search.members import GO_ON, STOP, Ended, Member
from audiomtl.harness.search.proposals import pareto_front
from audiomtl.harness.search.worker import Worker
from audiomtl.harness.train.workers import Outcome

PREDICTIONS = "predictions_validation.parquet"
WORDS = "words"  # user attribute of a trial that has ended: how, for people


class Verdicts:
    """The decisions of one worker; all but `due` are made in the study's turn."""

    def __init__(self, worker: Worker, plan: Sequence[Member]) -> None:
        self.worker, self.file, self.members = worker, worker.file, plan
        self.study, self.storage, self.tracking = worker.study, worker.study._storage, worker.tracking
        # (run, metric, by groups) -> read once
        self.answers: dict[tuple[str, str, bool], dropping.Answers | None] = {}

    def due(self, trial: FrozenTrial) -> bool:
        """Whether something can be decided that was not yet, as after a kill."""
        if records.ENDING in trial.user_attrs:
            return True
        found = members.ended(trial, self.members)
        done = _in_order(found)
        decisions = [members.decision(trial, count) for count in range(1, self.total)]
        decided = all(decisions[: len(done)]) and STOP not in decisions
        failed = any(one.outcome.status == "failed" for one in found.values())
        return not decided or failed or len(done) == self.total

    @property
    def total(self) -> int:
        return len(self.members)

    def advance(self, number: int) -> None:
        """Decide what the members that have ended allow to decide of a trial."""
        trial = self.study.get_trials(deepcopy=False)[number]
        if trial.state != TrialState.RUNNING:
            return
        if records.ENDING in trial.user_attrs:  # decided before a kill, and not told
            self._tell(trial)
            return
        found = self._recorded(trial)
        failed = [one for one in sorted(found) if found[one].outcome.status == "failed"]
        if failed:
            self._tell_failed(trial, found, self.members[failed[0]])
            return
        done = _in_order(found)
        for count in range(1, len(done) + 1):
            if not members.decision(trial, count):
                self._report(trial, done[:count])
            if count < self.total and self._drops(trial, done[:count]):
                self._tell_dropped(trial, done[:count])
                return
        if len(done) == self.total:
            outcome = members.mean_outcome(done, "complete")
            assert outcome.result is not None
            scores = outcome.result.scores
            said = ", ".join(f"{metric} {scores[metric]:.4f}" for metric in self.file.study.objectives)
            what = "folds" if self.file.judge.over == "folds" else "seeds"
            words = f"{said}, mean of {self.total} {what}, {outcome.wall_seconds:.0f} s"
            self.end(trial._trial_id, outcome, words, {})
            self._tell(trial)

    def finish_member(self, kept: Mapping[str, Any]) -> None:
        """Close the run of a member as the attribute that Optuna keeps of it says."""
        if source := kept[members.SOURCE]:
            known = self.tracking.client.get_run(source)
            self.tracking.copy_scores(known, kept[members.RUN])
            records.close_answered(
                self.tracking, kept[members.RUN], "FINISHED", known.info.run_name or source
            )
        else:
            records.finish_run(self.tracking, kept[members.RUN], kept)

    # ------------------------------------------------------------ decisions

    def _recorded(self, trial: FrozenTrial) -> dict[int, Ended]:
        """Members whose files MLflow has: not those that a worker is still writing."""
        prefix = self.worker.own.name(f"trial/{trial.number}/")
        held = {row.name for row in self.worker.leases.rows(prefix) if row.held}
        found = members.ended(trial, self.members)
        return {number: one for number, one in found.items() if f"{prefix}{number}" not in held}

    def _report(self, trial: FrozenTrial, done: Sequence[Ended]) -> None:
        """Tell the running means: to Optuna and as a curve of the trial's run."""
        count, last = len(done), done[-1].result.scores
        means = {
            metric: fmean(one.result.scores[metric] for one in done) for metric in self.file.study.objectives
        }
        if self.file.study.metric is not None and count not in trial.intermediate_values:
            self.storage.set_trial_intermediate_value(trial._trial_id, count, means[self.file.study.metric])
        own = {f"member/{metric}": last[metric] for metric in means}
        self.tracking.epoch(trial.user_attrs[members.RUN], count - 1, means | own)

    def _drops(self, trial: FrozenTrial, done: Sequence[Ended]) -> bool:
        """Whether a trial is dropped after some of its members; the decision is stored."""
        known = members.decision(trial, len(done))
        if not known:
            kept = self._judged(trial, done)
            known = kept["decision"]
            self.storage.set_trial_user_attr(trial._trial_id, members.verdict_key(len(done)), kept)
        return known == STOP

    def _judged(self, trial: FrozenTrial, done: Sequence[Ended]) -> dict[str, Any]:
        """The decision and why: the smallest chance against a trial of the front, over its best score."""
        go_on: dict[str, Any] = {"decision": GO_ON}
        if not self.file.judge.drop:
            return go_on
        earlier = {
            one.number: one
            for one in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if one.number < trial.number
        }
        values = {number: one.values for number, one in earlier.items()}
        for number in pareto.front(values, list(self.file.study.objectives.values())):
            other = members.ended(earlier[number], self.members)
            rivals = [other[place] for place in range(len(done))]
            chances = [self._chance(metric, done, rivals) for metric in self.file.study.objectives]
            found: dict[str, Any] = {"against": number, "chance": max(chances)}
            if max(chances) < dropping.LEAST_CHANCE:
                return found | {"decision": STOP}
            go_on = found | go_on if self.file.study.metrics is None else go_on
        return go_on

    def _chance(self, metric: str, done: Sequence[Ended], rivals: Sequence[Ended]) -> float:
        direction = self.file.study.objectives[metric]
        groups: list[str] = self.file.raw["data"].get("groups", [])
        if not dropping.enough_groups([self._answers(one, metric, groups) for one in done]):
            if len(done) == 1:
                return 1.0
            groups = []  # clips are drawn
        mine = [self._answers(one, metric, groups) for one in done]
        theirs = [self._answers(one, metric, groups) for one in rivals]
        if dropping.comparable(mine, theirs):
            return dropping.chance(
                [one for one in mine if one],
                [one for one in theirs if one],
                self.total,
                direction,
                same_clips=self.file.judge.over == "seeds",
            )
        scores, others = ([one.result.scores[metric] for one in some] for some in (done, rivals))
        return dropping.chance_of_means(scores, others, direction)

    def _answers(self, one: Ended, metric: str, groups: Sequence[str]) -> dropping.Answers | None:
        place = (one.predictions, metric, bool(groups))
        if place not in self.answers:
            table = self._predictions(one.predictions)
            score = metric.removeprefix("validation/")
            self.answers[place] = None if table is None else dropping.answers(table, score, groups)
        return self.answers[place]

    def _predictions(self, run_id: str) -> pd.DataFrame | None:
        """The predictions of a training; None where its family stores none."""
        files = {item.path for item in self.tracking.client.list_artifacts(run_id)}
        if PREDICTIONS not in files:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(self.tracking.client.download_artifacts(run_id, PREDICTIONS, folder))

    # ------------------------------------------------------------ telling

    def _tell_dropped(self, trial: FrozenTrial, done: Sequence[Ended]) -> None:
        outcome = members.mean_outcome(done, "stopped")
        assert outcome.result is not None
        kept = self.storage.get_trial(trial._trial_id).user_attrs[members.verdict_key(len(done))]
        scores = outcome.result.scores
        said = ", ".join(f"{metric} {scores[metric]:.4f}" for metric in self.file.study.objectives)
        words = (
            f"dropped after {len(done)} of {self.total} trainings: {said}; chance {kept['chance']:.2f} to be"
            f" better than trial {kept['against']}"
        )
        outcome = replace(outcome, result=replace(outcome.result, stopped=True, scores={}))
        self.end(trial._trial_id, outcome, words, {})
        self._tell(trial)

    def _tell_failed(self, trial: FrozenTrial, found: Mapping[int, Ended], member: Member) -> None:
        one = found[member.number]
        reason = f"{member.name}: {one.outcome.reason}"
        every = [found[number] for number in sorted(found)]
        kept = trial.user_attrs[members.key(member.number)]
        limits = {retries.LIMIT: kept[retries.LIMIT]} if retries.LIMIT in kept else {}
        outcome = replace(members.mean_outcome(every, "failed", reason), result=None)
        self.end(trial._trial_id, outcome, f"failed: {reason}", limits)
        self._tell(trial)

    def end(self, trial_id: int, outcome: Outcome, words: str, attributes: Mapping[str, Any]) -> None:
        """Store how a trial ends, before anybody is told."""
        trial = self.storage.get_trial(trial_id)
        described = records.describe(self.file, trial.number, trial.params)
        ending = records.ending(outcome, None, f"{described}\n\n{words}.", words)
        kept: dict[str, Any] = {**attributes, WORDS: words}
        if outcome.status == "failed":
            kept["reason"] = outcome.reason
        for name, value in {**kept, records.ENDING: ending}.items():  # the ending last
            self.storage.set_trial_user_attr(trial_id, name, value)

    def _tell(self, trial: FrozenTrial) -> None:
        """Tell Optuna, then MLflow, then people what `end` has stored."""
        attributes = self.storage.get_trial(trial._trial_id).user_attrs
        ending, objectives = attributes[records.ENDING], self.file.study.objectives
        status = ending["outcome"]["status"]
        if status == "complete":
            scores = ending["outcome"]["result"]["scores"]
            self.study.tell(trial.number, [scores[metric] for metric in objectives])
        else:
            state = TrialState.PRUNED if status == "stopped" else TrialState.FAIL
            self.study.tell(trial.number, state=state)
        records.finish_run(self.tracking, attributes[members.RUN], ending)
        if status == "complete":
            front = pareto_front(self.study, self.file).values()
            ends = pareto.ends([best.values for best in front], list(objectives.values()))
            for metric, value in zip(objectives, ends, strict=True):
                name = f"best/{metric}"
                self.tracking.client.log_metric(self.worker.parent, name, value, step=trial.number)
        name = f"trial {trial.number}"
        self.worker.progress.end(name, f"{name}: {attributes[WORDS]}", self.worker.best_text())


def _in_order(found: Mapping[int, Ended]) -> list[Ended]:
    """Members from the first on, as far as none is missing or has failed."""
    done: list[Ended] = []
    while (one := found.get(len(done))) is not None and one.outcome.status == "complete":
        done.append(one)
    return done
