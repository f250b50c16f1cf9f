"""Machines that share a network and a folder, as network, host name and process namespaces of this one.

Contents: `Machine`, `Network`, `absent`.
"""

import os
import subprocess
from dataclasses import dataclass

from tests.services import processes


def absent() -> str:
    """Why no machines can be made here; empty where they can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if missing := processes.missing("ip", "unshare"):
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], capture_output=True)
    return "" if tried.returncode == 0 else "this kernel has no network namespaces"


@dataclass(frozen=True)
class Machine:
    """One of them."""

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that is to run there: under its host name, with its own processes."""
        own = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c")
        return ("ip", "netns", "exec", self.name, *own, f'hostname {self.name}; exec "$@"', "sh")

    def plug(self, *, connected: bool) -> None:
        """Pull its network cable, or put it back."""
        _ip("link", "set", f"{self.name}-h", "up" if connected else "down")


class Network:
    """A bridge at ``server`` with machines on it; use `close` at the end."""

    server = "10.77.13.1"
    addresses = "10.77.13.0/24"

    def __init__(self, *names: str) -> None:
        self.machines = [Machine(name, f"10.77.13.{11 + number}") for number, name in enumerate(names)]
        self.close()  # what a session that was killed has left
        _ip("link", "add", "audiomtl0", "type", "bridge")
        _ip("addr", "add", f"{self.server}/24", "dev", "audiomtl0")
        _ip("link", "set", "audiomtl0", "up")
        for one in self.machines:
            _ip("netns", "add", one.name)
            _ip("link", "add", f"{one.name}-h", "type", "veth", "peer", "name", "eth0", "netns", one.name)
            _ip("link", "set", f"{one.name}-h", "master", "audiomtl0", "up")
            _ip("-n", one.name, "addr", "add", f"{one.address}/24", "dev", "eth0")
            _ip("-n", one.name, "link", "set", "eth0", "up")
            _ip("-n", one.name, "link", "set", "lo", "up")

    def close(self) -> None:
        for one in self.machines:
            subprocess.run(["ip", "netns", "del", one.name], capture_output=True)
            subprocess.run(["ip", "link", "del", f"{one.name}-h"], capture_output=True)
        subprocess.run(["ip", "link", "del", "audiomtl0"], capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
