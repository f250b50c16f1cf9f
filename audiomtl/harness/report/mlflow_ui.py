"""The MLflow UI for the project's runs on 127.0.0.1, and beside it Optuna's dashboard where it is installed.

Contents: `serve`, `dashboard`, `last_study`.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, TextIO

from audiomtl.errors import SurroundingsError, UserError
from audiomtl.harness import database
from audiomtl.harness.executor import storage_url
from audiomtl.harness.record import views
from audiomtl.harness.record.runs import Swept, existing, studies
from audiomtl.harness.record.store import Tracking, runs_folder
from audiomtl.redaction import redact, without_credentials

DASHBOARD = (
    "import os, optuna_dashboard;"
    " optuna_dashboard.run_server(os.environ['AUDIOMTL_STORAGE'], host='127.0.0.1', port={port})"
)
PATIENCE_SECONDS = 300  # for MLflow's server to answer


def serve(port: int) -> None:
    """Start MLflow's server for the runs on 127.0.0.1, print its address and that of the last study's
    trials; press Ctrl-C to stop. Optuna's dashboard gets the next port, where the extra ``dashboard`` is
    installed.

    With ``MLFLOW_TRACKING_URI`` on a server, that one's addresses are printed and nothing is started.

    Raises
    ------
    UserError : no runs; the server ended before it answered.
    SurroundingsError : the port is taken or not allowed.
    """
    tracking = existing()
    if tracking is None:
        raise UserError(
            f"no runs in {os.path.relpath(runs_folder())}/: run `make quickstart` or `make best-NAME`"
        )
    if tracking.uri.startswith(("http://", "https://")):
        _print_addresses(tracking, without_credentials(tracking.uri).rstrip("/"))
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SurroundingsError(
                f"port {port} on 127.0.0.1: {(error.strerror or str(error)).lower()}: choose another with"
                " --port"
            ) from None
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    # from the folder of its file, by name alone: MLflow makes the folders of a path, `what%3F` for `what?`
    path = database.sqlite_path(tracking.uri)
    environment = {
        **os.environ,
        # not an argument, which every user of the machine can read: it may hold a password
        "MLFLOW_BACKEND_STORE_URI": database.sqlite_url(Path(path.name)) if path else tracking.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # background jobs are of no use here
        "PYTHONSAFEPATH": "1",  # nothing in that folder may be imported
    }
    previous = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    log = runs_folder() / "ui.log"
    with log.open("w", encoding="utf-8") as words:
        server = subprocess.Popen(
            [*command, "--workers", "1"],
            env=environment,
            cwd=path.parent if path else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=_copy, args=(server.stdout, words), daemon=True).start()
        print("starting MLflow ...", flush=True)
        beside = dashboard(port + 1)
        try:
            _wait(server, f"http://127.0.0.1:{port}", log)
            _print_addresses(tracking, f"http://127.0.0.1:{port}")
            if beside:
                print(f"Optuna's dashboard: http://127.0.0.1:{port + 1}/", flush=True)
            print("press Ctrl-C to stop", flush=True)
            server.wait()
            raise UserError(f"the MLflow server exited; see {os.path.relpath(log)}")
        except KeyboardInterrupt:
            print("\nended")
        finally:
            for process in [server, *([beside] if beside else [])]:
                _end(process)
            for number, handler in previous.items():
                signal.signal(number, handler)


def dashboard(port: int) -> subprocess.Popen[str] | None:
    """Start Optuna's dashboard for the studies; None where it is not installed, or there are no studies.

    Its address of the storage, which may hold a password, stands in no command line.
    """
    url = storage_url()
    path = database.sqlite_path(url)
    if importlib.util.find_spec("optuna_dashboard") is None or (path and not path.is_file()):
        return None
    return subprocess.Popen(
        [sys.executable, "-P", "-c", DASHBOARD.format(port=port)],
        env={**os.environ, "AUDIOMTL_STORAGE": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _copy(source: Any, log: TextIO) -> None:
    """What the server prints, without passwords."""
    with contextlib.suppress(ValueError):  # the log is closed
        for line in source:
            log.write(redact(line))
            log.flush()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _wait(server: subprocess.Popen[str], address: str, log: Path) -> None:
    for _ in range(PATIENCE_SECONDS * 4):
        if server.poll() is not None:
            raise UserError(
                f"the MLflow server exited before it responded (exit code {server.returncode}); see"
                f" {os.path.relpath(log)}"
            )
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise UserError(
        f"the MLflow server did not respond at {address} within {PATIENCE_SECONDS} s: try again when the"
        f" machine is less busy, or see {os.path.relpath(log)}"
    )


def _end(server: subprocess.Popen[str]) -> None:
    """End the server and the processes that it started; returns when the port is free."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for attempt in range(100):  # 10 s for an orderly end
            server.poll()
            try:
                os.killpg(server.pid, 0 if attempt else number)  # 0 only looks whether one is left
            except ProcessLookupError:
                return
            time.sleep(0.1)


def _print_addresses(tracking: Tracking, address: str) -> None:
    print(f"all runs: {address}/#/experiments", flush=True)
    study = last_study(tracking)
    if study is None:
        print("no study has any trials yet", flush=True)
        return
    experiment, swept = study
    state = views.of_study(swept.name, swept.objectives, list(swept.paths), next(iter(swept.objectives)))
    key = views.kept(tracking, experiment, f"study {swept.name}") or views.save(
        tracking, experiment, f"study {swept.name}", state
    )
    place = views.address(address, tracking.experiment(experiment), key)
    print(f"trials of study {swept.name}: {place}", flush=True)
    if key := views.kept(tracking, experiment, views.RUNS_VIEW):
        place = views.address(address, tracking.experiment(experiment), key)
        print(f"best runs and ablations of {experiment}: {place}", flush=True)


def last_study(tracking: Tracking) -> tuple[str, Swept] | None:
    """The study with the most recent trial, and the MLflow experiment that it belongs to."""
    found = [
        (max(run.info.start_time for run in study.trials.values()), one.name, study)
        for one in tracking.client.search_experiments()
        for study in studies(tracking.runs(one.name))
        if study.trials
    ]
    last = max(found, key=lambda item: item[:2], default=None)
    return last[1:] if last else None
