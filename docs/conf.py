"""Sphinx: Markdown pages (MyST) and an API reference that reads the source code without importing it
(autoapi).
"""

from pathlib import Path

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
