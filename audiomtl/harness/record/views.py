"""Saved views of MLflow's page of an experiment: which runs, which columns, which charts.

MLflow keeps a view in a tag of the experiment, ``mlflow.sharedViewState.KEY``; its page opens at the view
that its address names. The keys of the state are those of MLflow 3.17. Contents: `save_study`,
`save_experiment`, `of_study`, `of_experiment`, `save`, `kept`, `address`, `place`, `of_run`.
"""

import base64
import json
import time
import urllib.parse
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile, StudyFile
from audiomtl.harness.record.store import Tracking
from audiomtl.names import safe_name
from audiomtl.redaction import without_credentials

TAG = "mlflow.sharedViewState."
RUNS_VIEW = "best runs and ablations"  # title of the view of an experiment
NOTE = "mlflow.note.content"  # MLflow's page shows it as the experiment's description
OWN_SERVER = "http://127.0.0.1:5000"  # of `audiomtl ui`
LONGEST = 5000  # characters of an experiment tag that every store takes
MOST_SCATTER = 3  # settings that are drawn against the score
MOST_RUNS = 100  # in one chart: MLflow's page draws each
COMMON = {"runsCountToCompare": MOST_RUNS, "deleted": False, "isGenerated": False}
LINE = {
    "lineSmoothness": 0,
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "range": {},
    "useGlobalLineSmoothing": True,
    "useGlobalXaxisKey": True,
}


def save_study(tracking: Tracking, file: StudyFile, importance: Mapping[str, float] | None = None) -> str:
    """Keep the view of a study's trials; returns its key.

    Parameters
    ----------
    importance : of swept settings; the most important stands first.
    """
    weight = importance or {}
    swept = sorted(file.study.search, key=lambda path: -weight.get(path, 0.0))
    objectives = file.study.objectives
    epochs = file.study.prune_on or next(iter(objectives))
    conditional = any(one.when for one in file.study.search.values())
    state = of_study(file.name, objectives, swept, epochs, conditional=conditional)
    _describe(tracking, file.experiment)
    return save(tracking, file.experiment.name, f"study {file.name}", state)


def save_experiment(tracking: Tracking, file: ExperimentFile) -> str:
    """Keep the view of an experiment's best runs and ablations; returns its key."""
    score, direction = next(iter(config.scores(file.raw).items()))
    _describe(tracking, file)
    return save(tracking, file.name, RUNS_VIEW, of_experiment(score, direction))


def of_study(
    name: str, objectives: Mapping[str, str], swept: Sequence[str], epochs: str, *, conditional: bool = False
) -> dict[str, Any]:
    """Trials of a study: the best first, with what was swept.

    Charts are parallel coordinates of the swept settings, the objective over the epochs, and the objective
    against each of the first settings.

    Parameters
    ----------
    objectives : score -> "minimize" or "maximize"; the first one sorts.
    swept : setting paths, the most important first. epochs : the score that is drawn over the epochs.
    conditional : whether some settings are swept only where others have certain values: a column names those
        that a trial does not use.
    """
    first = next(iter(objectives))
    scores = [f"best/{score}" for score in objectives]
    charts = [
        _chart(
            "parallel",
            "PARALLEL",
            f"{first} by settings",
            selectedParams=list(swept),
            selectedMetrics=scores,
            showAllRuns=True,
        ),
        _chart(
            "line", "LINE", f"{epochs} over epochs", metricKey=epochs, selectedMetricKeys=[epochs], **LINE
        ),
        *(
            _chart(
                f"scatter{number}",
                "SCATTER",
                f"{first} against {path}",
                xaxis={"type": "PARAM", "key": path, "index": 0},
                yaxis={"type": "METRIC", "key": scores[0], "index": 0},
            )
            for number, path in enumerate(swept[:MOST_SCATTER])
        ),
    ]
    return _state(
        f"tags.study = '{name}' AND tags.kind = 'trial'",
        scores[0],
        objectives[first] == "minimize",
        [
            *map(_metric, (*scores, "epochs")),
            *(f"params.`{path}`" for path in swept),
            *(f"tags.`{name}`" for name in ["outcome", "ended", *["unused"] * conditional]),
        ],
        charts,
        f"study {name}",
    )


def of_experiment(score: str, direction: str) -> dict[str, Any]:
    """Best runs and ablations of an experiment, with the score on test and validation.

    Parameters
    ----------
    score : main score without a side. direction : "minimize" or "maximize".
    """
    test, validation = f"test/{score}", f"best/validation/{score}"
    charts = [
        _chart(name, "BAR", key, metricKey=key) for name, key in (("test", test), ("validation", validation))
    ]
    key = f"validation/{score}"
    charts.append(
        _chart("line", "LINE", f"{key} over epochs", metricKey=key, selectedMetricKeys=[key], **LINE)
    )
    return _state(
        "tags.kind != 'trial' AND tags.kind != 'study' AND tags.kind != 'member'",
        validation,
        direction == "minimize",
        [
            *map(_metric, (test, validation, "epochs")),
            "tags.`kind`",
            "tags.`ablation`",
            "params.`seed`",
            "tags.`outcome`",
            "tags.`ended`",
        ],
        charts,
        RUNS_VIEW,
    )


def save(tracking: Tracking, experiment: str, title: str, state: Mapping[str, Any]) -> str:
    """Keep a view under its title, in the place of an earlier one; returns its key.

    A view that is too long for a tag loses charts, then columns, from the end.
    """
    key, number = _key(title), tracking.experiment(experiment)
    parts = {name: list(state[name]) for name in ("compareRunCharts", "selectedColumns")}
    while len(packed := _packed({**state, **parts})) > LONGEST - 200 and any(parts.values()):
        (parts["compareRunCharts"] or parts["selectedColumns"]).pop()
    tags = tracking.client.get_experiment(number).tags
    if json.loads(tags.get(f"{TAG}{key}", "{}")).get("state") != packed:
        now = int(1000 * time.time())
        value = {"name": title, "createdAt": now, "updatedAt": now, "state": packed}
        tracking.client.set_experiment_tag(number, f"{TAG}{key}", json.dumps(value))
    return key


def kept(tracking: Tracking, experiment: str, title: str) -> str:
    """Key of the view of a title, or "" if the experiment has none."""
    tags = tracking.client.get_experiment(tracking.experiment(experiment)).tags
    return _key(title) if f"{TAG}{_key(title)}" in tags else ""


def address(server: str, experiment_id: str, key: str, *, charts: bool = True) -> str:
    """Where the view opens.

    Parameters
    ----------
    server : without a slash at its end. charts : its charts, else its table.
    """
    mode = "&compareRunsMode=CHART" if charts else ""
    return (
        f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning{mode}"
        f"&viewStateShareKey={urllib.parse.quote(key)}"
    )


def place(tracking: Tracking, experiment: str, key: str) -> str:
    """Address of a view: on its server, or where `audiomtl ui` has it for a store that is a file."""
    server, ready = _server(tracking)
    return f"{address(server, tracking.experiment(experiment), key)}{'' if ready else ' (after `make ui`)'}"


def of_run(tracking: Tracking, experiment: str, run_id: str) -> str:
    """Address of a run's page: on its server, or where `audiomtl ui` has it for a store that is a file."""
    server, _ = _server(tracking)
    return f"{server}/#/experiments/{tracking.experiment(experiment)}/runs/{run_id}"


def _server(tracking: Tracking) -> tuple[str, bool]:
    """Address of the server that shows the store, and whether it is the store's own, which always runs."""
    if tracking.uri.startswith(("http://", "https://")):
        return without_credentials(tracking.uri).rstrip("/"), True
    return OWN_SERVER, False


def _describe(tracking: Tracking, file: ExperimentFile) -> None:
    """The description of the experiment file, above its runs; one that somebody wrote there stays."""
    number = tracking.experiment(file.name)
    if NOTE not in tracking.client.get_experiment(number).tags:
        text = f"{file.raw.get('description', '')}\n\nRuns of `{file.path.name}`."
        tracking.client.set_experiment_tag(number, NOTE, text.strip())


def _key(title: str) -> str:
    return safe_name(title.replace(" ", "_"))


def _metric(key: str) -> str:
    return f"metrics.`{key}`"


def _chart(name: str, kind: str, title: str, **rest: Any) -> dict[str, Any]:
    return {
        "uuid": name,
        "type": kind,
        **COMMON,
        "metricSectionId": "section",
        "displayName": title,
        **rest,
    }


def _state(
    runs: str, order: str, ascending: bool, columns: Sequence[str], charts: Sequence[Any], section: str
) -> dict[str, Any]:
    return {
        "searchFilter": runs,
        "orderByKey": _metric(order),
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOWALL",
        "selectedColumns": list(columns),
        "compareRunCharts": list(charts),
        "compareRunSections": [
            {
                "uuid": "section",
                "name": section,
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
        ],
        "isAccordionReordered": True,  # without it MLflow makes the sections anew and loses the charts
        "viewMaximized": False,
        "runListHidden": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _packed(state: Mapping[str, Any]) -> str:
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
