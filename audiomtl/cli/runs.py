"""Trainings: studies, promotion, best runs, ablations."""

import os
from pathlib import Path
from typing import Annotated

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import fit_to_train
from audiomtl.cli.options import (
    DEFAULT_MINUTES,
    DEFAULT_SLOTS,
    Again,
    Core,
    ExperimentName,
    Force,
    Minutes,
    Partition,
    Slots,
    SlurmOptions,
    Storage,
    StudyName,
    TakeOver,
    Threads,
    Where,
    Workers,
)
from audiomtl.cli.workers import run_in_workers


@app.command()
def study(
    context: typer.Context,
    name: StudyName,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    storage: Storage = "",
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment",
            metavar="FILE",
            help="Sweep this experiment (name or path) instead of the study's own.",
        ),
    ] = "",
    executor: Where = None,
    workers: Workers = 1,
    time: Minutes = DEFAULT_MINUTES,
    partition: Partition = "",
    slurm: SlurmOptions = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train the settings of failed trials again, as new trials.")
    ] = False,
    take_over: TakeOver = False,
    nested: Annotated[
        bool,
        typer.Option(
            "--nested",
            help="Run a study for every outer fold and score each one's best trial on the fold's test clips.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --nested: do not ask.")] = False,
) -> None:
    """Run a study: sweep the settings of an experiment.

    The first trial has the settings of the experiment itself, and every trial is an MLflow run. Ctrl-C stops
    the study. Finished trials are kept, and the same command resumes it, also after a crash. Started more
    than once, also on several machines with one database, the commands share the trials; --executor starts
    several. With --nested, the number of trainings is printed first; the result estimates the procedure, not
    the promoted experiment.
    """
    from audiomtl import config

    file = config.load_study(name, experiment or None)
    fit_to_train(file.experiment, [file.study.ablation], file)
    if nested:
        from audiomtl.harness.search import nested as nesting

        seeds = nesting.outer_seeds(file)
        print(nesting.price(file, seeds, slots), flush=True)
        if not yes:
            typer.confirm("Start?", abort=True)
        run_in_workers(context)
        options = {"retry_failed": retry_failed, "take_over": take_over}
        nesting.run(file, seeds, slots=slots, threads=threads, storage=storage, **options)
        return
    run_in_workers(context)
    from audiomtl.harness.search.study import run_study

    run_study(
        file, slots=slots, threads=threads, storage=storage, retry_failed=retry_failed, take_over=take_over
    )


@app.command()
def status(name: StudyName, storage: Storage = "") -> None:
    """Show how many trials are done, the best one, and the workers.

    It reads Optuna's database, from any machine that reaches it, and changes nothing.
    """
    from audiomtl.harness import status as standing

    found = standing.read(Path(name).name.removesuffix(".toml"), storage)
    if not found.identity:
        from audiomtl import config

        config.find("studies", name)  # a wrong name is told with the names that there are
    standing.show(found, standing.asked_trials(name))


@app.command()
def promote(
    name: StudyName,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Write a copy of the experiment to this folder and leave the original unchanged.",
        ),
    ] = "",
    trial: Annotated[
        int | None,
        typer.Option(
            "--trial",
            metavar="N",
            min=0,
            help="For a study with several metrics: the trial of the Pareto front to promote.",
        ),
    ] = None,
    force: Force = False,
    storage: Storage = "",
) -> None:
    """Write the best trial of a study into its experiment file.

    Only the swept settings change (for a study of an ablation, those in its table). Comments are kept.
    [expected] is removed, because it no longer applies. Nothing is written if the new settings would make the
    file invalid, such as one of its ablations. Other studies of the experiment that they make invalid are
    named. A copy that --to finds is overwritten if it differs in swept settings and [expected] only.
    """
    from audiomtl import config
    from audiomtl.harness.search import proposals
    from audiomtl.harness.search.promote import promote as promote_trial

    file = config.load_study(name)
    if file.study.metrics and trial is None:
        choice = ", ".join(map(str, proposals.front(file, storage)))
        print(
            f"{file.path}: the study has several metrics; choose a trial of the Pareto front with --trial:"
            f" {choice}"
        )
        raise typer.Exit(1)
    number, scores, values = proposals.best_trial(file, storage, trial)
    done = promote_trial(file, values, to=Path(to) if to else None, force=force)
    reached = ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
    print(
        f"{os.path.relpath(done.path)}: trial {number} ({reached})"
        f" promoted{'' if done.changed else '; the file already has its settings'}"
    )
    for setting, (old, new) in done.changed.items():
        print(f"  {setting}: {'not in the file' if old is None else old} -> {new}")
    if done.expected_removed:
        print("  [expected] removed: its scores were those of the old settings")
    if done.invalid:
        print(f"warning: no longer valid with these settings: {'; '.join(done.invalid)}")


@app.command()
def best(
    context: typer.Context,
    name: ExperimentName,
    record: Annotated[
        bool, typer.Option("--record", help="Write the scores to [expected] instead of checking them.")
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help=(
                "Require bit-identical scores for every seed, also on a machine other than the one that"
                " recorded them. With --record, [expected] is renewed only if they are."
            ),
        ),
    ] = False,
    floors: Annotated[
        bool,
        typer.Option(
            "--floors",
            help=(
                "Train nothing: compute what can be had without the network, beside each recorded score, and"
                " write it into [expected]."
            ),
        ),
    ] = False,
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals",
            help=(
                "Train nothing: compute the intervals for new groups from the predictions of the recorded"
                " runs, and write them into [expected]."
            ),
        ),
    ] = False,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help=(
                "Train the same settings on the validation split as well, for a fixed number of epochs, and"
                " print the test scores; [refit] of the file can ask for all clips."
            ),
        ),
    ] = False,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    executor: Where = None,
    workers: Workers = 1,
    time: Minutes = DEFAULT_MINUTES,
    partition: Partition = "",
    slurm: SlurmOptions = None,
) -> None:
    """Train an experiment on every seed and check its scores.

    With --record, the scores are written into the file as [expected]. Otherwise they are compared with
    [expected]: seed by seed and exactly on the machine that recorded them, and with --exact on any machine.
    Elsewhere the losses of the first ten training steps must agree, and each score must be equal or
    equivalent over the seeds. If a score differs, the command prints a table and exits with code 1. An
    experiment whose data set is missing is skipped with a message.
    """
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        fit_to_train(file)
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    if floors or intervals:
        from audiomtl.harness.best import record_floors, record_intervals

        for wanted, record_them in ((floors, record_floors), (intervals, record_intervals)):
            if wanted:
                record_them(config.load_experiment(name))
        return
    if refit and (record or exact):
        raise typer.BadParameter("--refit records nothing in [expected]: leave out --record and --exact")
    run_in_workers(context)
    if refit:
        from audiomtl.harness import refit as refitting

        if not refitting.refit(file, again=again, slots=slots, threads=threads):
            raise typer.Exit(1)
        return
    from audiomtl.harness import best as training

    if not training.best(file, record_it=record, again=again, exact=exact, slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def ablations(
    context: typer.Context,
    name: ExperimentName,
    more: Annotated[list[float] | None, typer.Argument(hidden=True)] = None,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    core: Core = False,
    curve: Annotated[
        bool,
        typer.Option("--curve", help="Train on fractions of the training clips instead: a learning curve."),
    ] = False,
    fractions: Annotated[
        list[float] | None,
        typer.Option(
            "--fractions",
            metavar="SHARES",
            help="With --curve: fractions of the training clips. Default: 0.1 0.25 0.5 1.",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="ARM",
            help="With --curve: ablations to plot as well. Default: those with `curve = true`.",
        ),
    ] = None,
    executor: Where = None,
    workers: Workers = 1,
    time: Minutes = DEFAULT_MINUTES,
    partition: Partition = "",
    slurm: SlurmOptions = None,
) -> None:
    """Train the ablations of an experiment, or its learning curve.

    Every [ablation.*] is trained on every seed and compared with the best runs, paired, on test clips
    that the study has not seen; where there are too few, a line names the bias. With --curve,
    every seed is trained on every fraction of the training clips, and the command prints validation scores
    with confidence intervals and writes a table and a figure to runs/report.
    Example: audiomtl ablations transfer_esc10 --curve --fractions 0.1 0.25 1.0
    """
    shares = [*(fractions or []), *(more or [])]
    if not curve and (shares or beside):
        raise typer.BadParameter(f"{'--fractions' if shares else '--beside'} needs --curve")
    if curve and core:
        raise typer.BadParameter("--curve draws the ablations of --beside, not those of --core")
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        fit_to_train(file, ["", *([] if curve else file.ablations)])
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    run_in_workers(context)
    if curve:
        from audiomtl.harness.report.curve import SHARES
        from audiomtl.harness.report.curve import curve as draw_curve

        complete = draw_curve(file, shares or SHARES, beside or [], again=again, slots=slots, threads=threads)
    else:
        from audiomtl.harness import ablations as training

        chosen = training.core(file) if core else file
        complete = training.ablations(chosen, again=again, slots=slots, threads=threads)
    if not complete:
        raise typer.Exit(1)
