"""audiomtl: sweep, track, reproduce and ablate audio networks. See the README and docs/.

Contents: `__version__`, which pyproject.toml reads from here.
"""

__version__ = "0.1.0"
