"""Arguments, options and help text shared by subcommands. Imports nothing heavy."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from audiomtl import system

EPILOG = """\b
Workflow, where NAME is a file in experiments/ or studies/:
  audiomtl new NAME --data T   create an experiment for your own table
  audiomtl check               validate all files (--settings lists settings)
  audiomtl study NAME          sweep the settings
  audiomtl status NAME         show workers and trials of a study
  audiomtl promote NAME        write the best trial into the experiment
  audiomtl best NAME --record  train on every seed, record the scores
  audiomtl best NAME --again   train again and compare the scores
  audiomtl verify NAME         rebuild recorded numbers from their record
  audiomtl ablations NAME      measure the effect of single settings
  audiomtl report              write tables and figures
  audiomtl ablations NAME --curve   plot score against training set size
  audiomtl export NAME OUT     export the best run for serving
  audiomtl predict NAME FILE   predict what a model says of audio files
  audiomtl transcribe NAME F   transcribe audio files to phones
  audiomtl align NAME FILE T   align the text T with a recording
  audiomtl evaluate NAME DATA  score a model on other labelled data
  audiomtl clean               show what can be removed from the disk

\b
Environment: AUDIOMTL_DATA  folder of published data sets (default data)
             AUDIOMTL_CACHE folder of generated corpora and features (cache)
             AUDIOMTL_RUNS  folder of recorded runs (default runs)"""


def files_in(folder: str) -> Callable[[str], list[str]]:
    """For shell completion: names of the settings files of a folder, without ``.toml``."""
    return lambda incomplete: sorted(
        path.stem for path in Path(folder).glob("*.toml") if path.stem.startswith(incomplete)
    )


EXPERIMENTS, STUDIES = files_in("experiments"), files_in("studies")
StudyName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A file in studies/, without .toml.", autocompletion=STUDIES),
]
ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A file in experiments/, without .toml; or a path that ends in .toml.",
        autocompletion=EXPERIMENTS,
    ),
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=(
            "A file in experiments/, without .toml, whose best run is used; the folder of a saved model; or"
            " models:/NAME@champion in MLflow."
        ),
        autocompletion=EXPERIMENTS,
    ),
]
ExperimentNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Files in experiments/, without .toml. Default: all.",
        autocompletion=EXPERIMENTS,
    ),
]
Slots = Annotated[
    int,
    typer.Option(
        "--slots",
        metavar="N",
        min=1,
        help="Number of trainings run in parallel. With 1, repeated studies are bit-identical.",
    ),
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take over trainings of workers that have ended without waiting until their leases expire.",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="TensorFlow threads per training; a different number may change the last bits.",
    ),
]
Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Optuna storage. Default: AUDIOMTL_STORAGE, otherwise runs/optuna.db.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Use the best run with this seed. Default: the one with the best validation score.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Train again even where a finished run has the same settings, seed, data and code."
    ),
]
Where = Annotated[
    Literal["local", "slurm"] | None,
    typer.Option(
        "--executor",
        help="Run the command in several worker processes: on this machine, or as jobs of a SLURM cluster.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Number of workers.")]
Minutes = Annotated[
    int,
    typer.Option(
        "--time",
        metavar="MINUTES",
        min=1,
        help="SLURM: time limit of a job. A job that reaches it is queued again and resumes.",
    ),
]
Partition = Annotated[
    str, typer.Option("--partition", metavar="NAME", help="SLURM: partition. Default: the cluster's.")
]
SlurmOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm",
        metavar="KEY=VALUE",
        help="SLURM: any other option of sbatch, such as mem=16G or gres=gpu:1. May be repeated.",
    ),
]
DEFAULT_MINUTES = 240
SoundFile = Annotated[
    Path,
    typer.Argument(metavar="AUDIO", help="An audio file of any format, sample rate and number of channels."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Core = Annotated[bool, typer.Option("--core", help="Run only the ablations marked `core = true`.")]
CORES = system.cores()
DEFAULT_SLOTS = min(8, CORES)
