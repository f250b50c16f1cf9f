"""Scores: arrays and sequences in, floats out; `sequences`, `labels` and `intervals`.

Conventions: ``truth`` comes first, ``predicted`` second, paired by position. Rates are shares (0.083, not 8.3
%), taken over the **whole set**. Input that has no score raises ValueError with the value and the rule;
nothing returns 0 for it.
"""
