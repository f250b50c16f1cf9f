"""Command-line errors as one line. Contents: `in_one_line`."""

from audiomtl import config
from audiomtl.errors import UserError


def in_one_line(error: Exception) -> str:
    """A user error in one line; nothing if the error is not the user's."""
    if hasattr(error, "format_message"):  # a wrong option or argument
        context = getattr(error, "ctx", None)
        text = error.format_message().removesuffix(".").replace("Input should be", "must be")
        text = text.replace("a valid integer, unable to parse string as an integer", "a whole number")
        if getattr(getattr(error, "param", None), "name", "") == "name" and context:
            folder = "studies" if context.info_name in ("study", "promote") else "experiments"
            text += f": {folder}/ contains {', '.join(config.names(folder)) or 'no files'}"
        return f"{text[:1].lower()}{text[1:]}; see {context.command_path if context else 'audiomtl'} --help"
    if not isinstance(error, UserError):
        return ""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in str(error)
    )
