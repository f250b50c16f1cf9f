"""Saved views of MLflow's pages: what they hold, that they fit, and what a browser shows."""

import base64
import hashlib
import json
import zlib
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness.record import views
from tests.harness.report.conftest import Store, empty, store  # noqa: F401  (fixtures)


def held(tracking: Any, experiment: str, key: str) -> dict[str, Any]:
    tags = tracking.client.get_experiment_by_name(experiment).tags
    kind, _, packed = json.loads(tags[views.TAG + key])["state"].partition(";")
    assert kind == "deflate"
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_the_view_of_a_study_has_score_settings_and_charts(store: Store) -> None:  # noqa: F811
    file = config.load_study("tiny")
    swept, metric = list(file.study.search), file.study.metric
    key = views.save_study(store.tracking, file, {swept[-1]: 0.9})
    state = held(store.tracking, "tiny", key)
    assert state["selectedColumns"][0] == state["orderByKey"] == f"metrics.`best/{metric}`"
    assert state["orderByAsc"] is (file.study.direction == "minimize")
    assert {f"params.`{path}`" for path in swept} <= {*state["selectedColumns"]}
    parallel = next(chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL")
    assert parallel["selectedParams"][0] == swept[-1] and {*parallel["selectedParams"]} == {*swept}
    assert parallel["selectedMetrics"] == [f"best/{metric}"]
    scatter = [chart for chart in state["compareRunCharts"] if chart["type"] == "SCATTER"]
    assert scatter[0]["xaxis"]["key"] == swept[-1]


def test_a_view_is_kept_once_and_changes_when_its_columns_do(store: Store) -> None:  # noqa: F811
    file = config.load_study("tiny")
    assert views.kept(store.tracking, "tiny", "study tiny") == ""
    key = views.save_study(store.tracking, file)
    tags = [store.tracking.client.get_experiment_by_name("tiny").tags]
    views.save_study(store.tracking, file)
    tags.append(store.tracking.client.get_experiment_by_name("tiny").tags)
    assert tags[0] == tags[1] and views.kept(store.tracking, "tiny", "study tiny") == key
    views.save_experiment(store.tracking, file.experiment)
    assert held(store.tracking, "tiny", "best_runs_and_ablations")["orderByKey"].startswith("metrics.`best/")
    described = store.tracking.client.get_experiment_by_name("tiny").tags["mlflow.note.content"]
    assert described.startswith(file.experiment.raw["description"]) and described.endswith("`tiny.toml`.")


def test_a_view_of_many_settings_fits_its_tag(store: Store) -> None:  # noqa: F811
    swept = [
        f"heads.{hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()[:12]}.weight" for n in range(400)
    ]
    state = views.of_study("many", {"validation/loss": "minimize"}, swept, "validation/loss")
    assert len(views._packed(state)) > views.LONGEST
    key = views.save(store.tracking, "tiny", "study many", state)
    tag = store.tracking.client.get_experiment_by_name("tiny").tags[views.TAG + key]
    assert len(tag) <= views.LONGEST
    kept = held(store.tracking, "tiny", key)
    assert kept["compareRunCharts"] == state["compareRunCharts"][: len(kept["compareRunCharts"])]
    assert kept["selectedColumns"] == state["selectedColumns"][: len(kept["selectedColumns"])]
    assert "metrics.`best/validation/loss`" in kept["selectedColumns"]


@pytest.mark.parametrize(
    ("uri", "start", "end"),
    [
        ("sqlite:///x.db", "http://127.0.0.1:5000/#/", "study_tiny (after `make ui`)"),
        ("http://u:p@x:1/", "http://x:1/#/", "study_tiny"),
    ],
)
def test_every_store_has_an_address(store: Store, monkeypatch, uri: str, start: str, end: str) -> None:  # noqa: F811
    store.tracking.experiment("tiny")
    monkeypatch.setattr(store.tracking, "uri", uri)
    place = views.place(store.tracking, "tiny", "study_tiny")
    assert place.startswith(start) and place.endswith(f"viewStateShareKey={end}")


def test_addresses_are_short_and_name_the_view() -> None:
    text = views.address("http://x", "12", "study_üb er")
    assert text == (
        "http://x/#/experiments/12/runs?workflowType=machine_learning&compareRunsMode=CHART"
        "&viewStateShareKey=study_%C3%BCb%20er"
    )
    assert "CHART" not in views.address("http://x", "12", "a", charts=False)
