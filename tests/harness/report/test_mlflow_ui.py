"""MLflow's pages: what they are asked to compare, and that they end."""

import json
import os
import re
import signal
import socket
import sys
import time
import urllib.parse
import urllib.request

import pytest

from audiomtl.errors import SurroundingsError
from audiomtl.harness.report import mlflow_ui
from tests.harness.conftest import PATIENCE
from tests.harness.report.conftest import Store
from tests.ports import free_port


def test_the_comparison_holds_the_trials_of_the_last_study(store: Store) -> None:
    assert mlflow_ui.comparison(store.tracking, "http://x") == ("", "")
    store.trial(0, {}, "complete", study="older", study_key="older")
    time.sleep(0.01)  # start times have milliseconds
    ids = {number: store.trial(number, {}, end) for number, end in ((1, "pruned"), (0, "complete"))}
    name, address = mlflow_ui.comparison(store.tracking, "http://x")
    head, _, query = address.partition("?")
    fields = urllib.parse.parse_qs(query)
    experiment = store.tracking.client.get_experiment_by_name("tiny")
    assert (name, head) == ("tiny", "http://x/#/compare-runs")
    assert json.loads(fields["runs"][0]) == [ids[0], ids[1]]
    assert json.loads(fields["experiments"][0]) == [experiment.experiment_id]
    assert re.fullmatch(r"[\w%=&\-.]+", query)


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


@pytest.mark.slow
def test_the_pages_answer_and_end_at_ctrl_c(store: Store) -> None:
    run = store.trial(0, {}, "complete")
    port = free_port()
    process = store.project.start("ui", "--port", str(port), PYTHONPATH=os.pathsep.join(sys.path))
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        assert (
            lines[0] == f"all runs: http://127.0.0.1:{port}/\n" and run in lines[1] and "Ctrl-C" in lines[2]
        ), lines
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.terminate()  # a server is left to nobody
    assert (process.returncode, rest.strip()) == (0, "ended")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
