"""An MLflow server on 127.0.0.1. Contents: `Mlflow`."""

import shutil
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.services import processes

# background jobs are of no use here; NullPool as in docs/how-to/cluster.md
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class Mlflow:
    """A server with proxied artifacts; ``store`` is its database, by default a fresh SQLite file."""

    def __init__(self, store: str = "", options: Sequence[str] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="audiomtl-mlflow-"))
        self.store = store or f"sqlite:///{self.folder / 'mlflow.db'}"
        self.port, self.log, self._options = processes.free_port(), self.folder / "log.txt", [*options]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, again after `stop` on the same port with the same runs."""
        command = [sys.executable, "-m", "mlflow", "server", f"--port={self.port}"]
        command += (
            [] if any(option.startswith("--host") for option in self._options) else ["--host=127.0.0.1"]
        )
        command += [
            f"--backend-store-uri={self.store}",
            f"--artifacts-destination={self.folder / 'artifacts'}",
        ]
        self._server = processes.start(
            [*command, "--workers=1", *self._options],
            self.log,
            signal_at_end="TERM",
            environment=ENVIRONMENT,
        )
        processes.wait_until(self._answers, "MLflow", self.log, self._server)

    def stop(self) -> None:
        processes.end(self._server, signal.SIGTERM)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=60):
                return True
        except (urllib.error.URLError, OSError):
            return False
