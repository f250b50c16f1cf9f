"""What a person did wrong at the command line, or the machine refused. Contents: `in_one_line`."""

from audiomtl import config
from audiomtl.errors import SurroundingsError, UserError, WorkFailed
from audiomtl.redaction import redact
from audiomtl.system import os_fault


def in_one_line(error: Exception) -> tuple[str, int]:
    """What a person did wrong or the machine refused, in one line, and the exit code; ``("", 0)`` if it is a
    bug of the project.
    """
    surroundings = _surroundings(error)
    text = redact(surroundings or _mistake(error))
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text, 1 if surroundings or isinstance(error, WorkFailed) else 2 if text else 0


def _surroundings(error: BaseException | None) -> str:
    """The fault of the machine that an error is, or nothing."""
    if isinstance(error, SurroundingsError):
        return str(error)
    return os_fault(error) if isinstance(error, OSError) else ""


def _mistake(error: Exception) -> str:
    if hasattr(error, "format_message"):  # a wrong option or argument
        context = getattr(error, "ctx", None)
        text = error.format_message().removesuffix(".").replace("Input should be", "must be")
        text = text.replace("a valid integer, unable to parse string as an integer", "a whole number")
        text = text.replace("a valid number, unable to parse string as a number", "a number")
        if getattr(getattr(error, "param", None), "name", "") == "name" and context:
            folder = "studies" if context.info_name in ("study", "promote") else "experiments"
            text += f": {folder}/ contains {', '.join(config.names(folder)) or 'no files'}"
        return f"{text[:1].lower()}{text[1:]}; see {context.command_path if context else 'audiomtl'} --help"
    return str(error) if isinstance(error, UserError) else ""
