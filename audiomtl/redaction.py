"""Passwords out of every text that leaves the process: printed lines, errors, tags, parameters, log files.

What counts as secret: passwords in the URLs that the environment or `remember` names, the variables of
`SECRET_VARIABLES`, and whatever has the form of a password in a URL. Imports nothing heavy.

Contents: `redact`, `remember`, `without_credentials`, `redact_files`, `guard_streams`, `Guarded`.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
URL_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "AUDIOMTL_STORAGE")
STORE_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD", "MYSQL_PWD")
SECRET_VARIABLES = (*STORE_SECRETS, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
STORE_VARIABLES = (*URL_VARIABLES, *STORE_SECRETS)  # what only a process that talks to a store needs
# shorter ones are hidden only where a URL shows them: "a" is in every text
SHORTEST = 4
TEXT_FILES = (".txt", ".log", ".toml", ".json", ".csv", ".md")

# the password in scheme://user:password@host, which may itself hold an @ (the last one counts)
_IN_URL = re.compile(r"(?P<before>\b[a-zA-Z][\w+.-]*://[^\s/:@]*:)(?P<password>[^\s/]+)(?=@)")
# and in ?password=... or "password=... host=..."
_AS_OPTION = re.compile(
    r"(?P<before>\b(?:password|passwd|pwd|sslpassword|token)=)(?P<password>[^\s&;'\"]+)", re.I
)
_remembered: set[str] = set()


def remember(url: str) -> None:
    """Hide the password of a URL from now on, as one that was given as an option."""
    _remembered.update(_passwords(url))


def _passwords(url: str) -> set[str]:
    """Password of a URL, as it is written and as it is meant."""
    found = {match["password"] for match in (*_IN_URL.finditer(url), *_AS_OPTION.finditer(url))}
    return {form for text in found for form in (text, unquote(text))}


def _secrets() -> list[str]:
    """All that is hidden wherever it stands, the longest first."""
    found = set(_remembered)
    for name in URL_VARIABLES:
        if url := os.environ.get(name):
            found |= _passwords(url)
    found |= {os.environ.get(name, "") for name in SECRET_VARIABLES}
    forms = {
        form for text in found for form in (text, quote(text, safe=""), quote_plus(text), repr(text)[1:-1])
    }
    return sorted((text for text in forms if len(text) >= SHORTEST), key=len, reverse=True)


def redact(text: str) -> str:
    """A text without passwords: ``***`` stands in their places."""
    if not isinstance(text, str) or not text:
        return text
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    for pattern in (_IN_URL, _AS_OPTION):
        text = pattern.sub(rf"\g<before>{HIDDEN}", text)
    return text


def without_credentials(url: str) -> str:
    """An address that can be opened or shown: no user, no password."""
    return re.sub(r"(\b[a-zA-Z][\w+.-]*://)[^\s/]*@", r"\1", url)


def redact_files(folder: Path) -> None:
    """Hide passwords in the text files of a folder, before they are handed on."""
    if not (secrets := _secrets()):
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in TEXT_FILES and path.is_file():
            content = path.read_bytes()
            if any(secret.encode() in content for secret in secrets):
                path.write_bytes(
                    redact(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
                )


class Guarded:
    """A stream of text that hides passwords; all else is the stream's own.

    A reader that leaves early (``audiomtl data | head``) does not end the command: what it still prints goes
    nowhere, and what it computes is kept.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(redact(text))
        except BrokenPipeError:
            self._to_nowhere()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._to_nowhere()

    def _to_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_streams() -> None:
    """Hide passwords in all that this process prints from now on, tracebacks among it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Guarded):
            with contextlib.suppress(AttributeError):
                setattr(sys, name, Guarded(stream))
