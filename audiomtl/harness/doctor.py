"""The first training steps of an experiment, examined: what will keep it from learning.

A child process, like that of a training, prepares the data and begins the training of the first of ``seeds``.
Where the family calls the training loop (`nn.fit.fit`), the examination takes its place: ten steps, measured
by `nn.doctor`. A family may have a module ``diagnose``: ``learned(settings, batch, outputs)`` says what its
outputs learn, ``idle(settings)`` which of them are not trained. Nothing is recorded. Contents: `doctor`,
`Examination`.
"""

import contextlib
import dataclasses
import importlib
import importlib.util
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.findings import Report
from audiomtl.harness.record.store import server_log
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.train.workers import Outcome, train_all
from audiomtl.settings.family import package_of
from audiomtl.settings.toml import flatten

BATCHES = 10
NO_STEPS = "this model is fitted at once, without training steps"


class _Examined(BaseException):
    """Ends a training after its examination; no handler of errors takes it for one."""


@dataclass(frozen=True)
class Examined(Result):
    """The result of an `Examination`."""

    report: Report | None = None


@dataclass(frozen=True)
class Examination(Job):
    """A training that ends with a report on its first steps."""

    def work(self, train: Callable[[], Result]) -> Result:
        """Run ``train`` up to its loop. Runs in a child process, whose modules it changes."""
        reports: list[Report] = []
        _replace_loop(self, reports)
        with contextlib.suppress(_Examined):
            train()
        plain = {"stopped": False, "scores": {}, "best_epoch": -1, "epochs": 0}
        costs = {"seconds": 0.0, "cpu_seconds": 0.0, "parameters": 0}
        return Examined(**plain, **costs, report=reports[0])  # type: ignore[arg-type]


def doctor(file: ExperimentFile, arm: str = "") -> Report:
    """The report on an experiment, or on its ablation ``arm``.

    Raises
    ------
    UserError : data or settings that cannot be trained on, or an examination that exceeds the limits of a
        training: one line.
    """
    raw = file.arm(arm)
    name = f"{file.name}{f', ablation {arm}' if arm else ''}"
    folder = Path(tempfile.mkdtemp(prefix="audiomtl-doctor-"))
    job = Examination(name, raw, file.settings.seeds[0], folder, folder / "checkpoint")
    listener = _Listener()
    jobs = iter([job])
    try:
        train_all(
            lambda: next(jobs, None), listener, model=raw["model"], slots=1, threads=1, log=server_log()
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome = listener.outcome
    if not isinstance(outcome.result, Examined) or outcome.result.report is None:
        raise UserError(f"{name}: {outcome.reason.removeprefix('UserError: ')}")
    return outcome.result.report


class _Listener:
    outcome: Outcome

    def started(self, job: Job) -> None: ...
    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        return True

    def again(self, job: Job, reason: str) -> None: ...
    def ended(self, job: Job, outcome: Outcome) -> None:
        self.outcome = outcome

    def tick(self) -> None: ...


# ---------------------------------------------------------------- in the child


def _replace_loop(job: Job, reports: list[Report]) -> None:
    """Let the loop of this process be an examination, and the family's ``train`` end in any case."""
    from audiomtl.nn import fit

    def examined(model: Any, **options: Any) -> NoReturn:
        reports.append(_examine(job, model, **options))
        raise _Examined

    family, loop = config.family("model", job.settings["model"]), fit.fit
    for module in list(sys.modules.values()):
        if vars(module).get("fit") is loop:
            setattr(module, "fit", examined)  # noqa: B010
    train = family.train

    def first(*arguments: Any) -> NoReturn:
        train(*arguments)
        reports.append(Report((), job.name, NO_STEPS, flatten(job.settings)))
        raise _Examined

    setattr(family, "train", first)  # noqa: B010


def _examine(
    job: Job, model: Any, *, optimizer: Any, training: Any, batches: Any, loss: Any, **_: Any
) -> Report:
    """The report on what `nn.fit.fit` was to train."""
    import keras
    import tensorflow as tf

    from audiomtl.nn.doctor import Subject, examine
    from audiomtl.nn.fit import make_optimizer

    def tensors(batch: Any) -> dict[str, Any]:
        return {name: tf.convert_to_tensor(value) for name, value in batch.items() if name != "clip_ids"}

    def first() -> Iterator[Any]:
        for epoch in range(training.epochs):
            yield from batches(epoch)

    def built() -> Any:
        made = make_optimizer(optimizer)
        made.build(model.trainable_variables)
        return made

    settings = config.settings_of(job.settings, job.name)
    own = _diagnose(job.settings["model"])
    idle = getattr(own, "idle", None)
    losses = list(dict.fromkeys(loss(epoch) for epoch in range(training.epochs)))
    subject = Subject(
        model=model
        if isinstance(model, keras.Model)
        else next(one for one in vars(model).values() if isinstance(one, keras.Model)),
        variables=list(model.variables),
        trainable=list(model.trainable_variables),
        losses=[_objective(one, model) for one in losses],
        batches=[tensors(batch) for batch in itertools.islice(first(), BATCHES)],
        optimizer=built,
        rate=optimizer.learning_rate,
        clipped=bool(optimizer.clipnorm or optimizer.global_clipnorm),
        name=job.name,
        settings=flatten(job.settings),
        idle=idle(settings) if idle else (),
    )
    if learned := getattr(own, "learned", None):
        subject = dataclasses.replace(
            subject, learned=lambda batch, outputs: learned(settings, batch, outputs)
        )
    return examine(subject)


def _objective(loss: Any, model: Any) -> Callable[[Any], Any]:
    return lambda batch: loss(model, batch)


def _diagnose(model: str) -> Any:
    """The module ``diagnose`` of a family, or None."""
    name = f"{package_of(model)}.diagnose"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return importlib.import_module(name) if found else None
