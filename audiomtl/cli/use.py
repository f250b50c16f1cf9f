"""Use trained models: export, predict, transcribe, align, notes, evaluate."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import quiet_tensorflow
from audiomtl.cli.options import ExperimentName, Force, ModelName, Seed

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help=(
            "Audio files of any format, sample rate and number of channels; folders of them; tables (CSV,"
            " Parquet) with one row per recording."
        ),
    ),
]
Folder = Annotated[
    str,
    typer.Option(
        "--folder", metavar="FOLDER", help="Folder of the written files. Default: the current folder."
    ),
]
Head = Annotated[
    str, typer.Option("--head", metavar="NAME", help="Only the answer of this head. Default: all.")
]


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
    licence: Annotated[
        str, typer.Option("--licence", metavar="TEXT", help="Licence of the model, for OUT/README.md.")
    ] = "",
    refit: Annotated[
        bool, typer.Option("--refit", help="Export the model of `audiomtl best NAME --refit`.")
    ] = False,
    average: Annotated[
        bool,
        typer.Option(
            "--average",
            help=(
                "Export the best runs of all seeds as one model, which answers with the mean of their class"
                " probabilities; with --refit, the refits of all seeds."
            ),
        ),
    ] = False,
) -> None:
    """Export the best run of an experiment for serving.

    Writes the model, a SavedModel and a TFLite file from waveform to answers where the family can compute
    its features in the graph, and OUT/README.md, a model card. The run with the best validation score is
    exported. Each file is loaded again and compared with the model in memory. MLflow serves every family.
    """
    quiet_tensorflow()
    from audiomtl import config
    from audiomtl.harness.use import export as exporting

    with open(2, "w", closefd=False) as log, contextlib.redirect_stderr(log):  # converters and MLflow talk
        written = exporting.export(
            config.load_experiment(name),
            Path(to),
            seed=seed,
            registered=register,
            licence=licence,
            refit=refit,
            average=average,
        )
    print("\n".join(exporting.told(written, to)))


@app.command()
def predict(
    name: ModelName,
    sources: Sources,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            "--format",
            metavar="FORMAT",
            help=(
                "table, jsonl, csv, textgrid, labels (Audacity), ctm, rttm or midi; or a file that ends in"
                " .jsonl, .csv, .TextGrid, .txt, .ctm, .rttm or .mid."
            ),
        ),
    ] = "table",
    folder: Folder = "",
    top: Annotated[
        int, typer.Option("--top", metavar="K", min=1, help="Number of classes to show for each file.")
    ] = 3,
    head: Head = "",
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
        float | None,
        typer.Option("--threshold", metavar="SCORE", help="Minimum score of a segment or event."),
    ] = None,
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Predict classes, segments, phones or notes of recordings.

    Prints the answers, or writes them with --to. Formats that hold one recording (textgrid, labels, midi) are
    written as one file per recording, named after it. With --stream, writes the times at which each class
    exceeds the threshold, as CSV and Audacity labels. A file that cannot be read is reported and skipped, and
    the command exits with code 1.
    """
    _predict(
        name,
        seed,
        sources=sources,
        to=to,
        folder=folder,
        top=top,
        head=head,
        over_time=over_time,
        stream=stream,
        threshold=threshold,
        force=force,
    )


@app.command()
def transcribe(
    name: ModelName,
    sources: Sources,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=(
                "table, textgrid, ctm, labels (Audacity), csv or jsonl; or a file that ends in .TextGrid,"
                " .ctm, .txt, .csv or .jsonl."
            ),
        ),
    ] = "table",
    folder: Folder = "",
    head: Head = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Transcribe recordings to phones with their times.

    Short for `audiomtl predict` with the phones alone. The model needs to be of the family ctc, or to have a
    head of kind phones.
    """
    _predict(name, seed, sources=sources, to=to, folder=folder, head=head, kinds=("phones",), force=force)


def _predict(name: str, seed: int | None, **options: Any) -> None:
    quiet_tensorflow()
    from audiomtl.harness.use import predict as predicting

    if not predicting.predict(name, predicting.Request(**options), seed=seed):
        raise typer.Exit(1)


@app.command()
def evaluate(
    name: ModelName,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A table (CSV, Parquet) with the columns of the model's experiment; or another experiment.",
        ),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="FILE", help="Also write the predictions, to a .csv or .parquet file."),
    ] = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Score a trained model on other labelled recordings.

    Prints every score of the family with its 95 % interval: over the first of the experiment's groups if the
    table has it, otherwise over clips. Clips with labels that the model does not know are named and left out.
    """
    quiet_tensorflow()
    from audiomtl.harness.use import evaluate as evaluating

    print(evaluating.written(name, data, seed=seed, to=to, force=force))


@app.command()
def align(
    name: ModelName,
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
    """Align texts with recordings.

    One text and one recording, or each recording of a folder or table with its text. Prints a line
    per phone: its start, its end, the model's confidence, and the word that begins there; or, without TEXT, a
    line per recording. Words become phones as in the training of the model,
    or by --language; a word with hyphens (Son-ne) is pronounced syllable by syllable. The model is of the
    family ctc, or has a head of kind alignment. Without TEXT, a recording that cannot be aligned is reported
    and skipped, and the command exits with code 1.
    """
    quiet_tensorflow()
    from audiomtl.harness.use import align as aligning

    if text is None:
        if not aligning.align_many(
            name, sound, phones=phones, seed=seed, to=to, form=output, force=force, language=language
        ):
            raise typer.Exit(1)
        return
    found = aligning.align(name, sound, text, phones=phones, seed=seed, to=to, force=force, language=language)
    print(aligning.table(found))
    if to:
        print(f"{to} written")


@app.command(hidden=True)  # `predict --to midi` does the same; scripts of earlier versions go on
def notes(
    name: ModelName,
    sources: Sources,
    head: Head = "",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="midi, labels (Audacity), csv or jsonl; or a file that ends in .mid, .txt, .csv or .jsonl.",
        ),
    ] = "midi",
    folder: Folder = "",
    force: Force = False,
    seed: Seed = None,
) -> None:
    """Transcribe the notes of recordings to MIDI files.

    Short for `audiomtl predict` with the notes alone. A file has one track for each head of kind notes or
    melody, with the name of the head, and the name of its recording.
    """
    _predict(name, seed, sources=sources, to=to, folder=folder, head=head, kinds=("notes",), force=force)
