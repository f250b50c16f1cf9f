"""What a study costs per trial, side by side with plain Optuna on the same database.

Ask and tell with `TRIALS` finished trials in the study, under the leases and fences of the harness and
without; the renewal of a lease; ten scores of an epoch in one MLflow batch. SQLite, and PostgreSQL where a
URL is given::

    python benchmarks/study_costs.py [postgresql+psycopg://USER@HOST/DATABASE]

Prints medians and 95th percentiles in milliseconds, and the ratios to plain Optuna.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRIALS, MEASURED = 1000, 60


def milliseconds(work: Callable[[], object], count: int = MEASURED) -> tuple[float, float]:
    """Median and 95th percentile."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), sorted(times)[int(0.95 * count)]


def line(what: str, costs: tuple[float, float], rival: tuple[float, float] | None = None) -> None:
    ratio = f", {costs[0] / rival[0]:.2f} of plain Optuna's" if rival else ""
    print(f"{what:46} median {costs[0]:7.1f} ms, p95 {costs[1]:7.1f} ms{ratio}")


def measure(url: str) -> None:
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import Trial, create_trial

    from audiomtl import config
    from audiomtl.harness.search import space
    from audiomtl.harness.search.proposals import create_study, sampler
    from audiomtl.harness.search.queue import StudyLeases, TrialQueue
    from audiomtl.harness.search.storage import open_storage

    os.chdir(ROOT)
    file = config.load_study("ctc_german")
    file.study.__dict__["trials"] = 10 * TRIALS
    storage = open_storage(url)
    study = create_study(file, storage)
    first = study.ask()
    space.suggest(first, file)
    study.tell(first, 1.0)
    known = study.trials[0]
    study.add_trials(
        [
            create_trial(
                params=known.params, distributions=known.distributions, values=[1.0 + number % 97 / 97]
            )
            for number in range(TRIALS)
        ]
    )
    kinds = {type(one).__name__ for one in known.distributions.values()}
    print(f"{len(study.trials)} trials, {len(known.params)} parameters ({', '.join(sorted(kinds))})")
    assert FloatDistribution.__name__ in kinds

    def plain() -> None:
        study.sampler = sampler(file, len(study.get_trials(deepcopy=False)))
        trial = study.ask()
        space.suggest(trial, file)
        study.tell(trial, 1.5)

    own = StudyLeases(file, storage)
    queue = TrialQueue(file, study, own, take_over=False)

    def fenced() -> None:
        taken = queue.next((), ())
        assert taken is not None
        trial: Trial = taken.trial
        with own.leases.guard(taken.lease):
            space.suggest(trial, file)
        with own.leases.guard(taken.lease):
            study.tell(trial, 1.5)
        own.leases.release(taken.lease)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rival = milliseconds(plain)
    line("ask + tell, plain Optuna", rival)
    line("ask + tell, with leases", milliseconds(fenced), rival)
    own.take("worker/0")
    line("renewal of one lease", milliseconds(own.leases.renew))


def scores() -> None:
    from audiomtl.harness.record.store import Tracking

    tracking = Tracking()
    run = tracking.start("costs", "run", tags={}, description="")
    epoch = iter(range(10**6))
    line(
        "10 scores of an epoch, one MLflow batch",
        milliseconds(lambda: tracking.epoch(run, next(epoch), {f"score_{one}": 0.5 for one in range(10)})),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUDIOMTL_RUNS"] = folder
        print("SQLite")
        measure("")
        scores()
        for url in sys.argv[1:]:
            print(url.partition(":")[0])
            measure(url)


if __name__ == "__main__":
    main()
