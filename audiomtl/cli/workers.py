"""The option ``--executor``: the same command in several worker processes. Contents: `run_in_workers`."""

import os
from pathlib import Path
from typing import Any

import typer

OWN = ("executor", "workers", "time", "partition", "slurm")  # parameters that workers do not get
ONLY_SLURM = ("time", "partition", "slurm")
BY_ENVIRONMENT = {
    "storage": "AUDIOMTL_STORAGE"
}  # may hold a password, which a command line shows to everyone


def run_in_workers(context: typer.Context) -> None:
    """Run this command in workers and exit with their code, where ``--executor`` asks for it; else return.

    Raises
    ------
    BadParameter : an option of the executor without it, or one of SLURM on this machine.
    """
    values = context.params
    unfit = [name for name in OWN[1:] if given(context, name)]
    if not values["executor"]:
        if unfit:
            raise typer.BadParameter(f"--{unfit[0]} needs --executor local or --executor slurm")
        return
    if values["executor"] == "local" and (unfit := [name for name in unfit if name in ONLY_SLURM]):
        raise typer.BadParameter(f"--{unfit[0]} is an option of --executor slurm")
    from audiomtl.harness.executor import Request, execute

    slots = values["slots"]
    if values["executor"] == "local" and not given(context, "slots"):
        slots = max(1, slots // values["workers"])  # the cores of this machine, divided
    for name, variable in BY_ENVIRONMENT.items():
        if values.get(name):
            os.environ[variable] = values[name]
    request = Request(
        values["executor"],
        values["workers"],
        slots,
        values["threads"],
        values["time"],
        values["partition"],
        tuple(values["slurm"] or ()),
    )
    code = execute(_folder(context), [*_arguments(context), "--slots", str(slots)], request)
    raise typer.Exit(code)


def given(context: typer.Context, name: str) -> bool:
    """Whether an option or argument was typed."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _folder(context: typer.Context) -> str:
    """Of the logs: the study's name, or the command and the experiment's name."""
    name = Path(context.params["name"]).name.removesuffix(".toml")
    return name if context.info_name == "study" else f"{context.info_name}-{name}"


def _arguments(context: typer.Context) -> list[str]:
    """The command as it was typed, less what workers do not get; ``--slots`` is left to the caller."""
    arguments, options = [], []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in (*OWN, *BY_ENVIRONMENT, "slots") or not given(context, name):
            continue
        value: Any = context.params[name]
        if parameter.param_type_name == "argument":
            arguments += [str(each) for each in (value if isinstance(value, list) else [value])]
        elif value is True:
            options.append(parameter.opts[0])
        else:
            options += [
                text
                for each in (value if isinstance(value, list) else [value])
                for text in (parameter.opts[0], str(each))
            ]
    return [str(context.info_name), *options, *arguments]
