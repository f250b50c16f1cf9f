"""A fresh PostgreSQL cluster in a temporary folder. Contents: `Postgres`, `absent`."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.services import processes

USER = "postgres"  # Debian's; `initdb` refuses to run as root
# no test survives the machine, so nothing needs to reach the disk
OPTIONS = {
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
}


def programs() -> Path | None:
    """Folder of the newest ``initdb`` on this machine: Debian keeps it out of PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    on_path = shutil.which("initdb")
    return next(
        (path for path in folders if (path / "initdb").exists()), Path(on_path).parent if on_path else None
    )


def absent() -> str:
    """Why PostgreSQL cannot be started here; empty where it can."""
    if programs() is None:
        return "PostgreSQL is not installed (make services)"
    return "setpriv is not installed" if processes.missing("setpriv") else ""


class Postgres:
    """A server with its databases; use `close` at the end.

    ``password``: what clients must give; without it everyone on this machine is let in. ``network``: another
    network whose machines are let in without one ("10.0.0.0/24").
    """

    def __init__(self, password: str = "", network: str = "") -> None:
        folder = programs()
        assert folder is not None
        self._programs, self.password = folder, password
        self.folder = Path(tempfile.mkdtemp(prefix="audiomtl-postgres-"))
        self.port, self.log = processes.free_port(), self.folder / "log.txt"
        self._user = USER if os.geteuid() == 0 else ""
        self._data = self.folder / "data"
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        if password:
            file = self.folder / "password"
            file.write_text(password)
            if self._user:
                shutil.chown(file, self._user)
            options[0] = "--auth=scram-sha-256"
            options.append(f"--pwfile={file}")
        made = processes.start(
            [str(folder / "initdb"), f"--pgdata={self._data}", *options], self.log, user=self._user
        )
        if made.wait() != 0:
            raise RuntimeError(f"initdb failed:\n{self.log.read_text()}")
        self._listen = "*" if network else "127.0.0.1"
        if network:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {network} trust\n")
        self.start()

    def start(self) -> None:
        """Start the server, again after `stop` or `kill` on the same port with the same databases."""
        settings = [
            f"--{name}={value}" for name, value in {**OPTIONS, "listen_addresses": self._listen}.items()
        ]
        self._server = processes.start(
            [str(self._programs / "postgres"), "-D", str(self._data), f"--port={self.port}", *settings],
            self.log,
            user=self._user,
            signal_at_end="QUIT",
        )
        processes.wait_until(self._answers, "PostgreSQL", self.log, self._server)

    def stop(self) -> None:
        """End the server; open connections are cut off."""
        processes.end(self._server, signal.SIGINT, signal.SIGQUIT)

    def kill(self) -> None:
        """Crash: the server and the processes of its connections are gone at once."""
        processes.end(self._server, signal.SIGQUIT)

    def close(self) -> None:
        """End the server and remove its folder."""
        processes.end(self._server, signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", password: str | None = None) -> str:
        """SQLAlchemy's address of a database, with another password than the right one ("": none) if given."""
        known = self.password if password is None else password
        secret = f":{known}" if known else ""
        return f"postgresql+psycopg://postgres{secret}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; returns its address."""
        self.sql(f'create database "{database}"')
        return self.url(database)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What ``psql`` prints for one statement."""
        done = subprocess.run(
            [str(self._programs / "psql"), "--no-psqlrc", "--tuples-only", "--no-align", "-c", statement],
            env={**os.environ, **self.environment, "PGDATABASE": database},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which PostgreSQL's own programs find the server."""
        secret = {"PGPASSWORD": self.password} if self.password else {}
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", **secret}

    def _answers(self) -> bool:
        if not socket_open(self.port):
            return False
        done = subprocess.run(
            [str(self._programs / "pg_isready"), "--quiet"], env={**os.environ, **self.environment}
        )
        return done.returncode == 0


def socket_open(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
