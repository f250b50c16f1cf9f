"""The page beside an exported model: what it is, how it is used, its scores, data, licence and settings.

Contents: `page`, `trained`, `of_average`.
"""

import string
from importlib import resources
from pathlib import Path
from typing import Any

from audiomtl import __version__
from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment, refit, replicates
from audiomtl.harness.record import runs as recorded
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import group_intervals, tables
from audiomtl.harness.report.blocks import Table, joined
from audiomtl.harness.use.models import Loaded
from audiomtl.redaction import redact
from audiomtl.settings.toml import as_toml

SAVED_MODEL = """\
The SavedModel and TFLite files read one mono waveform (n_samples,), float32 in [-1, 1], at **{rate} Hz**.
Nothing resamples: the signature `checked` takes the rate as well and refuses any other, and `describe`
returns rate, names and the profile of the features.

```python
import tensorflow as tf

model = tf.saved_model.load("{folder}/saved_model")
answers = model.signatures["serving_default"](waveform=waveform)
```

TensorFlow Serving (the waveform has no batch axis, so the request has `inputs`, not `instances`):

```
POST /v1/models/{name}:predict
{{"signature_name": "serving_default", "inputs": {{"waveform": [0.0, 0.1, ...]}}}}
```

TFLite has builtin operations only; resize its input to the number of samples. Its outputs stand in the
alphabetical order of their names (`Identity`, `Identity_1` ...):

```python
interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [len(waveform)])
```

{interface}"""
MLFLOW = """\
In MLflow it is registered as `{name}`, version {version}, with the alias `champion`. In the folder of the
project, with its environment activated:

```
export MLFLOW_TRACKING_URI={tracking} MLFLOW_DISABLE_TELEMETRY=true
mlflow models serve -m models:/{name}@champion --env-manager local -p 8080
POST /invocations    {request}
```

{inputs}
"""


def page(
    file: ExperimentFile,
    loaded: Loaded,
    folder: Path,
    *,
    version: str,
    licence: str,
    files: dict[str, str],
    interface: str,
    checks: tuple[str, ...],
    scored: str = "",
) -> str:
    """The page as Markdown.

    Parameters
    ----------
    version : in MLflow's registry; "" if it is not there. files : what each file is, by name.
    interface : of SavedModel and TFLite, "" without them. checks : of the files, a line each.
    scored : of an average: `of_average`.
    """
    assert loaded.run is not None
    rate = loaded.sample_rate
    request, inputs = _request(loaded)
    about = {
        "name": file.name,
        "family": loaded.settings.model,
        "version": __version__,
        "trained": trained(loaded),
        "description": file.settings.description,
        "folder": folder.name,
        "gives": "\n".join(f"- `{name}`: {kind}" for name, kind in loaded.gives.items())
        + (f"\n\nIt reads sound at {rate} Hz; other rates are resampled." if rate else ""),
        "mlflow": MLFLOW.format(
            name=file.name, version=version, request=request, inputs=inputs, tracking=_tracking()
        )
        if version
        else "",
        "files": "\n".join(f"- `{name}`: {what}" for name, what in files.items()),
        "interface": SAVED_MODEL.format(rate=rate, folder=folder.name, name=file.name, interface=interface)
        if interface
        else "",
        "checks": "".join(f"- {line}\n" for line in checks),
        "which": _which(file, loaded, scored),
        "scores": _scores(file),
        "dataset": loaded.settings.data.dataset,
        "data": loaded.run.data.tags.get("data", "unknown"),
        "licence": licence or "not stated",
        "settings": as_toml(_settings(loaded), int(loaded.run.data.tags["seed"])).strip(),
    }
    text = (resources.files("audiomtl") / "templates" / "export.md").read_text(encoding="utf-8")
    return string.Template(text).substitute(about)


def trained(loaded: Loaded) -> str:
    """Seed and run, or those of all models of an average, in words."""
    if loaded.runs:
        each = ", ".join(f"{run.data.tags['seed']} (run {run.info.run_id})" for run in loaded.runs)
        kind = "refits" if loaded.runs[0].data.tags.get("kind") == refit.KIND else "best runs"
        return f"the mean of the class probabilities of {len(loaded.runs)} {kind}: seeds {each}"
    assert loaded.run is not None
    return f"seed {loaded.run.data.tags['seed']}, run {loaded.run.info.run_id}"


def _which(file: ExperimentFile, loaded: Loaded, scored: str) -> str:
    """Whose scores the table shows."""
    seeds = ", ".join(map(str, file.settings.seeds))
    over = f"Mean and 95 % interval over the best runs of the experiment (seeds {seeds})"
    if loaded.runs:
        return f"{over}, each scored alone. {scored}"
    assert loaded.run is not None
    return (
        f"{over}. This model is that of seed {loaded.run.data.tags['seed']}; by default the one with the best"
        f" `validation/{experiment.main_score(file)}` is exported."
    )


def of_average(loaded: Loaded) -> str:
    """What is known of an average's score on test clips: nothing; and on which clips it could be scored."""
    tables = group_intervals.predictions(Tracking(), loaded.runs)
    told = "The average has no test score: every recorded score is that of a single seed."
    remedy = "Score it with `audiomtl evaluate` on clips that no seed was trained on."
    sides = [frozenset(table["clip_id"]) for table in tables]
    if not sides:
        return f"{told} {remedy}"
    every, shared = frozenset.union(*sides), frozenset.intersection(*sides)
    if every == shared:
        return f"{told} All seeds have the same {len(every)} test clips, which none was trained on. {remedy}"
    return (
        f"{told} {len(every) - len(shared)} of the {len(every)} test clips are in the test split of some"
        " seeds only: other seeds were trained or validated on them, so a score of the average on the"
        f" experiment's own clips would be too good. {remedy}"
    )


def _request(loaded: Loaded) -> tuple[str, str]:
    """The body of a request to MLflow's server, and what it means."""
    rate, columns = loaded.sample_rate, loaded.use.columns(loaded.settings)
    if columns:
        row = ", ".join(f'"{name}": ...' for name in [*(["path"] if rate else []), *columns])
        return f'{{"dataframe_records": [{{{row}}}]}}', "Paths are those on the machine of the server."
    return (
        '{"inputs": [0.0, 0.1, ...]}',
        f"`inputs` are the samples of one mono waveform in [-1, 1] at {rate} Hz; divide 16-bit integers by"
        " 32768.",
    )


def _tracking() -> str:
    """The address of the store, relative to the project where it is a file in it; without password."""
    return redact(Tracking().uri).replace(f"sqlite:///{Path.cwd()}/", "sqlite:///")


def _settings(loaded: Loaded) -> dict[str, Any]:
    """As trained, which the file may have changed since."""
    return loaded.settings.model_dump(mode="json", exclude_none=True)


def _scores(file: ExperimentFile) -> str:
    """A table of the scores of the best runs."""
    tracking = Tracking()
    best = recorded.choose(file, tracking.runs(file.name))
    assert best is not None
    predicted = group_intervals.predictions(tracking, list(best.runs.values()))
    folds = replicates.of_predictions(file.settings, list(best.runs), predicted)
    rows = [
        [name, *tables.over_folds(name, values, folds)[:2]]
        for name, values in tables.scores(file, best).items()
    ]
    parts: list[object] = [Table(["score", "mean", "95 % interval"], rows), replicates.told(folds)]
    if headline := group_intervals.headline(file, predicted, list((folds or {}).values())):
        parts = [tables.for_new_groups(headline.scores), headline.text, *parts]
    return joined(parts)
