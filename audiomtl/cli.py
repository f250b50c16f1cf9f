"""The ``audiomtl`` command: one subcommand behind each make target. Only this file defers imports, so that ``--help`` is instant.

Paths are relative to the project in the current directory. A user's mistake ends with one line and exit code 2, a score that did not
come back or a training that failed with 1, Ctrl-C with 130.
"""

import contextlib
import os
import shutil
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
    help="Sweep, track, reproduce and ablate audio networks. Run it in the folder of the project. Every command has its own --help.",
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
    """Check all files in experiments/ and studies/.

    Validates every key, value, search range and ablation. Trains nothing and reads no data.
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
    mirror: Annotated[str, typer.Option("--mirror", metavar="URL", help="With fetch: download from this folder.")] = "",
) -> None:
    """Generate or find the recordings of experiments.

    Corpora are generated once, into AUDIOMTL_CACHE. Published data sets are read from AUDIOMTL_DATA; if one is missing, the command prints
    the folder it expects, its contents and its source. `audiomtl data fetch yamnet` downloads pretrained weights and checks them.
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
            print(f"{name}: missing: {error}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new experiment and its study.")],
    table: Annotated[str, typer.Option("--data", metavar="FILE", help="CSV or Parquet file with one row per clip and a column path.")],
    model: Annotated[
        str,
        typer.Option("--model", metavar="FAMILY", help="Model family, one that has a template."),
    ] = "mil",
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column with the classes. Default: label.")] = "",
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            metavar="COLUMNS",
            help="Columns whose values never appear in more than one split, for example artist,song. Default: common names.",
        ),
    ] = "",
) -> None:
    """Create an experiment and a study for your own table of clips.

    The table needs a column path (or array_path or embedding_path, for .npy arrays), a column of classes, and columns of groups such as
    song or artist. A column fold is used if present. Both files are complete and commented; edit them, then run `audiomtl check`.
    """
    from audiomtl.harness import new as first

    for place in first.write(name, model=model, table=table, label=label, groups=groups):
        print(f"{place} written")
    print(f"next: audiomtl data {name}, then make study-{name}")


@app.command()
def settings(
    name: Annotated[str, typer.Argument(metavar="FAMILY", help="A family, a data set, or study.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the reference of all settings as Markdown.")] = False,
) -> None:
    """List the settings of a family or a data set.

    Each with its path, its type and range, when it is used, and what it does. A setting that is not used may be left out of a file.
    """
    from audiomtl.settings import reference

    if markdown:
        print(reference.as_markdown())
    elif name:
        print(reference.as_table(name, shutil.get_terminal_size().columns))
    else:
        print(f"audiomtl settings FAMILY: one of {', '.join(reference.names())}")


@app.command()
def study(
    name: StudyName,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    storage: Storage = "",
    experiment: Annotated[
        str, typer.Option("--experiment", metavar="FILE", help="Sweep this experiment (name or path) instead of the study's own.")
    ] = "",
) -> None:
    """Run a study: sweep the settings of an experiment.

    The first trial has the settings of the experiment itself, and every trial is an MLflow run. Ctrl-C stops the study. Finished trials are
    kept, and the same command resumes it, also after a crash.
    """
    from audiomtl import config

    file = config.load_study(name, experiment or None)
    _with_data(file.experiment.settings)
    from audiomtl.harness.search.study import run_study

    run_study(file, slots=slots, threads=threads, storage=storage)


@app.command()
def promote(
    name: StudyName,
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER", help="Write a copy of the experiment to this folder and leave the original unchanged.")
    ] = "",
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", min=0, help="For a study with several metrics: the trial of the Pareto front to promote."),
    ] = None,
    storage: Storage = "",
) -> None:
    """Write the best trial of a study into its experiment file.

    Only the swept settings change (for a study of an ablation, those in its table). Comments are kept. [expected] is removed, because it no
    longer applies.
    """
    from audiomtl import config
    from audiomtl.harness.search import study as studies
    from audiomtl.harness.search.promote import promote as promote_trial

    file = config.load_study(name)
    if file.study.metrics and trial is None:
        choice = ", ".join(map(str, studies.front(file, storage)))
        print(f"{file.path}: the study has several metrics; choose a trial of the Pareto front with --trial: {choice}")
        raise typer.Exit(1)
    number, scores, values = studies.best_trial(file, storage, trial)
    path, changed = promote_trial(file, values, to=Path(to) if to else None)
    reached = ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
    print(f"{os.path.relpath(path)}: trial {number} ({reached}) promoted{'' if changed else '; the file already has its settings'}")
    for setting, (old, new) in changed.items():
        print(f"  {setting}: {'not in the file' if old is None else old} -> {new}")


@app.command()
def best(
    name: ExperimentName,
    record: Annotated[bool, typer.Option("--record", help="Write the scores to [expected] instead of checking them.")] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Require bit-identical scores for every seed, also on a machine other than the one that recorded them."
        ),
    ] = False,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
) -> None:
    """Train an experiment on every seed and check its scores.

    With --record, the scores are written into the file as [expected]. Otherwise they are compared with [expected], seed by seed: exactly on
    the machine that recorded them, and with --exact on any machine; else within their tolerances. If a score differs, the command prints a
    table and exits with code 1. An experiment whose data set is missing is skipped with a message.
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
    from audiomtl.harness import best as training

    if not training.best(file, record_it=record, again=again, exact=exact, slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def ablations(
    name: ExperimentName,
    again: Again = False,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
    core: Core = False,
) -> None:
    """Train the ablations of an experiment.

    Every [ablation.*] is trained on every seed and compared with the best runs on the validation side, paired by seed.
    """
    from audiomtl import config
    from audiomtl.errors import MissingData

    file = config.load_experiment(name)
    try:
        _with_data(file.settings)
    except MissingData as error:
        print(f"{file.name}: skipped: {error}")
        return
    from audiomtl.harness import ablations as training

    if not training.ablations(training.core(file) if core else file, again=again, slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def report(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Experiments. Default: all that have runs.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Output folder. Default: runs/report.")] = "",
    readme: Annotated[
        bool, typer.Option("--readme", help="Also write the results into README.md (small table) and docs/results.md (all tables).")
    ] = False,
) -> None:
    """Write tables and figures of the recorded runs.

    The report is Markdown: results, ablations, optimization histories, hyperparameter importances and learning curves. Without NAME and
    --to, it also updates docs/results.md. README.md and docs/results.md are left unchanged unless this machine has complete runs of all
    recorded experiments.
    """
    from audiomtl.harness.report import markdown as reporting

    results = Path("docs/results.md") if (readme or not (names or to)) and Path("docs").is_dir() else None
    print(reporting.write(names or [], Path(to) if to else None, Path("README.md") if readme else None, results))


@app.command()
def curve(
    name: ExperimentName,
    more: Annotated[list[float] | None, typer.Argument(hidden=True)] = None,
    fractions: Annotated[
        list[float] | None, typer.Option("--fractions", metavar="SHARES", help="Fractions of the training clips. Default: 0.1 0.25 0.5 1.")
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", metavar="ARM", help="Ablations to plot as well. Default: those with `curve = true`."),
    ] = None,
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
) -> None:
    """Plot the score against the size of the training set.

    Example: audiomtl curve transfer_esc10 --fractions 0.1 0.25 1.0. Trains every seed on every fraction, prints validation scores with
    confidence intervals, and writes a table and a figure to runs/report.
    """
    from audiomtl import config

    file = config.load_experiment(name)
    _with_data(file.settings)
    from audiomtl.harness.report.curve import curve as draw_curve

    shares = [*(fractions or []), *(more or [])] or [0.1, 0.25, 0.5, 1.0]
    if not draw_curve(file, shares, beside or [], slots=slots, threads=threads):
        raise typer.Exit(1)


@app.command()
def export(
    name: ExperimentName,
    to: Annotated[str, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    seed: Seed = None,
    register: Annotated[
        bool, typer.Option(help="Register the model in MLflow under the name of the experiment, with the alias champion.")
    ] = True,
) -> None:
    """Export the best run as a SavedModel and a TFLite file.

    Both map a waveform to class probabilities. The run with the best validation score is exported. Each file is loaded again and compared
    with the model in memory. OUT/README.md explains how to serve them.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import export as exporting

    with open(2, "w", closefd=False) as log, contextlib.redirect_stderr(log):  # converters and MLflow talk
        written, run, version = exporting.export(config.load_experiment(name), Path(to), seed=seed, registered=register)
    print(f"{to}: {name}, seed {run.data.tags['seed']}; SavedModel equal to the model in memory bit for bit")
    print(f"{to}: no TFLite file: {written.reason}" if written.reason else f"{to}: TFLite within {written.difference:.1e} of it")
    if version:
        print(f"MLflow: models:/{name}@champion is version {version}")


@app.command()
def predict(
    name: ExperimentName,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio files of any format, sample rate and number of channels.")],
    output: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl or csv.")] = "table",
    top: Annotated[int, typer.Option("--top", metavar="K", min=1, help="Number of classes to show for each file.")] = 3,
    over_time: Annotated[
        str, typer.Option("--over-time", metavar="FOLDER", help="Write scores over time to this folder, as CSV and PNG.")
    ] = "",
    stream: Annotated[
        str,
        typer.Option(
            "--stream", metavar="FOLDER", help="Write events to this folder; memory use does not depend on the length of the files."
        ),
    ] = "",
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="SCORE", help="Score from which on a class is an event, with --stream.")
    ] = 0.5,
    seed: Seed = None,
) -> None:
    """Predict the classes of audio files with the best run.

    Prints the most probable classes of each file. With --stream, writes the times at which each class exceeds the threshold instead, as CSV
    and Audacity labels. A file that cannot be read is reported and skipped, and the command exits with code 1.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import predict as predicting

    request = predicting.Request(files, output, top, over_time, stream, threshold)
    if not predicting.predict(config.load_experiment(name), request, seed=seed):
        raise typer.Exit(1)


@app.command()
def align(
    name: ExperimentName,
    sound: SoundFile,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text: a text file, or the text itself in quotes.")],
    phones: Annotated[bool, typer.Option("--phones", help="TEXT consists of phones separated by spaces instead of words.")] = False,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FILE", help="Also write the alignment to a .csv, .TextGrid (Praat) or .txt (Audacity labels) file."),
    ] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Align a text with a recording.

    Prints the start and end of every word and phone. Words are converted to phones by espeak-ng, as German; a word with hyphens (Son-ne) is
    pronounced syllable by syllable. The model needs a head of kind alignment.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import align as aligning

    found = aligning.align(config.load_experiment(name), sound, text, phones=phones, seed=seed, to=to, force=force)
    print(aligning.table(found))
    if to:
        print(f"{to} written")


@app.command()
def notes(
    name: ExperimentName,
    sound: SoundFile,
    head: Annotated[
        str, typer.Option("--head", metavar="NAME", help="Transcribe with this head only. Default: all heads of kind notes or melody.")
    ] = "",
    to: Annotated[
        str, typer.Option("--to", metavar="FILE.mid", help="Output file. Default: the name of AUDIO, in the current folder.")
    ] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Transcribe the notes of a recording to a MIDI file.

    The file has one track for each head of kind notes or melody, with the name of the head.
    """
    _quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use.notes import notes as transcribe

    place, counts = transcribe(config.load_experiment(name), sound, head=head, seed=seed, to=to, force=force)
    print(f"{place}: {', '.join(f'{track} {_notes(count)}' for track, count in counts.items())}")


@app.command()
def ui(port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Show all runs in the browser (MLflow on 127.0.0.1).

    Prints the address of the page that compares the trials of the last study. Press Ctrl-C to stop.
    """
    from audiomtl.harness.report.pages import serve

    serve(port)


@app.command()
def price(names: ExperimentNames = None, core: Core = False) -> None:
    """Estimate the time of the best runs and ablations."""
    from audiomtl.harness.record import runs

    print(runs.price(names or [], slots=DEFAULT_SLOTS, core=core))


def _quiet_tensorflow() -> None:
    """What TensorFlow's C++ parts say of themselves goes to the log of the runs; Python's own stderr stays the terminal."""
    from audiomtl.harness.record.store import server_log

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
        raise UserError(f"{os.getcwd()}: no experiments/*.toml in this folder; run audiomtl in the folder of the project")
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
