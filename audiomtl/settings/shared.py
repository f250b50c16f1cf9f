"""Settings that families share: the features, the optimizer, the training and its limits.

Contents: `Features`, `GroupFeatures`, `Optimizer`, `Training`, `Limits`, `Experiment`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.named import FileIn
from audiomtl.settings.table import Count, NotNegative, Positive, Share, Table, used_when

Scaling = Annotated[str, FileIn("audiomtl.data.scaling")]
Column = Literal["deltas", "pitch", "voicing", "level", "centroid", "flatness", "zero_crossings"]


class Features(Table):
    """What is computed from a waveform, frame by frame; ``scaling`` is applied to the stored frames,
    later.
    """

    kind: Literal["log_stft", "log_mel", "constant_q", "mfcc"] = Field(
        description=(
            "Representation of the sound: log power spectrum (log_stft), log mel bands (log_mel), log bands"
            " of equal width in semitones (constant_q), or cepstral coefficients (mfcc)."
        )
    )
    sample_rate: Count = Field(description="Sample rate in Hz; recordings of other rates are resampled.")
    window_seconds: Positive = Field(
        description="Length of the Hann window, in seconds; at most n_fft / sample_rate."
    )
    hop_seconds: Positive = Field(
        description="Distance between the centres of neighbouring frames, in seconds."
    )
    n_fft: Count = Field(
        description="Length of the Fourier transform, in samples; log_stft has n_fft / 2 + 1 bands."
    )
    bands: Count = used_when(
        {"kind": ("log_mel", "constant_q", "mfcc")}, description="Number of mel, or constant-Q, bands."
    )
    coefficients: Count = used_when(
        {"kind": "mfcc"}, description="Number of cepstral coefficients to keep, at most bands."
    )
    low_hz: NotNegative = used_when(
        {"kind": ("log_mel", "constant_q", "mfcc")},
        description="Lower edge of the lowest band, in Hz; above 0 for constant_q.",
    )
    high_hz: Positive = used_when(
        {"kind": ("log_mel", "constant_q", "mfcc")},
        description="Upper edge of the highest band, in Hz; at most half the sample rate.",
    )
    floor_db: float = Field(
        description="Smallest power, in dB relative to 1.0; smaller values are raised to it."
    )
    scaling: Scaling = Field(
        description=(
            "How features are scaled: not at all, per clip (minmax to [-1, 1], minmax_01, standard_clip,"
            " per_band_clip), or with statistics of the train split."
        )
    )

    also: Annotated[tuple[Column, ...], Strict(False)] = Field(
        default=(),
        description=(
            "Further columns of each frame: slopes of the bands (deltas), pitch, voicing, level, centroid,"
            " flatness, zero_crossings. Default []."
        ),
    )

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if len(set(self.also)) != len(self.also):
            raise ValueError(f"also must name each column once, but got {list(self.also)}")
        return self

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.window_samples > self.n_fft:
            raise ValueError(
                "window_seconds <= n_fft / sample_rate must hold, but got"
                f" window_seconds={self.window_seconds}, n_fft={self.n_fft}"
            )
        if self.hop_samples < 1:
            raise ValueError(f"hop_seconds must be at least one sample, but got {self.hop_seconds}")
        if self.kind != "log_stft" and not self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ValueError(
                f"low_hz < high_hz <= sample_rate / 2 must hold, but got low_hz={self.low_hz},"
                f" high_hz={self.high_hz}"
            )
        if self.kind == "constant_q" and not self.low_hz:
            raise ValueError("low_hz must be above 0 with kind = constant_q, but got 0: octaves have no end")
        if self.kind == "mfcc" and self.coefficients > self.bands:
            raise ValueError(
                f"coefficients <= bands must hold, but got coefficients={self.coefficients},"
                f" bands={self.bands}"
            )
        return self

    @property
    def window_samples(self) -> int:
        return round(self.window_seconds * self.sample_rate)

    @property
    def hop_samples(self) -> int:
        return round(self.hop_seconds * self.sample_rate)

    @property
    def seconds_per_frame(self) -> float:
        """From one frame's centre to the next."""
        return self.hop_samples / self.sample_rate

    @property
    def frames_per_second(self) -> float:
        return self.sample_rate / self.hop_samples

    def seconds(self, frames: Any) -> Any:
        """Frames, a number or an array, as seconds."""
        return frames * self.hop_samples / self.sample_rate

    def frames(self, seconds: Any) -> Any:
        """Seconds, a number or an array, as frames, not rounded."""
        return seconds * self.sample_rate / self.hop_samples

    @property
    def bands_of_kind(self) -> int:
        """Columns of the feature matrix without those that ``also`` adds behind them."""
        if self.kind == "log_stft":
            return self.n_fft // 2 + 1
        return self.coefficients if self.kind == "mfcc" else self.bands

    @property
    def n_bands(self) -> int:
        """Columns of the feature matrix."""
        own = self.bands_of_kind
        return own + sum(own if name == "deltas" else 1 for name in self.also)


class GroupFeatures(Features):
    """Features of families that can normalise them over all clips of a speaker, or of another group."""

    normalize_by: str = Field(
        "",
        description=(
            "Column of the clip table, such as speaker: each feature is standardized over all clips that"
            ' share its value; no labels are used. "" does not. Default "".'
        ),
    )


class Optimizer(Table):
    """One flat table: keys that the named optimizer does not use may be left out."""

    name: Literal["sgd", "adam", "adamw", "rmsprop"] = Field(description="Optimizer, as in Keras.")
    learning_rate: Positive = Field(description="Learning rate at the start, above 0.")
    momentum: Share = used_when({"name": ("sgd", "rmsprop")}, description="Momentum, in [0, 1).")
    nesterov: bool = used_when({"name": "sgd"}, description="Whether the momentum is Nesterov's.")
    weight_decay: NotNegative = used_when(
        {"name": "adamw"}, description="Decoupled weight decay, at least 0."
    )
    decay: NotNegative = Field(
        description="Decay of the learning rate per step: learning_rate / (1 + decay * step); 0 turns it off."
    )
    clipnorm: NotNegative = Field(
        description="Largest norm of the gradient of a single variable; 0 turns clipping off."
    )
    global_clipnorm: NotNegative = Field(
        description="Largest norm of the whole gradient; 0 turns clipping off. Excludes clipnorm."
    )
    schedule: Literal["constant", "cosine", "plateau"] = Field(
        description=(
            "Learning rate over the epochs: constant, falling along a cosine, or reduced when the monitored"
            " score stops improving."
        )
    )
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = used_when(
        {"schedule": "plateau"},
        description="Factor by which the learning rate is multiplied on a plateau, in (0, 1).",
    )
    plateau_patience: Count = used_when(
        {"schedule": "plateau"},
        description="Epochs without a better monitored score before the learning rate is reduced.",
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        0,
        description=(
            "Steps at the start over which the learning rate of any schedule rises linearly; 0 turns the"
            " warm-up off. Default 0."
        ),
    )

    @model_validator(mode="after")
    def _one_clipping(self) -> Self:
        if self.clipnorm and self.global_clipnorm:
            raise ValueError(
                f"only one of clipnorm and global_clipnorm may be above 0, but got {self.clipnorm} and"
                f" {self.global_clipnorm}"
            )
        return self


class Training(Table):
    epochs: Count = Field(description="Number of passes over the train split.")
    batch_size: Count = Field(description="Clips per optimizer step.")
    monitor: str = Field(
        description=(
            'Validation score that determines the best epoch, whose weights are kept, e.g. "validation/loss".'
        )
    )
    monitor_direction: Literal["minimize", "maximize"] = Field(
        description="Whether the monitored score is to be minimized or maximized."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        description=(
            "Epochs without a better monitored score before the training stops early; 0 turns early stopping"
            " off."
        )
    )

    keep: Literal["best", "last"] = Field(
        "best",
        description=(
            "Epoch whose weights are kept: the best one by the monitored score, or the last one. Default"
            ' "best".'
        ),
    )
    average_decay: Share = Field(
        0.0,
        description=(
            "Decay per step, such as 0.99, of an exponential moving average of the weights, which is scored"
            " and kept in the place of the weights of the last step; 0 turns it off. Default 0."
        ),
    )

    @model_validator(mode="after")
    def _last_is_reached(self) -> Self:
        if self.keep == "last" and self.patience:
            raise ValueError(
                f'patience must be 0 with keep = "last", or the last epoch is not reached, but got'
                f" {self.patience}"
            )
        return self

    @model_validator(mode="after")
    def _monitor_is_validation(self) -> Self:
        if not self.monitor.startswith("validation/"):
            raise ValueError(
                f'monitor must be a validation score such as "validation/loss", but got "{self.monitor}"'
            )
        return self


class Limits(Table):
    """Limits after which one training is stopped; they do not affect what is trained."""

    seconds: Positive = Field(
        description=(
            "Longest duration of one training, in seconds; a longer one is stopped and counts as failed."
        )
    )
    memory_megabytes: Count = Field(
        description=(
            "Largest memory of one training, in megabytes; a larger one is stopped and counts as failed."
        )
    )
    retries: Annotated[int, Field(ge=0)] = Field(
        2,
        description=(
            "How often a training that the machine ended (a kill, a full disk) starts again from its"
            " checkpoint. Default 2."
        ),
    )


class Refit(Table):
    """What ``audiomtl best NAME --refit`` trains on."""

    train_on: Literal["train_and_validation", "all"] = Field(
        "train_and_validation",
        description=(
            "Splits that the refit is trained on; a model that is trained on all has no test score. Default"
            ' "train_and_validation".'
        ),
    )
    epochs: Annotated[int, Field(ge=0)] = Field(
        0,
        description=(
            "Epochs of the refit; 0 takes those of the settings where they keep the last epoch, else the"
            " median of the recorded best epochs. Default 0."
        ),
    )


class Experiment(Table):
    """Keys at the top of every experiment file."""

    model: str = Field(
        description=(
            "Family: a folder of audiomtl/families, or with a dot in its name a package outside the project."
        )
    )
    description: str = Field(description="One sentence about the experiment.")
    seeds: Annotated[tuple[int, ...], Strict(False), Field(min_length=1)] = Field(
        description="Seeds of the trainings whose scores are reported; all different."
    )
    study_seed: int = Field(description="Seed of the trainings that choose settings; must not be in seeds.")
    limits: Limits = Field(description="Limits of one training.")
    refit: Refit | None = Field(
        None, description="What best --refit trains on; left out for train and validation."
    )

    @model_validator(mode="after")
    def _choose_and_report_apart(self) -> Self:
        if self.study_seed in self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                "study_seed must not be in seeds, and seeds must differ, but got"
                f" study_seed={self.study_seed}, seeds={list(self.seeds)}"
            )
        return self
