"""Files: check them, list settings, find data, create an experiment."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import Faults, all_experiments, count, folders_of, with_data
from audiomtl.cli.options import ExperimentNames


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help=(
                "Files in experiments/ or studies/, without .toml. Default: all. With --settings: a family, a"
                " data set, or study."
            ),
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help=(
                "Audit the data of experiments, of a table or of a folder (NAME is its path), and examine the"
                " first training steps of experiments."
            ),
        ),
    ] = False,
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="With --deep: column of what is learned.")
    ] = "",
    groups: Annotated[
        str, typer.Option("--groups", metavar="COLUMNS", help="With --deep: speaker,song and the like.")
    ] = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="With --deep: write pictures there.")
    ] = None,
    ablation: Annotated[
        str,
        typer.Option(
            "--ablation",
            metavar="ARM",
            help="With --deep: the first steps of this ablation of an experiment.",
        ),
    ] = "",
    settings: Annotated[
        bool, typer.Option("--settings", help="List the settings of a family or a data set instead.")
    ] = False,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="With --settings: print the reference of all settings as Markdown."),
    ] = False,
) -> None:
    """Check files in experiments/ and studies/.

    Validates every key, value, search range and ablation. Trains nothing and reads no data. A file with a
    mistake is named, and the others are checked all the same; then the command exits with code 1.

    With --settings, lists the settings of a family or a data set: each with its path, its type and range,
    when it is used, and what it does. A setting that is not used may be left out of a file.

    With --deep it listens to the recordings of experiments, of a table or of a folder: copies of one
    recording in different splits, labels that follow from length, level or file format alone, small or
    missing classes, and what a random split would be worth. Then it takes ten training steps of each
    experiment and says what will keep it from learning, with the setting to change. It exits with code 1 if
    copies or groups are in different splits, or if the network will not learn.
    """
    if settings:
        _print_settings(names or [], markdown=markdown)
        return
    if markdown:
        raise typer.BadParameter("--markdown needs --settings")
    if deep:
        from audiomtl.cli.deep import deep as look_deep

        look_deep(names or all_experiments(), label, groups, to, ablation)
        return
    if label or groups or to or ablation:
        raise typer.BadParameter("--label, --groups, --to and --ablation need --deep")
    from audiomtl import config

    if names:
        chosen = [(folder, name) for name in names for folder in folders_of(name)]
    else:
        chosen = [("experiments", name) for name in all_experiments()]
        chosen += [("studies", name) for name in config.names("studies")]
    valid: dict[str, list[str]] = {"experiments": [], "studies": []}
    faults = Faults()
    for folder, name in chosen:
        with faults.of(f"{folder}/{name}"):
            (config.load_experiment if folder == "experiments" else config.load_study)(name)
            valid[folder].append(name)
    experiments, studies = valid["experiments"], valid["studies"]
    counts = [count(experiments, "experiment", "experiments")] if experiments or not names else []
    counts += [count(studies, "study", "studies")] if studies or not names else []
    if counts:
        several = len(experiments) + len(studies) != 1
        print(f"{' and '.join(counts)} {'are' if several else 'is'} valid")
    faults.end()


@app.command()
def data(
    names: ExperimentNames = None,
    mirror: Annotated[
        str, typer.Option("--mirror", metavar="URL", help="With fetch: download from this folder.")
    ] = "",
) -> None:
    """Generate, find and describe the recordings of experiments.

    Prints clips, lengths, rates, classes, groups, what was left out, and how every seed divides them into
    train, validation and test; warns of small or missing classes. Faults that would make a training fail are
    named, and the command then exits with code 1. Corpora are generated once, into AUDIOMTL_CACHE. Published
    data sets are read from AUDIOMTL_DATA; if one is missing, the command prints the folder it expects, its
    contents and its source. `audiomtl data fetch yamnet` downloads pretrained weights and checks them.
    """
    if names and names[0] == "fetch":
        from audiomtl.data import catalog
        from audiomtl.data.fetch import fetch

        for name in names[1:] or [""]:
            for place in fetch(name, catalog.data_folder(), mirror):
                print(f"{name}: {place}")
        return
    from audiomtl import config
    from audiomtl.data import overview, preflight, subset
    from audiomtl.errors import MissingData

    faults = Faults()
    for name in names or all_experiments():
        with faults.of(name):
            file = config.load_experiment(name)
            try:
                table = with_data(file.settings)
            except MissingData as error:
                print(f"{name}: missing: {error}")
                continue
            seen = preflight.look(file.settings, table)
            if other := subset.other_clips(file.expected, table, file.settings):
                print(f"{name}: {other}")
            print(overview.text(name, file.settings, seen), flush=True)
            faults.count += bool(seen.faults)
    faults.end()


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new experiment and its study.")],
    where: Annotated[
        str,
        typer.Option(
            "--data", metavar="WHERE", help="Table (CSV, TSV, Parquet) with one row per clip, or a folder."
        ),
    ],
    model: Annotated[
        str,
        typer.Option("--model", metavar="FAMILY", help="Model family. Default: the one that fits best."),
    ] = "auto",
    label: Annotated[
        str,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="Column with the classes, or columns of 0 and 1: rain,wind. Default: the one that is found.",
        ),
    ] = "",
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            metavar="COLUMNS",
            help=(
                "Columns whose values never appear in more than one split, for example artist,song. Default:"
                " those that are found."
            ),
        ),
    ] = "",
    path: Annotated[
        str,
        typer.Option("--path", metavar="COLUMN", help="Column with the paths. Default: the one found."),
    ] = "",
    language: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="CODE",
            help="Language of transcripts, which become phones by espeak-ng: de, en-us. Default: letters.",
        ),
    ] = "",
    on_bad: Annotated[
        Literal["error", "skip"],
        typer.Option("--on-bad", help="Whether unreadable, missing and duplicate recordings are left out."),
    ] = "error",
) -> None:
    """Create an experiment and a study for your own recordings.

    WHERE is a table with a column of paths, or a folder: of folders (class = folder), of recordings with
    annotations beside them, or with metadata.csv. Rates, lengths, classes and groups decide the settings and
    the split. Everything that is assumed is printed and stands in the file. Both files are complete and
    commented; edit them, then run `audiomtl check`.
    """
    from audiomtl.harness import new as first

    written = first.write(
        name, where, model=model, label=label, groups=groups, path=path, language=language, on_bad=on_bad
    )
    for line in written.said:
        print(f"- {line}")
    for place in written.paths:
        print(f"{place} written")
    print(f"next: audiomtl data {name}, then audiomtl best {name} --record")


def _print_settings(names: list[str], *, markdown: bool) -> None:
    from audiomtl.settings import reference

    if markdown:
        print(reference.as_markdown())
    for name in names if not markdown else []:
        print(reference.as_table(name, shutil.get_terminal_size().columns))
    if not (markdown or names):
        print(f"audiomtl check --settings FAMILY: one of {', '.join(reference.names())}")
