"""Use trained models: export, predict, align, notes."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import notes_text, quiet_tensorflow
from audiomtl.cli.options import ExperimentName, Force, Seed, SoundFile


@app.command()
def export(
    name: ExperimentName,
    to: Annotated[str, typer.Argument(metavar="OUT", help="A new or empty folder.")],
    seed: Seed = None,
    register: Annotated[
        bool,
        typer.Option(
            help="Register the model in MLflow under the name of the experiment, with the alias champion."
        ),
    ] = True,
) -> None:
    """Export the best run as a SavedModel and a TFLite file.

    Both map a waveform to class probabilities. The run with the best validation score is exported. Each file
    is loaded again and compared with the model in memory. OUT/README.md explains how to serve them.
    """
    quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import export as exporting

    with open(2, "w", closefd=False) as log, contextlib.redirect_stderr(log):  # converters and MLflow talk
        written, run, version = exporting.export(
            config.load_experiment(name), Path(to), seed=seed, registered=register
        )
    print(f"{to}: {name}, seed {run.data.tags['seed']}; SavedModel bit-identical to the model in memory")
    print(
        f"{to}: no TFLite file: {written.reason}"
        if written.reason
        else f"{to}: TFLite within {written.difference:.1e} of the model in memory"
    )
    if version:
        print(f"MLflow: models:/{name}@champion is version {version}")


@app.command()
def predict(
    name: ExperimentName,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Audio files of any format, sample rate and number of channels."
        ),
    ],
    output: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl or csv.")] = "table",
    top: Annotated[
        int, typer.Option("--top", metavar="K", min=1, help="Number of classes to show for each file.")
    ] = 3,
    over_time: Annotated[
        str,
        typer.Option(
            "--over-time", metavar="FOLDER", help="Write scores over time to this folder, as CSV and PNG."
        ),
    ] = "",
    stream: Annotated[
        str,
        typer.Option(
            "--stream",
            metavar="FOLDER",
            help="Write events to this folder; memory use does not depend on the length of the files.",
        ),
    ] = "",
    threshold: Annotated[
        float,
        typer.Option("--threshold", metavar="SCORE", help="Minimum score of an event, with --stream."),
    ] = 0.5,
    seed: Seed = None,
) -> None:
    """Predict the classes of audio files with the best run.

    Prints the most probable classes of each file. With --stream, writes the times at which each class exceeds
    the threshold instead, as CSV and Audacity labels. A file that cannot be read is reported and skipped, and
    the command exits with code 1.
    """
    quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import predict as predicting

    request = predicting.Request(files, output, top, over_time, stream, threshold)
    if not predicting.predict(config.load_experiment(name), request, seed=seed):
        raise typer.Exit(1)


@app.command()
def align(
    name: ExperimentName,
    sound: Annotated[
        Path,
        typer.Argument(
            metavar="AUDIO",
            help=(
                "An audio file; or, without TEXT, a folder of recordings with .lab or .txt files beside them,"
                " or a table with the columns path and text."
            ),
        ),
    ],
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The text: a text file, or the text itself in quotes."),
    ] = None,
    phones: Annotated[
        bool, typer.Option("--phones", help="TEXT consists of phones separated by spaces instead of words.")
    ] = False,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            help=(
                "Also write the alignment to a .csv, .TextGrid (Praat), .txt (Audacity labels) or .ctm file."
                " Without TEXT: the folder of the alignments."
            ),
        ),
    ] = "",
    output: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="Without TEXT: textgrid, csv, labels or ctm."),
    ] = "textgrid",
    language: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="LANGUAGE",
            help="Language or voice of espeak-ng that pronounces the words. Default: the model's own.",
        ),
    ] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Align texts with recordings: a single one, a folder or a table.

    Prints the start and end of every word and phone, and the model's confidence. Words become phones as in
    the training of the model, or by --language; a word with hyphens (Son-ne) is pronounced syllable by
    syllable. The model is of the family ctc, or has a head of kind alignment. Without TEXT, a recording that
    cannot be aligned is reported and skipped, and the command exits with code 1.
    """
    quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import align as aligning

    file = config.load_experiment(name)
    if text is None:
        if not aligning.align_many(
            file, sound, phones=phones, seed=seed, to=to, form=output, force=force, language=language
        ):
            raise typer.Exit(1)
        return
    found = aligning.align(file, sound, text, phones=phones, seed=seed, to=to, force=force, language=language)
    print(aligning.table(found))
    if to:
        print(f"{to} written")


@app.command()
def notes(
    name: ExperimentName,
    sound: SoundFile,
    head: Annotated[
        str,
        typer.Option(
            "--head",
            metavar="NAME",
            help="Transcribe with this head only. Default: all heads of kind notes or melody.",
        ),
    ] = "",
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE.mid", help="Output file. Default: the name of AUDIO, in the current folder."
        ),
    ] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Transcribe the notes of a recording to a MIDI file.

    The file has one track for each head of kind notes or melody, with the name of the head.
    """
    quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use.notes import notes as transcribe

    place, counts = transcribe(config.load_experiment(name), sound, head=head, seed=seed, to=to, force=force)
    print(f"{place}: {', '.join(f'{track} {notes_text(count)}' for track, count in counts.items())}")
