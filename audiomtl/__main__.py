"""``python -m audiomtl``: the ``audiomtl`` command."""

from audiomtl.cli import main

if __name__ == "__main__":
    main()
