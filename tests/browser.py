"""A headless Chromium for tests of pages; a test skips, with a line, where there is none.

Contents: `driven`, a browser that follows orders; `program`, `required`.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 300  # seconds


def program() -> str | None:
    """Its path; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def required() -> str:
    """Its path; the test skips where there is none."""
    found = program()
    if found is None:
        pytest.skip("no Chromium here (make services)")
    return found


class Driven:
    """A page of a browser that is driven over its DevTools protocol, in real time: sound plays."""

    def __init__(self, process: subprocess.Popen[bytes], out: int, back: int) -> None:
        self._process, self._out, self._back, self._left = process, out, back, b""
        self._number, self._session = 0, ""
        self.faults: list[str] = []  # exceptions, errors of the console, what could not be loaded
        self.asked: list[str] = []  # addresses on the network
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def open(
        self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False, paper: bool = False
    ) -> None:
        """Go to a page and wait until all that it holds is loaded; ``paper``: as it is printed."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        mode = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", media="print" if paper else "", features=mode)
        self._send("Page.navigate", url=address)
        self.run("new Promise(done => { const wait = () => document.readyState === 'complete'"
                 f" && location.href.startsWith({json.dumps(address)}) ? done(1) : setTimeout(wait, 20); wait() }})")  # fmt: skip

    def elements(self, until: str) -> str:
        """The page's elements as HTML, once an expression is true in it: scripts take their own time."""
        self.run(
            f"new Promise(done => {{ const wait = () => ({until}) ? done(1) : setTimeout(wait, 100); wait() }})"
        )
        return str(self.run("document.documentElement.outerHTML"))

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it becomes."""
        answer = self._send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A screenshot as PNG, of the whole page or of what is in sight."""
        shot = self._send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._back], [], [], PATIENCE)
            chunk = os.read(self._back, 2**20) if ready else b""
            assert chunk, f"the browser says nothing; it has exited with {self._process.poll()}"
            self._left += chunk
        whole, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(whole)
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(str(params["exceptionDetails"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.faults.append(str(params["args"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(str(params["entry"]))
        elif message.get("method") == "Network.requestWillBeSent":
            address = params["request"]["url"]
            if not address.startswith(("data:", "file:", "about:", "blob:")):
                self.asked.append(address)
        return message


@contextlib.contextmanager
def driven(folder: Path) -> Iterator[Driven]:
    """A browser whose profile lies in ``folder``."""
    to_browser, from_browser = os.pipe(), os.pipe()
    arguments = [
        *(required(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio"),
        *("--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={folder / 'profile'}"),
    ]
    # it reads from descriptor 3 and writes to 4
    pipes = f'exec "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", *arguments],
            pass_fds=(to_browser[0], from_browser[1]),
            stderr=log,
            stdout=log,
            start_new_session=True,
        )
    os.close(to_browser[0])
    os.close(from_browser[1])
    try:
        yield Driven(process, to_browser[1], from_browser[0])
    finally:
        os.close(to_browser[1])  # which ends it
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(from_browser[0])
