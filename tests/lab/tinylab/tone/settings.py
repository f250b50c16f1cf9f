"""Settings of the family ``tinylab.tone``."""

from typing import Literal

from audiomtl.settings.shared import Count, Experiment, Grouped, NotNegative, Optimizer, Table, Training


class Tones(Grouped):
    dataset: Literal["tinylab.tones"]
    clips: Count


class Network(Table):
    units: Count
    fault: Literal["none", "raise", "crash", "hang", "memory", "nan"]
    pause_seconds: NotNegative  # before every batch, so that a kill can hit any of them


class Settings(Experiment):
    data: Tones
    network: Network
    optimizer: Optimizer
    training: Training


SCORES = {"error_rate": "minimize"}
