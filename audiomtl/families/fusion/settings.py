"""Settings of fusion (``models/fusion.py``): several inputs of a clip, one label."""

import re
from typing import Annotated, Literal, Self

from pydantic import model_validator

from audiomtl.settings.clips import Data, Protocol
from audiomtl.settings.named import FileIn
from audiomtl.settings.shared import (
    Count,
    Experiment,
    Features,
    Integers,
    Optimizer,
    Positive,
    Share,
    Strings,
    Table,
    Training,
)

NAME = re.compile(r"[a-z][a-z0-9]*")


class Modality(Table):
    """``[modalities.NAME]``: one input and its encoder (``nn/modalities.py``). Keys that the kind does not use have no effect.

    ===== =====================================================================================================================
    audio a sound file; its features
    text  tokens: a list of text, or one text that is split at spaces
    score notes: a list of (onset seconds, offset seconds, MIDI pitch), drawn as a roll of 88 keys with a frame every features.hop_seconds
    image a PNG or NPY file (height, width, 3)
    table a number or a list of numbers
    ===== =====================================================================================================================
    """

    kind: Literal["audio", "text", "score", "image", "table"]
    column: str  # of the clip table; a clip whose value is none lacks the modality
    shared: bool  # audio, image: one file may stand in clips of unlike labels, as a picture of several questions does
    id_column: str  # a column that must say the same as clip_id: for tables that were joined; "": none
    size: Count  # text, table: of a step
    filters: Integers  # audio, score, image: of each convolution
    kernel: Count  # audio, score: frames; image: pixels
    pool: Count  # after each convolution; 1: none
    coordinates: bool  # image: row and column as two more channels
    encoder: Literal["lstm", "embedding", "keys"]  # text: lstm, embedding; audio, score: keys, 88 numbers stand before what is convolved
    pooling: Literal["mean", "max", "last", "attention"]  # over steps, for joins of vectors
    weight: Positive  # join.kind = "weighted": at the start

    @model_validator(mode="after")
    def _has_layers(self) -> Self:
        if self.kind in ("audio", "score", "image") and min(self.filters, default=0) < 1:
            raise ValueError(f"filters: a modality of kind {self.kind} needs at least one convolution, each of 1 or more filters")
        return self


class Join(Table):
    """How modalities become one vector (``nn/fusion.py``). One flat table: keys that the kind does not use have no effect."""

    kind: Annotated[str, FileIn("audiomtl.families.fusion.joins")]
    size: Count  # of projections
    learn_weights: bool  # weighted
    rank: Count  # bilinear
    heads: Count  # cross_attention; size must be a multiple
    by: str  # film: the modality that modulates the others; aligned: the one to whose steps the others are brought
    kernel: Count  # aligned: steps that the comparison sees at once
    hidden: Integers  # dense layers between join and classes; late has none
    dropout: Share  # after the join and each of them
    leave_out: Strings  # modalities that are not there at all

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.kind == "cross_attention" and self.size % self.heads:
            raise ValueError(f"size must be a multiple of heads, but got size={self.size}, heads={self.heads}")
        return self


class Settings(Experiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    data: Data
    protocol: Protocol
    features: Features
    modalities: dict[str, Modality]
    join: Join
    modality_dropout: Share  # in training, of each modality of each clip; never all of a clip
    optimizer: Optimizer
    training: Training

    @property
    def used(self) -> dict[str, Modality]:
        """Modalities that are not left out, by name."""
        return {name: modality for name, modality in sorted(self.modalities.items()) if name not in self.join.leave_out}

    @model_validator(mode="after")
    def _modalities_make_sense(self) -> Self:
        for name, modality in self.modalities.items():
            if not NAME.fullmatch(name):
                raise ValueError(f"modalities.{name}: a modality's name has small letters and digits only: scores are named by it")
            if modality.encoder == "keys" and (modality.kind == "text" or (modality.kind == "audio" and self.features.kind != "log_mel")):
                remedy = 'encoder = "lstm" or "embedding"' if modality.kind == "text" else 'features.kind = "log_mel"'
                raise ValueError(f'modalities.{name}.encoder = "keys": a modality of kind {modality.kind} has no keys here; set {remedy}')
            if modality.column == self.data.label:
                raise ValueError(
                    f'modalities.{name}.column = "{modality.column}" is data.label itself: the target would be among the inputs (leakage); '
                    "name another column"
                )
        for setting, wanted in (("leave_out", list(self.join.leave_out)), ("by", [self.join.by] if self._needs_by else [])):
            if unknown := [name for name in wanted if name not in self.modalities]:
                raise ValueError(f'join.{setting}: no modality "{unknown[0]}"; there are {", ".join(sorted(self.modalities))}')
        if not self.used:
            raise ValueError("join.leave_out: every modality is left out; leave at least one")
        if self.protocol.leaky:
            raise ValueError("protocol.leaky deals windows to the sides, but this family has whole clips only: set it to false")
        return self

    @property
    def _needs_by(self) -> bool:
        return self.join.kind in ("film", "aligned")


LOSS_PATHS = ()  # no setting changes what the loss means
SCORES = {"accuracy": "maximize", "balanced_accuracy": "maximize"}  # what is recorded and reported; the first decides
BESIDE = ("accuracy_from_*",)  # further columns of the tables of ablations: what is left of the score when modalities are absent
