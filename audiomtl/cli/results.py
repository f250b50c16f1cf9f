"""Recorded results: reports, MLflow's pages, time estimates, disk space."""

from pathlib import Path
from typing import Annotated

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import name_broken
from audiomtl.cli.options import DEFAULT_SLOTS, EXPERIMENTS, Core, ExperimentNames, Storage


@app.command()
def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Experiments. Default: all that have runs.", autocompletion=EXPERIMENTS
        ),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER", help="Output folder. Default: runs/report.")
    ] = "",
    readme: Annotated[
        bool,
        typer.Option(
            "--readme",
            help="Also write the results into README.md (small table) and docs/results.md (all tables).",
        ),
    ] = False,
    freeze: Annotated[
        str,
        typer.Option(
            "--freeze",
            metavar="FILE.zip",
            help=(
                "Instead write one experiment into a single file: settings, lock, keys of the data,"
                " predictions, curves, scores, tables and figures, described as an RO-Crate. `audiomtl verify"
                " FILE.zip` rebuilds its numbers."
            ),
        ),
    ] = "",
) -> None:
    """Write tables and figures of the recorded runs.

    The report is one HTML page to open or send (report.html, which needs no network), and the same as
    Markdown: results beside floors and ceilings, a forest plot of the ablations, optimization histories,
    hyperparameter importances, learning curves, confusions and provenance. listening.html holds the sound
    of a few test clips with spectrogram, truth and prediction: share it only if you may share the
    recordings. With NAME, the command also prints what was found. Without NAME and --to, it also updates
    docs/results.md, whose best runs come from the [expected] tables and whose ablations come from the runs
    of this machine. Exits with code 1 if a score is no better than its floor (what can be had without the
    network) and the file does not acknowledge it.
    """
    if freeze:
        if len(names or []) != 1 or to or readme:
            raise typer.BadParameter(
                "--freeze FILE.zip writes one experiment: give its NAME and no other option"
            )
        from audiomtl.harness.report.freeze import freeze as write_frozen

        print(write_frozen((names or [""])[0], Path(freeze)))
        return
    from audiomtl.harness.report import floors, summary
    from audiomtl.harness.report import markdown as reporting
    from audiomtl.harness.train.progress import console

    results = Path("docs/results.md") if (readme or not (names or to)) and Path("docs").is_dir() else None
    broken = name_broken(names)
    written = reporting.write(
        names or [], Path(to) if to else None, Path("README.md") if readme else None, results
    )
    for line in [*(summary.lines(names) if names else []), written]:
        console().print(line)
    found = floors.unacknowledged(names or [])
    for line in found:
        console().print(line)
    broken.end()
    if found:
        raise typer.Exit(1)


@app.command()
def ui(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port on 127.0.0.1.")
    ] = 5000,
) -> None:
    """Show all runs in the browser (MLflow on 127.0.0.1).

    Prints the address of the page that compares the trials of the last study. Where the extra `dashboard` is
    installed, Optuna's dashboard runs on the next port. Press Ctrl-C to stop.
    """
    from audiomtl.harness.report.mlflow_ui import serve

    serve(port)


@app.command()
def price(names: ExperimentNames = None, core: Core = False) -> None:
    """Estimate time and detectable differences.

    The time is that of the best runs and ablations. The difference in the main score is what a paired
    comparison finds in 80 % of cases at a two-sided level of 5 %. Below it stands what a
    difference of 0.02 would cost, or that more seeds cannot give it.
    """
    from audiomtl.harness import price as pricing

    broken = name_broken(names)
    print(pricing.price(names or [], slots=DEFAULT_SLOTS, core=core))
    broken.end()


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without it, nothing is changed.")] = False,
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            metavar="N",
            min=0,
            help="Remove what nothing has read for N days from the cache. Default: 30.",
        ),
    ] = None,
    storage: Storage = "",
) -> None:
    """Free disk space: show or remove what is not needed.

    That is checkpoints and temporary files of finished trainings, artifacts of pruned trials (logs, figures,
    tables; parameters, metrics, tags and settings stay), and features, generated corpora, indexes and floors
    in the cache that nothing has read for 30 days: they are computed again when they are needed. The last use
    is the time of reading or writing that the disk records, whichever is newer. A training that runs or can
    be resumed keeps its files.
    """
    from audiomtl.harness.clean.command import clean as free

    free(yes=yes, days=days, storage=storage)
