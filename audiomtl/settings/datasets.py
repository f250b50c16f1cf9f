"""Data sets and corpora by name: one module each, which has a class ``Settings`` and a function ``clips``.

Contents: `modules`, `datasets`, `dataset`.
"""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest, show

FOLDERS = ("corpora", "datasets")


def modules(name: str) -> tuple[str, ...]:
    """Names of the modules of which one makes, or reads, a data set: a name with a dot is a module
    outside the project.
    """
    return (name,) if "." in name else tuple(f"audiomtl.data.{folder}.{name}" for folder in FOLDERS)


def datasets() -> list[str]:
    """Names of the project's own data sets and corpora, sorted; no module is imported."""
    files = [
        path for folder in FOLDERS for path in (Path(__file__).parents[1] / "data" / folder).glob("*.py")
    ]
    return sorted(
        path.stem
        for path in files
        if re.search(r"^class Settings\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def dataset(name: str) -> ModuleType:
    """The module of a data set.

    Raises
    ------
    UserError : the module does not exist, or it is not a data set.
    """
    known = datasets()
    tried, found = modules(name), None
    for module in tried if all(part.isidentifier() for part in name.split(".")) else ():
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError as error:
            if not error.name or not f"{module}.".startswith(f"{error.name}."):
                raise  # the data set is there, but something that it imports is not
    setting, here = f"data.dataset = {show(name)}", f"data sets here: {', '.join(known)}"
    if found is None:
        outside = "." in name
        what = (
            f"no module {name}; is {name.split('.')[0]} installed, or on PYTHONPATH?"
            if outside
            else f"no such data set{nearest(name, known)}"
        )
        raise UserError(f"{setting}: {what}; {here}")
    if not (hasattr(found, "Settings") and hasattr(found, "clips")):
        raise UserError(
            f"{setting}: {found.__name__} is not a data set: it needs a class Settings and a function clips;"
            f" {here}"
        )
    return found
