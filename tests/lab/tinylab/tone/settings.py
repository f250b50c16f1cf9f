"""Settings of the family ``tinylab.tone``."""

from typing import Literal

from audiomtl.settings.clips import ClipExperiment
from audiomtl.settings.shared import Optimizer, Training
from audiomtl.settings.table import Count, NotNegative, Table


class Network(Table):
    units: Count
    fault: Literal["none", "raise", "crash", "hang", "memory", "nan", "kill", "kill once", "disk once"]
    pause_seconds: NotNegative  # before every batch, so that a kill can hit any of them


class Settings(ClipExperiment):
    network: Network
    optimizer: Optimizer
    training: Training


SCORES = {"error_rate": "minimize"}
