"""``docs/how-to/cluster.md``: every command on the page is run, in its order, against real servers.

Placeholders become what the test started: host names 127.0.0.1, folders temporary ones, NAME the tiny study.
Where nginx is not installed, its part is left out and clients talk to MLflow itself.
"""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.conftest import CODE, LAB, PATIENCE
from tests.services import postgres as postgresql
from tests.services import processes
from tests.services.slurm import Slurm

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "cluster.md"
PASSWORD = "correct-horse"
NGINX = shutil.which("nginx", path=processes.search_path())
ADMINISTRATION = ("createuser", "createdb")  # by PostgreSQL's administrator
BY_NGINX = ("nginx", "printf")
pytestmark = [pytest.mark.slow, pytest.mark.services]


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def steps(page: str) -> Iterator[tuple[str, str]]:
    """In the page's order: ("file", its text, whose first line names it) and ("run", a command)."""
    for language, text in blocks(page):
        if language == "console":
            for line in text.splitlines():
                assert line.startswith("$ "), f"no command: {line}"
                yield "run", line.removeprefix("$ ")
        elif re.match(r"# [~/]", text):
            yield "file", text


class Reader:
    """Someone who follows the page, in a folder of their own."""

    def __init__(self, folder: Path, database: postgresql.Postgres, slurm: Slurm) -> None:
        self.folder, self.database = folder, database
        self.home, self.nginx = folder / "home", folder / "nginx"
        self.mlflow_port, self.tls_port = processes.free_port(), processes.free_port()
        for path in (self.home, self.nginx / "conf.d", self.nginx / "logs", folder / "bin"):
            path.mkdir(parents=True)
        self._project()
        for name in ("createuser", "createdb", "psql"):
            (folder / "bin" / name).symlink_to(Path(str(postgresql.programs())) / name)
        self.servers: list[subprocess.Popen[bytes]] = []
        path = [str(folder / "bin"), str(Path(sys.executable).parent), processes.search_path()]
        unset = ("AUDIOMTL_", "MLFLOW_TRACKING", "PG")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        self.environment |= {
            **slurm.environment,
            "PATH": os.pathsep.join(path),
            "HOME": str(self.home),
            "PGPORT": str(database.port),
            "PYTHONPATH": CODE,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        address = f"127.0.0.1:{self.mlflow_port}"
        self.placeholders = {
            "https://mlflow.example.org": f"https://localhost:{self.tls_port}"
            if NGINX
            else f"http://{address}",
            "mlflow.example.org": "localhost" if NGINX else address,
            "db.example.org": "127.0.0.1",
            "--port 5000": f"--port {self.mlflow_port}",
            "127.0.0.1:5000": address,
            "listen 443 ssl": f"listen 127.0.0.1:{self.tls_port} ssl",
            "/etc/nginx": str(self.nginx),
            "/srv/mlflow": str(folder / "srv"),
            "/shared/": f"{folder}/shared/",
            "--workers 8 --slots 4": "--workers 2 --slots 1",
            "NAME": "tiny",
            "SECRET": PASSWORD,
        }

    def _project(self) -> None:
        self.project = self.folder / "project"
        for kind, source in (("experiments", "tiny.toml"), ("studies", "tiny_study.toml")):
            (self.project / kind).mkdir(parents=True)
            (self.project / kind / "tiny.toml").write_text((LAB / source).read_text())

    def filled(self, text: str) -> str:
        for placeholder, value in self.placeholders.items():
            text = text.replace(placeholder, value)
        return text

    def write(self, text: str) -> None:
        """A file of the page."""
        place = Path(self.filled(text.splitlines()[0].removeprefix("# ")).replace("~", str(self.home)))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self.filled(text))

    def run(self, command: str) -> str:
        """A command of the page; what it prints."""
        program, command = command.split()[0], self.filled(command)
        if program == "export":
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = value
            return ""
        if command.startswith("mlflow server "):
            self._serve("mlflow", f"exec {command}")
            self._wait_for_mlflow()
            del self.environment["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"]  # of the server's shell
            return ""
        if program in BY_NGINX and not NGINX:
            return ""
        if program == "nginx" and not (self.nginx / "nginx.conf").exists():
            self._start_nginx()
        environment = self.environment
        if program in ADMINISTRATION:
            environment = {**environment, **self.database.environment}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.project,
            env=environment,
            input=f"{PASSWORD}\n" * 2,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            start_new_session=True,  # programs that ask for a password read it from here
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def _serve(self, name: str, command: str) -> None:
        log = self.folder / f"{name}.log"
        server = processes.start(
            ["bash", "-c", command], log, signal_at_end="TERM", environment=self.environment
        )
        self.servers.append(server)

    def _wait_for_mlflow(self) -> None:
        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.mlflow_port}/health", timeout=60):
                    return True
            except OSError:
                return False

        processes.wait_until(answers, "MLflow", self.folder / "mlflow.log", *self.servers)

    def _start_nginx(self) -> None:
        """nginx as Debian sets it up, with a certificate, before the page's configuration is loaded."""
        configuration = self.nginx / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"  {kind}_temp_path {self.nginx}/{kind};\n" for kind in kinds)
        configuration.write_text(
            f"{user}\npid {self.nginx}/pid;\nerror_log {self.nginx}/error.log;\nevents {{}}\n"
            f"http {{\n  access_log off;\n{temporary}  include {self.nginx}/conf.d/*.conf;\n}}\n"
        )
        certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        certificate += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-out", str(self.nginx / "mlflow.pem"), "-keyout", str(self.nginx / "mlflow.key")]
        subprocess.run([*certificate, *files], check=True, capture_output=True)
        self.environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(self.nginx / "mlflow.pem")
        script = self.folder / "bin" / "nginx"
        script.write_text(f'#!/bin/sh\nexec {NGINX} -p {self.nginx} -c {configuration} "$@"\n')
        script.chmod(0o755)
        self._serve("nginx", f"exec {script} -g 'daemon off;'")
        processes.wait_until((self.nginx / "pid").exists, "nginx", self.nginx / "error.log", *self.servers)

    def close(self) -> None:
        for server in reversed(self.servers):
            processes.end(server, signal.SIGTERM)


def status_without_password(reader: Reader) -> int:
    """What the front door answers to someone without a password."""
    context = ssl.create_default_context(cafile=str(reader.nginx / "mlflow.pem"))
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(
                f"https://localhost:{reader.tls_port}/", timeout=60, context=context
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.2)


def test_every_command_of_the_page_works(tmp_path: Path, slurm: Slurm) -> None:
    pytest.importorskip("psycopg")
    if reason := postgresql.absent():
        pytest.skip(reason)
    database = postgresql.Postgres(password="of the administrator")
    reader = Reader(tmp_path, database, slurm)
    said: dict[str, str] = {}
    try:
        for kind, text in steps(PAGE.read_text(encoding="utf-8")):
            if kind == "file":
                reader.write(text)
                continue
            if text.startswith("audiomtl study") and "slurm" in text:
                if NGINX:
                    assert status_without_password(reader) == 401
                database.stop()  # MLflow and the workers must get over a restart
                database.start()
            said[text] = reader.run(text)
            if text.startswith("squeue"):
                slurm.wait(PATIENCE)
    finally:
        reader.close()
        database.close()
    [counted] = [words for command, words in said.items() if command.startswith("psql")]
    assert "1" in counted.split()
    [submitted] = [
        words for command, words in said.items() if command.startswith("audiomtl study NAME --executor slurm")
    ]
    assert "tiny: submitted 2 jobs of 1 CPUs and 240 minutes" in submitted
    [last] = [words for command, words in said.items() if "--executor local" in command]
    assert "worker 1: done: next: make promote-tiny" in last
    logs = [
        path.read_text() for path in (tmp_path / "shared" / "audiomtl" / "runs" / "slurm").rglob("*_log.out")
    ]
    trained = [int(number) for text in logs for number in re.findall(r"^trial (\d): ", text, re.MULTILINE)]
    assert len(logs) == 4 and sorted(trained) == list(range(5))
    assert any((tmp_path / "srv" / "artifacts").rglob("predictions*")) or any(
        (tmp_path / "srv").rglob("*.csv")
    )
    assert with_password(tmp_path) == []


def with_password(folder: Path) -> list[str]:
    """Files outside the two that the page names which hold the password."""
    kept = {folder / "home" / ".pgpass", folder / "home" / ".mlflow" / "credentials"}
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and path not in kept and PASSWORD.encode() in path.read_bytes()
    ]


def test_the_page_has_commands_and_files_that_the_test_knows() -> None:
    found = list(steps(PAGE.read_text(encoding="utf-8")))
    commands = [text.split()[0] for kind, text in found if kind == "run"]
    assert {"createdb", "mlflow", "audiomtl", "nginx", "export"} <= set(commands)
    assert [text.splitlines()[0] for kind, text in found if kind == "file"] == [
        "# ~/.pgpass",
        "# /etc/nginx/conf.d/mlflow.conf",
        "# ~/.mlflow/credentials",
    ]
