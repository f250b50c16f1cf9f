"""The ``audiomtl`` command: one subcommand behind each make target. Only this file defers imports, so that ``--help`` is instant.

Paths are relative to the project in the current directory. A user's mistake ends with one line and exit code 2, a score that did not
come back or a training that failed with 1, Ctrl-C with 130.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="audiomtl",
    help="Sweep, track, reproduce and ablate audio networks. Run it in the project's folder; every command has its own --help.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Slots = Annotated[int, typer.Option("--slots", min=1, help="Trainings side by side. With 1, two runs of a study are bit-identical.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="TensorFlow threads of each training; 0: the cores shared out evenly.")]
Storage = Annotated[str, typer.Option("--storage", help="Optuna storage URL. Default: runs/optuna.db, or AUDIOMTL_STORAGE.")]
Again = Annotated[bool, typer.Option("--again", help="Train also what is finished (same settings, seed, data and code) already.")]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DEFAULT_SLOTS = min(2, CORES)


def _threads(slots: int, threads: int) -> int:
    return threads or max(1, CORES // slots)


@app.command()
def check() -> None:
    """Validate every file in experiments/ and studies/: keys, values, search ranges, ablation paths. Starts no training."""
    from audiomtl import config

    for name in config.names("experiments"):
        config.load_experiment(name)
    for name in config.names("studies"):
        config.load_study(name)
    print(f"{len(config.names('experiments'))} experiments and {len(config.names('studies'))} studies are valid")


@app.command()
def data(names: Annotated[list[str] | None, typer.Argument(help="Experiments; all of them by default.")] = None) -> None:
    """Make the generated corpora and look for the published data sets that experiments need."""
    from audiomtl import config
    from audiomtl.data import catalog
    from audiomtl.errors import MissingData

    for name in names or config.names("experiments"):
        file = config.load_experiment(name)
        try:
            table = catalog.clips(file.settings.data)  # type: ignore[attr-defined]
        except MissingData as error:
            print(f"{name}: not here: {error}")
            continue
        print(f"{name}: {len(table)} clips, {table['seconds'].sum() / 60:.1f} minutes ({file.raw['data']['dataset']})")


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="Name of a file in studies/, without .toml")],
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 0,
    storage: Storage = "",
    experiment: Annotated[str, typer.Option("--experiment", help="Sweep this experiment file instead of the study's own.")] = "",
) -> None:
    """Run a study until it has its number of trials; goes on where it was stopped or killed."""
    from audiomtl import config

    file = config.load_study(name, experiment or None)
    _with_data(file.experiment.settings.data)  # type: ignore[attr-defined]
    from audiomtl.harness.study import run_study

    run_study(file, slots=slots, threads=_threads(slots, threads), storage=storage)


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Name of a file in studies/, without .toml")],
    to: Annotated[str, typer.Option("--to", help="Write a copy of the experiment into this folder; leave the file itself as it is.")] = "",
    storage: Storage = "",
) -> None:
    """Write the best trial's settings into the experiment file (or its ablation); comments stay, [expected] goes."""
    from audiomtl import config
    from audiomtl.harness.study import best_trial
    from audiomtl.harness.study import promote as promote_trial

    file = config.load_study(name)
    number, value, _ = best_trial(file, storage)
    path, changed = promote_trial(file, to=Path(to) if to else None, storage=storage)
    where = os.path.relpath(path)
    print(f"{where}: trial {number} ({file.study.metric} {value:.4f}) promoted{'' if changed else '; its settings stood there already'}")
    for setting, (old, new) in changed.items():
        print(f"  {setting}: {old} -> {new}")


@app.command()
def best(
    name: Annotated[str, typer.Argument(help="Name of a file in experiments/, or a path that ends in .toml")],
    record: Annotated[bool, typer.Option("--record", help="Write the scores into [expected] instead of checking them.")] = False,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 0,
) -> None:
    """Train an experiment on all its seeds and check that the recorded scores come back (exit 1 and a table if not)."""
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        _with_data(file.settings.data)  # type: ignore[attr-defined]
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    from audiomtl.harness import experiment

    if not experiment.best(file, record_it=record, again=again, slots=slots, threads=_threads(slots, threads)):
        raise typer.Exit(1)


@app.command()
def ablations(
    name: Annotated[str, typer.Argument(help="Name of a file in experiments/, or a path that ends in .toml")],
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 0,
) -> None:
    """Train every [ablation.*] on every seed and compare it with the best runs on validation, paired by seed."""
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        _with_data(file.settings.data)  # type: ignore[attr-defined]
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    from audiomtl.harness import experiment

    if not experiment.ablations(file, again=again, slots=slots, threads=_threads(slots, threads)):
        raise typer.Exit(1)


@app.command()
def report(
    names: Annotated[list[str] | None, typer.Argument(help="Experiments; by default every one that has runs.")] = None,
    to: Annotated[str, typer.Option("--to", help="Folder to write into. Default: runs/report")] = "",
    readme: Annotated[bool, typer.Option("--readme", help="Also write the results table between the markers of README.md.")] = False,
) -> None:
    """Write tables and figures of the recorded runs as Markdown: results, ablations, sweeps, importances, learning curves."""
    from audiomtl.harness import report as reporting

    print(reporting.write(names or [], folder=Path(to) if to else None, readme=Path("README.md") if readme else None))


@app.command()
def ui(port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000) -> None:
    """Start MLflow's pages on 127.0.0.1 and print the address of the last study's comparison."""
    from audiomtl.harness import report as reporting

    reporting.serve(port)


@app.command()
def price(names: Annotated[list[str] | None, typer.Argument(help="Experiments; all of them by default.")] = None) -> None:
    """Say how many trainings the best runs and ablations are and about how long they take here."""
    from audiomtl.harness import report as reporting

    print(reporting.price(names or [], slots=DEFAULT_SLOTS))


def _with_data(settings: object) -> None:
    """Make or find the data before anything heavy is imported."""
    from audiomtl.data import catalog

    catalog.clips(settings)  # type: ignore[arg-type]


def main() -> None:
    """Entry point of the ``audiomtl`` command."""
    try:
        app(standalone_mode=False)
    except KeyboardInterrupt:
        sys.exit(130)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong option or argument
            context = getattr(error, "ctx", None)
            print(f"audiomtl: {error.format_message()}; see {context.command_path if context else 'audiomtl'} --help", file=sys.stderr)
            sys.exit(2)
        from audiomtl.errors import UserError

        if not isinstance(error, UserError):
            raise
        print(f"audiomtl: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
