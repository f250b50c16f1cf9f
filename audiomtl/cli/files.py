"""Files: check them, list settings, find data, create an experiment."""

import shutil
from typing import Annotated

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import all_experiments, count, with_data
from audiomtl.cli.options import ExperimentNames


@app.command()
def check() -> None:
    """Check all files in experiments/ and studies/.

    Validates every key, value, search range and ablation. Trains nothing and reads no data.
    """
    from audiomtl import config

    experiments, studies = all_experiments(), config.names("studies")
    for name in experiments:
        config.load_experiment(name)
    for name in studies:
        config.load_study(name)
    print(
        f"{count(experiments, 'experiment', 'experiments')} and {count(studies, 'study', 'studies')} are"
        " valid"
    )


@app.command()
def data(
    names: ExperimentNames = None,
    mirror: Annotated[
        str, typer.Option("--mirror", metavar="URL", help="With fetch: download from this folder.")
    ] = "",
) -> None:
    """Generate or find the recordings of experiments.

    Corpora are generated once, into AUDIOMTL_CACHE. Published data sets are read from AUDIOMTL_DATA; if one
    is missing, the command prints the folder it expects, its contents and its source. `audiomtl data fetch
    yamnet` downloads pretrained weights and checks them.
    """
    if names and names[0] == "fetch":
        from audiomtl.data import catalog
        from audiomtl.data.fetch import fetch

        for name in names[1:] or [""]:
            for place in fetch(name, catalog.data_folder(), mirror):
                print(f"{name}: {place}")
        return
    from audiomtl import config
    from audiomtl.data.availability import summary
    from audiomtl.errors import MissingData

    for name in names or all_experiments():
        file = config.load_experiment(name)
        try:
            with_data(file.settings)
            print(f"{name}: {summary(file.settings)}")
        except MissingData as error:
            print(f"{name}: missing: {error}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new experiment and its study.")],
    table: Annotated[
        str,
        typer.Option(
            "--data", metavar="FILE", help="CSV or Parquet file with one row per clip and a column path."
        ),
    ],
    model: Annotated[
        str,
        typer.Option("--model", metavar="FAMILY", help="Model family, one that has a template."),
    ] = "mil",
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="Column with the classes. Default: label.")
    ] = "",
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            metavar="COLUMNS",
            help=(
                "Columns whose values never appear in more than one split, for example artist,song. Default:"
                " common names."
            ),
        ),
    ] = "",
) -> None:
    """Create an experiment and a study for your own table of clips.

    The table needs a column path (or array_path or embedding_path, for .npy arrays), a column of classes, and
    columns of groups such as song or artist. A column fold is used if present. Both files are complete and
    commented; edit them, then run `audiomtl check`.
    """
    from audiomtl.harness import new as first

    for place in first.write(name, model=model, table=table, label=label, groups=groups):
        print(f"{place} written")
    print(f"next: audiomtl data {name}, then make study-{name}")


@app.command()
def settings(
    name: Annotated[str, typer.Argument(metavar="FAMILY", help="A family, a data set, or study.")] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference of all settings as Markdown.")
    ] = False,
) -> None:
    """List the settings of a family or a data set.

    Each with its path, its type and range, when it is used, and what it does. A setting that is not used may
    be left out of a file.
    """
    from audiomtl.settings import reference

    if markdown:
        print(reference.as_markdown())
    elif name:
        print(reference.as_table(name, shutil.get_terminal_size().columns))
    else:
        print(f"audiomtl settings FAMILY: one of {', '.join(reference.names())}")
