"""A SLURM of one or two nodes on this machine, as root. Contents: `Slurm`, `absent`.

Both nodes are this machine, each a ``slurmd`` of its own. Nothing in ``/etc`` is read or written: clients find
the cluster by the variable ``SLURM_CONF``.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from tests.services import processes

PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
SETTLING_SECONDS = 2.0
CPUS = 4  # per node, whatever the machine has
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
ReturnToService=2
JobRequeue=1
KillWait={kill_wait}
SlurmdParameters=config_overrides
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_ports} CPUs={cpus} RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def absent() -> str:
    """Why SLURM cannot be started here; empty where it can."""
    if missing := processes.missing(*PROGRAMS):
        return f"SLURM is not installed: no {', '.join(missing)} (make services)"
    return "" if os.geteuid() == 0 else "SLURM's test cluster needs root"


class Slurm:
    """A running cluster; use `close` at the end.

    Parameters
    ----------
    nodes : one or two.
    kill_wait : seconds between SIGTERM and SIGKILL of a job that is ended or requeued.
    """

    def __init__(self, nodes: int = 1, kill_wait: int = 30) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="audiomtl-slurm-"))
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.conf = self.folder / "slurm.conf"
        (self.folder / "state").mkdir()
        ports = [processes.free_port() for _ in self.nodes]
        self.conf.write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                port=processes.free_port(),
                folder=self.folder,
                kill_wait=kill_wait,
                nodes=",".join(self.nodes),
                node_ports=f"[{','.join(map(str, ports))}]",
                cpus=CPUS,
            )
        )
        self.environment = {"SLURM_CONF": str(self.conf), "PATH": processes.search_path()}
        self._servers: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        log = self.folder / "log.txt"
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        names = {
            "socket": "socket",
            "key-file": "key",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        files = [f"--{option}={self.folder}/munge.{name}" for option, name in names.items()]
        # --force: it wants its folders to be owned by the user munge
        self._serve("munged", "--foreground", "--force", "--num-threads=2", *files)
        socket_file = self.folder / "munge.socket"
        processes.wait_until(socket_file.exists, "munged", log, *self._servers)
        self._serve("slurmctld", "-D", "-c")
        for node in self.nodes:
            self._serve("slurmd", "-D", "-N", node)
        processes.wait_until(self._idle, "SLURM", log, *self._servers)

    def _serve(self, *command: str) -> None:
        self._servers.append(processes.start(command, self.folder / "log.txt", environment=self.environment))

    def _idle(self) -> bool:
        done = self._run("sinfo", "--noheader", "--Node", "--format=%T")
        return done.returncode == 0 and done.stdout.split() == ["idle"] * len(self.nodes)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=processes.PATIENCE_SECONDS,
        )

    def run(self, *command: str) -> str:
        """What a SLURM command prints; it must succeed."""
        done = self._run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """State of every job that has not ended, by its id (``12_0`` in an array)."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def requeue(self, job: str) -> None:
        """Preempt a running job as an administrator would, and let it start again."""
        self.run("scontrol", "requeue", job)
        self.start_again(job)

    def start_again(self, job: str) -> None:
        """Start a job that was queued again, without SLURM's delay of two minutes."""
        give_up = time.monotonic() + processes.PATIENCE_SECONDS
        while self.jobs().get(job) != "PENDING" or self._processes():
            assert time.monotonic() < give_up, self.jobs()
            time.sleep(0.2)
        # the end of the job's first life, reported late, would be taken for that of the second
        time.sleep(SETTLING_SECONDS)
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now")

    def _processes(self, *, of_jobs: bool = True) -> list[psutil.Process]:
        """Processes of this cluster but this one and its servers, or with ``of_jobs`` of its jobs alone."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                if environment.get("SLURM_CONF") == str(self.conf) and process.pid != os.getpid():
                    found += [process] if "SLURM_JOB_ID" in environment or not of_jobs else []
        return found

    def wait(self, seconds: float = processes.PATIENCE_SECONDS) -> None:
        """Until no job is left."""
        give_up = time.monotonic() + seconds
        while jobs := self.jobs():
            assert time.monotonic() < give_up, jobs
            time.sleep(0.5)

    def close(self) -> None:
        """Cancel all jobs, end the servers and what is left of jobs, and remove the folder."""
        with contextlib.suppress(OSError, subprocess.SubprocessError, AssertionError):
            for job in self.jobs():
                self._run("scancel", job)
            self.wait(10)
        for server in reversed(self._servers):
            processes.end(server, signal.SIGTERM, seconds=5)
        for process in self._processes(of_jobs=False):
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
