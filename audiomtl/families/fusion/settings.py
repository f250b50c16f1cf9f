"""Settings of fusion (``models/fusion.py``): several inputs of a clip, one label."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.augmentation import Clips, check_bands, check_stored
from audiomtl.settings.clips import WeightedExperiment
from audiomtl.settings.named import FileIn
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import Count, Integers, NotNegative, Positive, Share, Strings, Table, used_when

NAME = re.compile(r"[a-z][a-z0-9]*")
# encoders of a sound whose frames go through convolutions; yamnet reads no frames
OF_FRAMES = ("lstm", "embedding", "one_hot", "keys")
YAMNET_RATE = 16000  # Hz
# kinds of join after which dense layers may stand; late joins the classes themselves
BEFORE_LAYERS = (
    "average",
    "weighted",
    "concatenation",
    "gated",
    "bilinear",
    "film",
    "cross_attention",
    "aligned",
    "likelihood",
)


class Modality(Table):
    """``[modalities.NAME]``: one input and its encoder (``encoders.py``). Keys that the kind does not use may
    be left out.

    ===== ===============================================================================================
    audio a sound file; its features, or with encoder = "yamnet" YAMNet's embeddings of its patches (0.975 s,
          every 0.48 s), frozen, standardized by train, then through a dense layer of ``size``
    text  tokens: a list of texts, or one text that is split at spaces
    score notes: a list of (onset seconds, offset seconds, MIDI pitch), drawn as a roll of 88 keys with a
          frame every features.hop_seconds
    image a PNG or NPY file (height, width, 3)
    table a number or a list of numbers
    ===== ===============================================================================================
    """

    kind: Literal["audio", "text", "score", "image", "table"] = Field(
        description="Kind of the values in the column: sound file, text, notes, picture, or numbers."
    )
    column: str = Field(description="Column of the clip table; a clip without a value lacks the modality.")
    shared: bool = Field(
        False,
        description="Whether one file may occur in clips of different classes (audio, image). Default false.",
    )
    id_column: str = Field(
        "",
        description=(
            'Column that must equal clip_id, to check tables that were joined; "" checks nothing. Default "".'
        ),
    )
    size: Count = used_when(
        {"kind": "table"},
        {"kind": "text", "encoder": ("lstm", "embedding")},
        {"kind": "audio", "encoder": "yamnet"},
        description="Size of a step's vector.",
    )
    filters: Integers = used_when(
        {"kind": ("score", "image")},
        {"kind": "audio", "encoder": OF_FRAMES},
        description=(
            "Filters of each convolution, one number per convolution; [] for the keys of a score alone."
        ),
    )
    kernel: Count = used_when(
        {"kind": ("score", "image")},
        {"kind": "audio", "encoder": OF_FRAMES},
        description="Kernel length of the convolutions, in frames, or in pixels for images.",
    )
    pool: Count = used_when(
        {"kind": ("score", "image")},
        {"kind": "audio", "encoder": OF_FRAMES},
        description="Pooling factor after each convolution; 1 does not pool.",
    )
    coordinates: bool = used_when(
        {"kind": "image"}, description="Whether row and column of each pixel are two more channels."
    )
    encoder: Literal["lstm", "embedding", "one_hot", "keys", "yamnet"] = used_when(
        {"kind": ("text", "audio", "score")},
        description=(
            "Encoder: lstm, embedding or one_hot for text; keys puts the salience of 88 keys beside the"
            " convolutions of audio or score; yamnet reads YAMNet's embeddings of audio."
        ),
    )
    weights: str = used_when(
        {"kind": "audio", "encoder": "yamnet"},
        description=(
            'Path of yamnet.h5 or yamnet.tflite; "" takes it from AUDIOMTL_DATA/yamnet, yamnet.h5 first.'
        ),
    )
    pooling: Literal["mean", "max", "last", "attention"] = Field(
        description="How the steps of a modality are pooled, for joins of vectors."
    )
    agrees: Strings = Field(
        (),
        description=(
            "Classes in which the modality says what is heard, from which the recognisers of join.kind ="
            " likelihood learn. Default []: none."
        ),
    )
    weight: Positive = used_when(
        {"join.kind": "weighted"}, description="Weight of the modality at the start, above 0."
    )

    @property
    def embedded(self) -> bool:
        """Whether YAMNet's embeddings are read, and no features."""
        return self.kind == "audio" and self.encoder == "yamnet"

    @model_validator(mode="after")
    def _has_layers(self) -> Self:
        keys_alone = self.kind == "score" and self.encoder == "keys" and not self.filters
        convolved = self.kind in ("audio", "score", "image") and not self.embedded
        if convolved and not keys_alone and min(self.filters, default=0) < 1:
            raise ValueError(
                f"filters: a modality of kind {self.kind} needs at least one convolution, each of 1 or more"
                " filters"
            )
        return self


class Join(Table):
    """How modalities become one vector (``nn/fusion.py``).

    One flat table: keys that the kind does not use may be left out.
    """

    kind: Annotated[str, FileIn("audiomtl.families.fusion.joins")] = Field(
        description="How modalities become one vector."
    )
    size: Count = used_when(
        {"kind": ("average", "weighted", "gated", "bilinear", "late", "film", "cross_attention", "aligned")},
        description="Size of the modalities' projections; for cross_attention a multiple of heads.",
    )
    learn_weights: bool = used_when(
        {"kind": "weighted"}, description="Whether the weights of the modalities are learned."
    )
    rank: Count = used_when({"kind": "bilinear"}, description="Rank of the bilinear form.")
    heads: Count = used_when({"kind": "cross_attention"}, description="Number of attention heads.")
    by: str = used_when(
        {"kind": ("film", "aligned", "likelihood")},
        description=(
            "Modality that modulates the others (film), to whose steps they are brought (aligned), or of"
            " whose sound their probability is computed (likelihood)."
        ),
    )
    evidence_weight: NotNegative = used_when(
        {"kind": "likelihood"},
        description=(
            "Weight of the recognisers' loss beside that of the class; 0 trains them by the class alone."
        ),
    )
    kernel: Count = used_when(
        {"kind": "aligned"}, description="Number of steps that the comparison sees at once."
    )
    hidden: Integers = used_when(
        {"kind": BEFORE_LAYERS},
        description="Units of each dense layer between the join and the classes; [] has none.",
    )
    dropout: Share = used_when(
        {"kind": BEFORE_LAYERS},
        description="Dropout rate after the join and after each of these layers, in [0, 1).",
    )
    leave_out: Strings = Field(description="Modalities that are left out altogether.")

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.kind == "cross_attention" and self.size % self.heads:
            raise ValueError(
                f"size must be a multiple of heads, but got size={self.size}, heads={self.heads}"
            )
        return self


class Settings(WeightedExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    features: Features = Field(description="Features of the sound.")
    augmentation: Clips = Field(None, description="Random changes of train clips; left out for none.")
    modalities: dict[str, Modality] = Field(description="Inputs of a clip and their encoders, by name.")
    join: Join = Field(description="How the inputs are joined.")
    modality_dropout: Share = Field(
        description=(
            "Probability that a modality of a clip is withheld in training, in [0, 1); never all of a clip."
        )
    )
    optimizer: Optimizer = Field(description="How it is optimized.")
    training: Training = Field(description="How long it is trained.")

    @property
    def used(self) -> dict[str, Modality]:
        """Modalities that are not left out, by name."""
        return {
            name: modality
            for name, modality in sorted(self.modalities.items())
            if name not in self.join.leave_out
        }

    @model_validator(mode="after")
    def _augmentation_fits(self) -> Self:
        check_bands(self.augmentation, self.features)
        for name, modality in self.used.items():
            if modality.embedded:
                check_stored(self.augmentation, f'modalities.{name}.encoder = "yamnet"')
        timed = sorted(name for name, modality in self.used.items() if modality.kind == "score")
        for augmentation in ("speed", "time_roll"):
            if timed and getattr(self.augmentation, augmentation, None) is not None:
                raise ValueError(
                    f"augmentation.{augmentation}: moves the sound, but not modalities.{timed[0]} (kind"
                    " score) beside it; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _modalities_make_sense(self) -> Self:
        for name, modality in self.modalities.items():
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"modalities.{name}: a modality name may contain only lower-case letters and digits,"
                    " because it is part of score names"
                )
            if modality.encoder == "keys" and (
                modality.kind == "text"
                or (modality.kind == "audio" and (self.features.kind != "log_mel" or self.features.also))
            ):
                remedy = (
                    'encoder = "lstm", "embedding" or "one_hot"'
                    if modality.kind == "text"
                    else 'features.kind = "log_mel" and no features.also'
                )
                raise ValueError(
                    f'modalities.{name}.encoder = "keys": a modality of kind {modality.kind} has no keys'
                    f" here; set {remedy}"
                )
            if modality.encoder == "yamnet" and modality.kind in ("text", "score"):
                remedy = "lstm" if modality.kind == "text" else "keys"
                raise ValueError(
                    f'modalities.{name}.encoder = "yamnet" reads sound, but the modality is of kind'
                    f' {modality.kind}; set encoder = "{remedy}"'
                )
            if modality.column == self.data.label:
                raise ValueError(
                    f'modalities.{name}.column = "{modality.column}" is data.label: the target would'
                    " be among the inputs (leakage); name another column"
                )
        for setting, wanted in (
            ("leave_out", list(self.join.leave_out)),
            ("by", [self.join.by] if self._needs_by else []),
        ):
            if unknown := [name for name in wanted if name not in self.modalities]:
                raise ValueError(
                    f'join.{setting}: no modality "{unknown[0]}"; there are'
                    f" {', '.join(sorted(self.modalities))}"
                )
        if self.join.kind == "likelihood":
            self._check_likelihood()
        if not self.used:
            raise ValueError("join.leave_out: every modality is left out; leave at least one")
        self._check_rates()
        if self.protocol.leaky:
            raise ValueError(
                "protocol.leaky splits by window, but this family uses whole clips only: set it to false"
            )
        return self

    def _check_rates(self) -> None:
        """A recording is read once, at one rate, for YAMNet and for features."""
        sounds = {name: modality for name, modality in self.used.items() if modality.kind == "audio"}
        embedded = {one.column: name for name, one in sounds.items() if one.embedded}
        for name, one in sounds.items():
            if not one.embedded and one.column in embedded and self.features.sample_rate != YAMNET_RATE:
                raise ValueError(
                    f"features.sample_rate = {self.features.sample_rate}: modalities.{name} and"
                    f' modalities.{embedded[one.column]} (encoder = "yamnet") read the same recording,'
                    f" column {one.column}; set it to {YAMNET_RATE}"
                )

    def _check_likelihood(self) -> None:
        """Its recognisers are of a sound; a text is told apart by tokens, a score by keys."""
        sound = self.modalities[self.join.by]
        if sound.kind != "audio":
            raise ValueError(
                f'join.by = "{self.join.by}": join.kind = "likelihood" needs a modality of kind audio, but it'
                f" is of kind {sound.kind}"
            )
        if sound.embedded:
            raise ValueError(
                f'modalities.{self.join.by}.encoder = "yamnet": join.kind = "likelihood" recognises tokens'
                ' and keys in frames, not in patches of 0.975 s; set encoder = "keys"'
            )
        for name, one in self.modalities.items():
            wanted = {"text": "one_hot", "score": "keys"}.get(one.kind)
            if name != self.join.by and (wanted is None or one.encoder != wanted):
                needs = f'encoder = "{wanted}"' if wanted else "kind text or score"
                raise ValueError(f'modalities.{name}: join.kind = "likelihood" needs {needs} here')
            if one.kind == "score" and (
                sound.encoder != "keys" or one.pool ** len(one.filters) != sound.pool ** len(sound.filters)
            ):
                raise ValueError(
                    f'modalities.{name}: join.kind = "likelihood" compares keys step by step: modalities'
                    f'.{self.join.by} needs encoder = "keys" and as many convolutions with the same pool'
                )

    @property
    def _needs_by(self) -> bool:
        return self.join.kind in ("film", "aligned", "likelihood")


LOSS_PATHS = ("class_weights", "item_weight")  # settings that change what the loss means
# what is recorded and reported; the first decides
SCORES = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
}
# further columns of the tables of ablations: what is left of the score when modalities are absent
BESIDE = ("accuracy_from_*",)
