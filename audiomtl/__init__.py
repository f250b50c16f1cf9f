"""audiomtl: sweep, track, reproduce and ablate audio networks. The README says how; DESIGN words are in its glossary.

Contents: `__version__`, which pyproject.toml reads from here.
"""

__version__ = "0.1.0"
