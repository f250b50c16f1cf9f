"""MLflow's pages: what they are asked to compare, and that they end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiomtl.errors import SurroundingsError
from audiomtl.harness.record import views
from audiomtl.harness.report import mlflow_ui
from tests import browser
from tests.harness.conftest import PATIENCE
from tests.harness.report.conftest import Store
from tests.ports import free_port

CHARTS = "&compareRunsMode=CHART"


def test_the_address_is_that_of_the_last_study_and_short(store: Store, capsys) -> None:
    mlflow_ui._print_addresses(store.tracking, "http://x")
    assert "no study has any trials yet" in capsys.readouterr().out
    store.trial(0, {}, "complete", study="older", study_key="older")
    store.parent()
    time.sleep(0.01)  # start times have milliseconds
    store.trial(1, {}, "pruned")
    mlflow_ui._print_addresses(store.tracking, "http://x")
    said = capsys.readouterr().out.splitlines()
    experiment = store.tracking.client.get_experiment_by_name("tiny")
    assert said[1] == (
        f"trials of study tiny: http://x/#/experiments/{experiment.experiment_id}/runs"
        "?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=study_tiny"
    )
    assert "mlflow.sharedViewState.study_tiny" in experiment.tags or views.kept(
        store.tracking, "tiny", "study tiny"
    )


def test_a_port_in_use_is_named(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            SurroundingsError,
            match=f"port {port} on 127.0.0.1: address already in use: choose another with --port",
        ):
            mlflow_ui.serve(port)


FAKE_DASHBOARD = """
import http.server
def run_server(storage, host, port):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(storage.encode())
    http.server.HTTPServer((host, port), Answer).serve_forever()
"""


def test_optunas_dashboard_is_started_where_it_is_installed_and_there_are_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path))
    monkeypatch.delenv("AUDIOMTL_STORAGE", raising=False)
    monkeypatch.setattr(mlflow_ui.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "optuna.db").touch()
    assert mlflow_ui.dashboard(1) is None
    monkeypatch.undo()
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path))
    monkeypatch.delenv("AUDIOMTL_STORAGE", raising=False)
    (tmp_path / "optuna_dashboard.py").write_text(FAKE_DASHBOARD, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    port = free_port()
    (tmp_path / "optuna.db").unlink()
    assert mlflow_ui.dashboard(port) is None
    (tmp_path / "optuna.db").touch()
    process = mlflow_ui.dashboard(port)
    assert process is not None
    try:
        mlflow_ui._wait(process, f"http://127.0.0.1:{port}", tmp_path / "log")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
            assert answer.read().decode() == f"sqlite:///{tmp_path}/optuna.db"
    finally:
        mlflow_ui._end(process)
    assert process.poll() is not None


@contextlib.contextmanager
def shown(store: Store) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """`audiomtl ui` with a study of two trials and two best runs: its process, its port and what it prints."""
    store.parent()
    for number, score in enumerate((0.4, 0.3)):
        curve = {"validation/error_rate": [0.9, score], "best/validation/error_rate": score}
        store.trial(number, curve, "complete")
    for seed in (1, 2):
        store.best(seed, 0.3, 0.2)
    experiment = views.of_experiment("error_rate", "minimize")
    views.save(store.tracking, "tiny", views.RUNS_VIEW, experiment)
    port = free_port()
    process = store.project.start("ui", "--port", str(port), PYTHONPATH=os.pathsep.join(sys.path))
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "starting MLflow ...\n"
        yield process, port, [process.stdout.readline() for _ in range(4)]
    finally:
        process.terminate()  # a server is left to nobody
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.mark.slow
def test_the_server_answers_and_ends_at_ctrl_c(store: Store) -> None:
    with shown(store) as (process, port, lines):
        assert (
            lines[0] == f"all runs: http://127.0.0.1:{port}/#/experiments\n"
            and "=study_tiny\n" in lines[1]
            and "=best_runs_and_ablations\n" in lines[2]
            and "Ctrl-C" in lines[3]
        ), lines
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest.strip()) == (0, "ended")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_the_saved_views_show_scores_settings_and_charts(store: Store, tmp_path: Path) -> None:
    """Look at the pictures in the test's temporary folder."""
    browser.required()
    words = "{}.every(name => document.body.innerText.includes(name))".format
    plots = "document.querySelectorAll('.js-plotly-plot').length >= {}".format
    with shown(store) as (_, _, lines):
        trials, runs = (line.split(": ")[1].strip() for line in lines[1:3])
        for name, address, until in (
            # parallel coordinates, curve, scatter
            ("charts", trials, f"{plots(3)} && document.body.outerHTML.includes('network.units')"),
            ("trials", trials.replace(CHARTS, ""), words(["best/validation/error_rate", "network.units"])),
            ("runs", runs, plots(2)),
            ("table", runs.replace(CHARTS, ""), words(["test/error_rate", "best 2"])),
        ):
            with browser.driven(tmp_path) as page:
                page.open(address)
                html = page.elements(until)
                page.picture(tmp_path / f"{name}.png")
                assert name != "charts" or "tags.study = 'tiny'" in html
