"""Typed settings: ``shared.py`` for every family, then one file per family (``ctc.py``). No default values, no heavy import."""
