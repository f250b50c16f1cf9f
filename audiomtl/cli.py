"""The ``audiomtl`` command: one subcommand behind each make target. Only this file defers imports, so that ``--help`` is instant.

Paths are relative to the project in the current directory. A user's mistake ends with one line and exit code 2, a score that did not
come back or a training that failed with 1, Ctrl-C with 130.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomtl import __version__
from audiomtl.options import (
    DEFAULT_SLOTS,
    EPILOG,
    Again,
    Core,
    ExperimentName,
    ExperimentNames,
    Force,
    Seed,
    Slots,
    SoundFile,
    Storage,
    StudyName,
    Threads,
)

app = typer.Typer(
    name="audiomtl",
    help="Sweep, track, reproduce and ablate audio networks. Run it in the project's folder; every command has its own --help.",
    epilog=EPILOG,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False
) -> None:
    if version:
        print(f"audiomtl {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def check() -> None:
    """Are all files in experiments/ and studies/ valid?

    Looks at every key, value, search range and ablation. Trains nothing and reads no data.
    """
    from audiomtl import config

    experiments, studies = _all_experiments(), config.names("studies")
    for name in experiments:
        config.load_experiment(name)
    for name in studies:
        config.load_study(name)
    print(f"{_count(experiments, 'experiment', 'experiments')} and {_count(studies, 'study', 'studies')} are valid")


@app.command()
def data(
    names: ExperimentNames = None,
    mirror: Annotated[str, typer.Option("--mirror", metavar="URL", help="Of fetch: take the files from this folder.")] = "",
) -> None:
    """Make or find recordings; `data fetch yamnet` gets weights.

    Generated corpora are made once, into AUDIOMTL_CACHE. Published data sets are looked for in AUDIOMTL_DATA; where one is absent it says
    which folder it looked for, what belongs there, and where it is published. Only `data fetch NAME` downloads, by checksum.
    """
    if names and names[0] == "fetch":
        from audiomtl.data import catalog
        from audiomtl.data.fetch import fetch

        for name in names[1:] or [""]:
            for place in fetch(name, catalog.data_folder(), mirror):
                print(f"{name}: {place}")
        return
    from audiomtl import config
    from audiomtl.data.presence import summary
    from audiomtl.errors import MissingData

    for name in names or _all_experiments():
        file = config.load_experiment(name)
        try:
            _with_data(file.settings)
            print(f"{name}: {summary(file.settings)}")
        except MissingData as error:
            print(f"{name}: not here: {error}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new experiment and its study.")],
    table: Annotated[str, typer.Option("--data", metavar="FILE", help="CSV or Parquet: a row per clip, its file in a column path.")],
    model: Annotated[
        str,
        typer.Option("--model", metavar="FAMILY", help="What to train: mil or transfer (a clip's label from its windows, or from YAMNet)."),
    ] = "mil",
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="The column of classes. Default: label.")] = "",
    groups: Annotated[
        str, typer.Option("--groups", metavar="COLUMNS", help="Columns that no split may cut, as artist,song. Default: well-known names.")
    ] = "",
) -> None:
    """Write an experiment and a study for a table of your own.

    The table has a column path (or array_path, embedding_path: .npy arrays), a column of classes, and columns of groups such as
    song or artist; a column fold is used if it is there. Both files are complete and commented: edit them, then audiomtl check.
    """
    from audiomtl.harness import new as first

    for place in first.write(name, model=model, table=table, label=label, groups=groups):
        print(f"{place} written")
    print(f"next: audiomtl data {name}, then make study-{name}")


@app.command()
def study(
    name: StudyName,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    storage: Storage = "",
    experiment: Annotated[
        str, typer.Option("--experiment", metavar="FILE", help="Sweep this experiment (a name or a path) instead of the study's own.")
    ] = "",
) -> None:
    """Sweep: run a study until it has all its trials.

    The first trial is the experiment itself; every trial is an MLflow run. Ctrl-C stops it: what is finished is kept, and the same
    command goes on from there, also after a crash.
    """
    from audiomtl import config

    file = config.load_study(name, experiment or None)
    _with_data(file.experiment.settings)
    from audiomtl.harness.study import run_study

    run_study(file, slots=slots, threads=threads, storage=storage)


@app.command()
def promote(
    name: StudyName,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Write a copy of the experiment there; leave the file as it is.")] = "",
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", min=0, help="Of a study with several metrics: this trial of its Pareto front.")
    ] = None,
    storage: Storage = "",
) -> None:
    """Write a study's best trial into its experiment file.

    Only the swept settings change (of an ablation: in its table), comments stay, and [expected] goes, as it no longer holds.
    """
    from audiomtl import config
    from audiomtl.harness import study as studies
    from audiomtl.harness.promotion import promote as promote_trial

    file = config.load_study(name)
    if file.study.metrics and trial is None:
        choice = ", ".join(map(str, studies.front(file, storage)))
        print(f"{file.path}: several metrics judge: choose a trial of the Pareto front with --trial: {choice}")
        raise typer.Exit(1)
    number, scores, values = studies.best_trial(file, storage, trial)
    path, changed = promote_trial(file, values, to=Path(to) if to else None)
    reached = ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
    print(f"{os.path.relpath(path)}: trial {number} ({reached}) promoted{'' if changed else '; its settings stood there already'}")
    for setting, (old, new) in changed.items():
        print(f"  {setting}: {old} -> {new}")


@app.command()
def best(
    name: ExperimentName,
    record: Annotated[bool, typer.Option("--record", help="Write the scores into [expected] instead of checking them.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Demand equality to the bit, seed by seed, also for scores recorded on another machine.")
    ] = False,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
) -> None:
    """Train an experiment on every seed; do its scores come back?

    With --record its scores are written into the file, as [expected]. Without, they are checked against [expected]: seed by seed, to the
    bit on the machine that recorded them and with --exact on any, else within their tolerances. A score that moved ends with a table and
    exit code 1. An experiment whose data set is absent is skipped with a line.
    """
    if record and exact:
        raise typer.BadParameter("--record writes [expected] and --exact checks it; give one of them")
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        _with_data(file.settings)
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    from audiomtl.harness import experiment

    if not experiment.best(file, record_it=record, again=again, exact=exact, slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def ablations(
    name: ExperimentName,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    core: Core = False,
) -> None:
    """Train the ablations: what did each setting matter?

    Every [ablation.*] of the experiment is trained on every seed and compared with the best runs on validation, paired by seed.
    """
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        _with_data(file.settings)
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    from audiomtl.harness import experiment

    if not experiment.ablations(experiment.core(file) if core else file, again=again, slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def report(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Experiments. Default: every one that has runs.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Where to write. Default: runs/report.")] = "",
    readme: Annotated[
        bool, typer.Option("--readme", help="Also write the results into README.md (small table) and docs/results.md (all tables).")
    ] = False,
) -> None:
    """Write tables and figures of the recorded runs.

    Markdown with results, ablations, sweep histories, importances and learning curves. Without NAME and --to it also updates
    docs/results.md. README.md and docs/results.md are left unchanged unless this machine has complete runs of all recorded experiments.
    """
    from audiomtl.harness import report as reporting

    results = Path("docs/results.md") if (readme or not (names or to)) and Path("docs").is_dir() else None
    print(reporting.write(names or [], Path(to) if to else None, Path("README.md") if readme else None, results))


@app.command()
def curve(
    name: ExperimentName,
    more: Annotated[list[float] | None, typer.Argument(hidden=True)] = None,
    fractions: Annotated[
        list[float] | None, typer.Option("--fractions", metavar="SHARES", help="Shares of the training clips. Default: 0.1 0.25 0.5 1.")
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--beside", metavar="ARM", help="Ablations beside it. Default: no pretraining, and tasks alone.")
    ] = None,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
) -> None:
    """Score against share of the training clips.

    For example: audiomtl curve transfer_esc10 --fractions 0.1 0.25 1.0. Trains every seed at every share, prints scores on validation with
    intervals, and writes a table and a picture into runs/report.
    """
    from audiomtl import config

    file = config.load_experiment(name)
    _with_data(file.settings)
    from audiomtl.harness.curve import curve as draw_curve

    shares = [*(fractions or []), *(more or [])] or [0.1, 0.25, 0.5, 1.0]
    if not draw_curve(file, shares, beside or [], slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def export(
    name: ExperimentName,
    to: Annotated[str, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    seed: Seed = None,
    register: Annotated[bool, typer.Option(help="Register it in MLflow under the experiment's name, alias champion.")] = True,
) -> None:
    """Write the best run as files that serve.

    A SavedModel and a TFLite file, from waveform to classes. Of the best runs it takes the one with the best score on validation. Both
    files are read again and compared with the model in memory; OUT/README.md says how to serve them. For the transfer family.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness import export as exporting

    with open(2, "w", closefd=False) as log, contextlib.redirect_stderr(log):  # converters and MLflow talk
        written, run, version = exporting.export(config.load_experiment(name), Path(to), seed=seed, registered=register)
    print(f"{to}: {name}, seed {run.data.tags['seed']}; SavedModel equal to the model in memory bit for bit")
    print(f"{to}: no TFLite file: {written.reason}" if written.reason else f"{to}: TFLite within {written.difference:.1e} of it")
    if version:
        print(f"MLflow: models:/{name}@champion is version {version}")


@app.command()
def predict(
    name: ExperimentName,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sound files of any format, rate and number of channels.")],
    output: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl or csv.")] = "table",
    top: Annotated[int, typer.Option("--top", metavar="K", min=1, help="Classes to show of each file.")] = 3,
    over_time: Annotated[str, typer.Option("--over-time", metavar="FOLDER", help="Write scores over time there, as CSV and picture.")] = "",
    stream: Annotated[str, typer.Option("--stream", metavar="FOLDER", help="Write events of long files there, in constant memory.")] = "",
    threshold: Annotated[float, typer.Option("--threshold", metavar="SCORE", help="Of an event, with --stream.")] = 0.5,
    seed: Seed = None,
) -> None:
    """What does the best run hear in these files?

    Prints the likeliest classes of each file. With --stream it writes when each class is above the threshold instead, as CSV and as
    Audacity labels. A file that cannot be read gets a line of its own and exit code 1; the others are heard all the same.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness import predict as predicting

    request = predicting.Request(files, output, top, over_time, stream, threshold)
    if not predicting.predict(config.load_experiment(name), request, seed=seed):
        raise typer.Exit(1)


@app.command()
def align(
    name: ExperimentName,
    sound: SoundFile,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is sung: a text file, or the text itself in quotes.")],
    phones: Annotated[bool, typer.Option("--phones", help="TEXT is phones separated by spaces, not words.")] = False,
    to: Annotated[str, typer.Option("--to", metavar="FILE", help="Also write .csv, .TextGrid (Praat) or .txt (Audacity labels).")] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """When is which word and phone of a text sung?

    Words become phones by espeak-ng, as German; a word with hyphens (Son-ne) is spoken syllable by syllable. For experiments of the
    multitask family with a head of kind alignment.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness import sung

    found = sung.align(config.load_experiment(name), sound, text, phones=phones, seed=seed, to=to, force=force)
    print(sung.table(found))
    if to:
        print(f"{to} written")


@app.command()
def notes(
    name: ExperimentName,
    sound: SoundFile,
    head: Annotated[str, typer.Option("--head", metavar="NAME", help="Of one head alone. Default: all of kind notes or melody.")] = "",
    to: Annotated[str, typer.Option("--to", metavar="FILE.mid", help="Where to write. Default: AUDIO's name, in this folder.")] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Write the notes of a recording as a MIDI file.

    A track for each head of kind notes or melody, named by it. For experiments of the multitask family.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness import sung

    place, counts = sung.notes(config.load_experiment(name), sound, head=head, seed=seed, to=to, force=force)
    print(f"{place}: {', '.join(f'{track} {_notes(count)}' for track, count in counts.items())}")


@app.command()
def ui(port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Show all runs in the browser (MLflow, 127.0.0.1 only).

    Prints the address of the last study's comparison. Ctrl-C ends it.
    """
    from audiomtl.harness.pages import serve

    serve(port)


@app.command()
def price(names: ExperimentNames = None, core: Core = False) -> None:
    """How many trainings, and minutes, are best and ablations?"""
    from audiomtl.harness import runs

    print(runs.price(names or [], slots=DEFAULT_SLOTS, core=core))


def _quiet_tensorflow() -> None:
    """What TensorFlow's C++ parts say of themselves goes to the log of the runs; Python's own stderr stays the terminal."""
    from audiomtl.harness.tracking import server_log

    server_log().parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with server_log().open("a") as log:
        os.dup2(log.fileno(), 2)


def _with_data(settings: Any) -> None:
    """Make or find the data, and the weights of a pretrained network, before anything heavy is imported."""
    from audiomtl.data import presence

    presence.require(settings)


def _all_experiments() -> list[str]:
    """Names of all experiments; none at all means that this is the wrong folder."""
    from audiomtl import config
    from audiomtl.errors import UserError

    if not (found := config.names("experiments")):
        raise UserError(f"{os.getcwd()}: no experiments/*.toml in this folder: run audiomtl in the project's folder")
    return found


def _notes(count: int) -> str:
    return f"{count} note{'' if count == 1 else 's'}"


def _count(names: list[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"


def main() -> None:
    """Entry point of the ``audiomtl`` command."""
    sys.unraisablehook = _ctrl_c_again
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs start with it ignored: `kill -INT` must work
    try:
        code = app(prog_name="audiomtl", standalone_mode=False)
    except Exception as error:
        from audiomtl.mistakes import in_one_line

        if not (text := in_one_line(error)):
            raise  # a bug of the project must be seen whole
        print(f"audiomtl: {text}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)  # typer hands back the code of typer.Exit, and 130 after Ctrl-C


def _ctrl_c_again(unraisable: Any) -> None:
    """A Ctrl-C that fell into a callback of Python's own (a weak reference's, say) is swallowed there: send it once more."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
