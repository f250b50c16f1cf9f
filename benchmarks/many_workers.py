"""Workers of one study that ask, hold a lease and tell as fast as they can: how many trials a second a
database gives them, and what one more worker costs. Nothing is trained.

    python benchmarks/many_workers.py DATABASE_URL [--workers 1 4 16 64] [--seconds 20] [--trials 1000]

``DATABASE_URL`` is an empty database (``postgresql+psycopg://USER@HOST/DATABASE``); for each number of
workers a study of its own is made in it, with so many finished trials. Workers are processes of this machine,
so its cores are shared by all of them and by the server. Prints a Markdown table: trials a second of all
workers together, median and 95th percentile of the time from asking to the lease (with the wait for the
turn), and of telling.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def opened(url: str, number: int) -> tuple[Any, Any, Any]:
    """A study file, another study for each number; its storage, and the study."""
    from audiomtl import config
    from audiomtl.harness.search.proposals import create_study
    from audiomtl.harness.search.storage import open_storage

    file = config.load_study("ctc_german")
    file.study.__dict__["trials"] = 10**6
    file.study.__dict__["sampler_seed"] = number  # part of the identity
    storage = open_storage(url)
    return file, storage, create_study(file, storage)


def fill(url: str, number: int, trials: int) -> None:
    """Finished trials, so that proposals cost what they cost late in a study."""
    from optuna.trial import create_trial

    from audiomtl.harness.search import space

    file, _, study = opened(url, number)
    first = study.ask()
    space.suggest(first, file)
    study.tell(first, 1.0)
    known = study.trials[0]
    told = [
        create_trial(params=known.params, distributions=known.distributions, values=[1.0 + number % 97 / 97])
        for number in range(trials)
    ]
    study.add_trials(told)


def worker(url: str, number: int, start: Any, seconds: float, results: Any) -> None:
    import optuna

    from audiomtl.harness.search import space
    from audiomtl.harness.search.queue import StudyLeases, TrialQueue

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file, storage, study = opened(url, number)
    own = StudyLeases(file, storage)
    queue = TrialQueue(file, study, own, take_over=False)
    asked, told = [], []
    start.wait()
    first = time.perf_counter()
    end = first + seconds
    while (began := time.perf_counter()) < end:
        taken = queue.next((), ())
        assert taken is not None
        with own.leases.guard(taken.lease):
            space.suggest(taken.trial, file)
        asked.append(time.perf_counter() - began)
        began = time.perf_counter()
        with own.leases.guard(taken.lease):
            study.tell(taken.trial, 1.5)
        own.leases.release(taken.lease)
        told.append(time.perf_counter() - began)
    results.put((asked, told, time.perf_counter() - first))


def percentile(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{1000 * statistics.median(ordered):.0f} / {1000 * ordered[int(0.95 * len(ordered))]:.0f}"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("url", nargs="?")
    words.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    words.add_argument("--seconds", type=float, default=20.0)
    words.add_argument("--trials", type=int, default=1000)
    options = words.parse_args()
    if not options.url:
        print("left out: give the URL of an empty PostgreSQL database")
        return
    os.chdir(ROOT)
    os.environ["AUDIOMTL_RUNS"] = tempfile.mkdtemp()
    from audiomtl.harness.search import proposals, space, storage  # noqa: F401  (before the fork)

    context = multiprocessing.get_context("fork")
    print(f"{options.trials} finished trials, {os.cpu_count()} cores\n")
    print("| workers | trials a second | ask and lease, ms (median / p95) | tell, ms |\n|---|---|---|---|")
    for count in options.workers:
        filling = context.Process(target=fill, args=(options.url, count, options.trials))
        filling.start()
        filling.join()
        start, results = context.Barrier(count), context.Queue()
        members = [
            context.Process(target=worker, args=(options.url, count, start, options.seconds, results))
            for _ in range(count)
        ]
        for one in members:
            one.start()
        found = [results.get() for _ in members]
        for one in members:
            one.join()
        asked, told = ([time for one in found for time in one[part]] for part in (0, 1))
        print(
            f"| {count} | {len(told) / options.seconds:.1f} | {percentile(asked)} | {percentile(told)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
