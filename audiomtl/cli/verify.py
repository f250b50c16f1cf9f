"""Recorded numbers, rebuilt."""

from typing import Annotated

import typer

from audiomtl.cli.app import app
from audiomtl.cli.common import quiet_tensorflow
from audiomtl.cli.options import DEFAULT_SLOTS, Slots, Threads


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help=(
                "Experiments, ids of MLflow runs (any training), or files written by"
                " `audiomtl report NAME --freeze`. Default: every experiment with recorded scores."
            ),
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Compare only the losses of the first ten training steps: seconds each."
        ),
    ] = False,
    checkout: Annotated[
        bool,
        typer.Option(
            "--checkout",
            help=(
                "Where the code has changed, check out the commit that recorded and train there: of"
                " experiments and runs."
            ),
        ),
    ] = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="With --quick: write the losses of the first steps into the experiment files."
        ),
    ] = False,
    append: Annotated[
        str,
        typer.Option(
            "--append", metavar="FILE", help="Add the result and this machine to a table in a Markdown file."
        ),
    ] = "",
    slots: Slots = DEFAULT_SLOTS,
    threads: Threads = 1,
) -> None:
    """Rebuild recorded numbers from their record.

    First compares what the numbers depend on with the record: the data (by column), the settings, the seeds,
    the code, the lock file and the commit. Then trains again, in a temporary folder, and compares the scores:
    with [expected], with those of a run, or with those in a frozen study. On the processor that recorded them
    they must be equal, on another equal or equivalent. Whatever is not as recorded is named. The exit code is
    0 only if every number came back. Example: audiomtl verify --quick
    """
    if record and not quick:
        raise typer.BadParameter("--record needs --quick; `audiomtl best NAME --record` records scores")
    if checkout and quick:
        raise typer.BadParameter("--checkout trains on every seed; leave out --quick")
    quiet_tensorflow()
    from audiomtl.harness.verify import command

    request = command.Request(quick, checkout, record, append, slots, threads)
    if not command.verify(names or [], request):
        raise typer.Exit(1)
