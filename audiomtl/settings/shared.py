"""Settings that families share: the data, the features, the optimizer, the training and its limits.

Conventions: every table is frozen, forbids unknown keys, converts nothing ("1" is no number) and has **no default values**,
so that a file is the whole record. Units stand in the names: ``_seconds``, ``_hz``, ``_db``. A count of samples or frames says so.

Contents: `Table`, the data tables (`GermanSpeech`, `EmoDB`), `Features`, `Optimizer`, `Training`, `Limits`, `Experiment`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from audiomtl.settings.named import FileIn

Strings = Annotated[tuple[str, ...], Strict(False)]
Integers = Annotated[tuple[int, ...], Strict(False)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

Scaling = Annotated[str, FileIn("audiomtl.data.scaling")]


class Table(BaseModel):
    """One table of a settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Grouped(Table):
    """How clips are split: by whole values of every group column, so that no value stands on two sides.

    The values of group ``i``, sorted, are turned by ``(seed % rotations) * test_values[i]``; the first ``test_values[i]`` then
    go to test, the next ``validation_values[i]`` to validation, the rest to train. A clip whose groups disagree on the side
    ("off the diagonal") is dropped and counted.
    """

    groups: Strings
    test_values: Integers
    validation_values: Integers
    rotations: Count  # 1: every seed has the same split

    @model_validator(mode="after")
    def _one_number_per_group(self) -> Self:
        for name in ("test_values", "validation_values"):
            values = getattr(self, name)
            if len(values) != len(self.groups) or min(values, default=0) < 1:
                raise ValueError(f"{name} needs one number >= 1 for each of groups = {list(self.groups)}, but got {list(values)}")
        return self


class GermanSpeech(Grouped):
    """The corpus of synthetic German sentences (``data/corpora/german_speech.py``)."""

    dataset: Literal["german_speech"]
    corpus_seed: int
    speakers: Annotated[int, Field(ge=2)]
    sentences: Count
    clips: Count  # sampled (speaker, sentence) pairs
    own_words_share: Annotated[float, Field(ge=0, le=1)]  # share of a sentence's content words that only its block of sentences uses
    blocks: Count  # sentences are made in this many blocks, each with words of its own
    signal_to_noise_db: float  # mean over clips
    reverberation_seconds: NotNegative  # longest RT60 of the simulated rooms; 0 is dry


class EmoDB(Grouped):
    """The Berlin database of emotional speech, hand-labelled phones (``data/datasets/emodb.py``)."""

    dataset: Literal["emodb"]


Data = Annotated[GermanSpeech | EmoDB, Field(discriminator="dataset")]


class Features(Table):
    """What is computed from a waveform, frame by frame; ``scaling`` is applied to the stored frames, later."""

    kind: Literal["log_stft", "log_mel", "mfcc"]
    sample_rate: Count  # Hz
    window_seconds: Positive  # Hann window
    hop_seconds: Positive
    n_fft: Count  # samples, at least the window
    bands: Count  # mel bands (log_mel, mfcc); log_stft has n_fft / 2 + 1
    coefficients: Count  # kept cepstral coefficients (mfcc)
    low_hz: NotNegative  # mel range
    high_hz: Positive
    floor_db: float  # power below this many dB re 1.0 is raised to it
    scaling: Scaling

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.window_samples > self.n_fft:
            raise ValueError(
                f"window_seconds <= n_fft / sample_rate must hold, but got window_seconds={self.window_seconds}, n_fft={self.n_fft}"
            )
        if self.hop_samples < 1:
            raise ValueError(f"hop_seconds must be at least one sample, but got {self.hop_seconds}")
        if not self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ValueError(f"low_hz < high_hz <= sample_rate / 2 must hold, but got low_hz={self.low_hz}, high_hz={self.high_hz}")
        if self.kind == "mfcc" and self.coefficients > self.bands:
            raise ValueError(f"coefficients <= bands must hold, but got coefficients={self.coefficients}, bands={self.bands}")
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
    def n_bands(self) -> int:
        """Columns of the feature matrix."""
        return {"log_stft": self.n_fft // 2 + 1, "log_mel": self.bands, "mfcc": self.coefficients}[self.kind]


class Optimizer(Table):
    """One flat table: keys that the named optimizer does not use are allowed and have no effect."""

    name: Literal["sgd", "adam", "adamw", "rmsprop"]
    learning_rate: Positive
    momentum: Share  # sgd, rmsprop
    nesterov: bool  # sgd
    weight_decay: NotNegative  # adamw
    decay: NotNegative  # learning_rate / (1 + decay * steps), as in Keras 1 and 2
    clipnorm: NotNegative  # largest norm of one variable's gradient; 0 turns clipping off
    global_clipnorm: NotNegative  # largest norm of the whole gradient; 0 turns clipping off
    schedule: Literal["constant", "cosine", "plateau"]
    plateau_factor: Annotated[float, Field(gt=0, lt=1)]  # plateau: multiply the rate by this
    plateau_patience: Count  # plateau: after so many epochs without a better training.monitor

    @model_validator(mode="after")
    def _one_clipping(self) -> Self:
        if self.clipnorm and self.global_clipnorm:
            raise ValueError(f"only one of clipnorm and global_clipnorm may be above 0, but got {self.clipnorm} and {self.global_clipnorm}")
        return self


class Training(Table):
    epochs: Count
    batch_size: Count
    monitor: str  # the score that names the best epoch, whose weights are kept
    monitor_direction: Literal["minimize", "maximize"]
    patience: Annotated[int, Field(ge=0)]  # epochs without a better monitor before the training ends; 0: never

    @model_validator(mode="after")
    def _monitor_is_validation(self) -> Self:
        if not self.monitor.startswith("validation/"):
            raise ValueError(f'monitor must be a validation score such as "validation/loss", but got "{self.monitor}"')
        return self


class Limits(Table):
    """What one training may take before it is ended; no part of what is trained."""

    seconds: Positive
    memory_megabytes: Count


class Experiment(Table):
    """Keys at the top of every experiment file."""

    model: str
    description: str
    seeds: Annotated[tuple[int, ...], Strict(False), Field(min_length=1)]  # report on these
    study_seed: int  # choose on this one
    limits: Limits

    @model_validator(mode="after")
    def _choose_and_report_apart(self) -> Self:
        if self.study_seed in self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                f"study_seed must be none of seeds, and seeds must differ, but got study_seed={self.study_seed}, seeds={list(self.seeds)}"
            )
        return self
