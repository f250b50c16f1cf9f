"""Pages as one file each: templates of the package, with style and script written into them.

Contents: `render`, `embedded`.
"""

import base64
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from audiomtl import __version__
from audiomtl.settings.toml import write as write_file

FOLDER = ("templates", "report")  # within the package


def render(template: str, path: Path, **values: Any) -> None:
    """Write a page; all text is escaped but SVG, which `svg` has escaped."""
    write_file(path, _templates().get_template(template).render(version=__version__, **values) + "\n")


def embedded(content: bytes, kind: str) -> str:
    """A file as a data URI; ``kind``: such as ``image/png``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _templates() -> jinja2.Environment:
    def load(name: str) -> str:
        return resources.files("audiomtl").joinpath(*FOLDER, name).read_text(encoding="utf-8")

    found = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "inline": _inline,
        "breakable": _breakable,
        "numeric": _numeric,
        "anchor": _anchor,
        "svg": Markup,
    }
    return found


def _inline(text: str) -> Markup:
    """A text with what the tables mark in Markdown: ``**strong**`` and ```code```."""
    words = str(escape(text))
    words = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", words)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", words))


def _breakable(text: Markup) -> Markup:
    """Names such as ``validation/phone_error_rate`` may be broken behind their parts: columns stay narrow."""
    parts = re.split(r"(<[^>]*>|&[^;]*;)", str(text))
    return Markup(
        "".join(
            re.sub(r"(?<=\w)([_/.])(?=[a-z])", r"\1<wbr>", part) if not number % 2 else part
            for number, part in enumerate(parts)
        )
    )


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column of a table holds numbers, which are aligned to the right."""
    cells = [row[column] for row in rows if column < len(row) and row[column]]
    return bool(cells) and all(
        re.match(r"\[?[-+]?\d[\d.,e+-]*(\]| \*|, .*\])?$|none$", cell) for cell in cells
    )


def _anchor(text: str) -> str:
    """A text as the name of a place in the page."""
    return re.sub(r"[^\w-]+", "-", text)
