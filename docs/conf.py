"""Sphinx: Markdown pages (MyST), notebooks read as Markdown, and an API reference that reads the source code
without importing it (autoapi).
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from myst_parser.sphinx_ import Parser
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PROJECT = Path(__file__).parents[1]

project = "audiomtl"
author = "The audiomtl authors"
copyright = author
extensions = ["myst_parser", "autoapi.extension", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "audiomtl"

myst_heading_anchors = 3  # links to headings, as in results.md#ctc_german

autoapi_dirs = [str(PROJECT / "audiomtl")]
autoapi_ignore = ["*/templates/*"]  # written into other folders, where there is no audiomtl
autoapi_root = "reference/api"
autoapi_add_toctree_entry = False  # index.md has it
autoapi_keep_files = False
autoapi_options = ["members", "show-module-summary"]
autoapi_member_order = "bysource"

suppress_warnings = [
    # names that it cannot see: taken over from MLflow, or assigned in a tuple
    "autoapi.python_import_resolution",
    "ref.python",  # every family has a `Prepared`: a docstring means that of its own module
]


class NotebookParser(Parser):
    """A notebook as a page: its text, and its code as blocks. Outputs are not kept in the files."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        texts = []
        for cell in json.loads(inputstring)["cells"]:
            source = "".join(cell["source"])
            texts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        super().parse("\n\n".join(texts), document)


class Results(SphinxDirective):
    """``{results}`` with an experiment: its table of ablations from results.md, if there is one."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        name = "".join(self.content).strip()
        page = Path(self.env.srcdir) / "results.md"
        self.env.note_dependency(str(page))
        section = re.search(
            rf"^### {name}\n(.*?)(?=^###? |^<!-- /results)",
            page.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        text = (
            section[1]
            if section
            else f"The ablations of `{name}` have not been recorded yet: `make ablations-{name}`."
        )
        where = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), str(page)), self.content_offset, where)
        return [where]


def setup(app: Sphinx) -> None:
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.add_directive("results", Results)
