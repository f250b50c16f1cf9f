"""The command itself, to which the other files of this folder add subcommands. Contents: `app`."""

from typing import Annotated

import typer

from audiomtl import __version__
from audiomtl.cli.options import EPILOG

app = typer.Typer(
    name="audiomtl",
    help=(
        "Sweep, track, reproduce and ablate audio networks. Run it in the folder of the project. Every"
        " command has its own --help."
    ),
    epilog=EPILOG,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        print(f"audiomtl {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
