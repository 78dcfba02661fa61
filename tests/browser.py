"""A headless Chromium, by its DevTools protocol, where there is one."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "about:blank",
)


class Tab:
    """A page in the browser.

    Attributes:
        complaints: what the page wrote to its console as errors, and exceptions that nothing caught.
    """

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._numbers = itertools.count(1000)
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters, "sessionId": self._session}
        self._connection.send(json.dumps(call))
        while (reply := json.loads(self._connection.recv(timeout=60))).get("id") != number:
            self._note(reply)
        assert "error" not in reply, reply
        return reply["result"]

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]))
        elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(json.dumps(event["params"]["entry"]))

    def open(self, address: str, width: int = 1200, height: int = 1000, scheme: str = "light") -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """The value of an expression of the page's script."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(condition):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.05)

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Press a key, as a person does."""
        for kind in ("keyDown", "keyUp"):
            down = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **down)

    def screenshot(self, path: Path) -> None:
        """A picture of the whole page."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browsing(profile: Path) -> Iterator[Tab]:
    """A new browser with one page, with its profile in that folder."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS[:-1], f"--user-data-dir={profile}", FLAGS[-1]]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(profile), proxy=None, max_size=None) as connection:
                yield Tab(connection, _attach(connection))
        finally:
            process.terminate()
            process.wait(20)


def _address(profile: Path) -> str:
    """Where the browser listens, which it writes to a file when it does."""
    written = profile / "DevToolsActivePort"
    end = time.monotonic() + 60
    while not written.exists() or len(written.read_text().split("\n")) < 2:
        assert time.monotonic() < end, "the browser did not start"
        time.sleep(0.05)
    port, path = written.read_text().split("\n")[:2]
    return f"ws://127.0.0.1:{port}{path}"


def _attach(connection: ClientConnection) -> str:
    def call(number: int, method: str, **parameters: Any) -> Any:
        connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (reply := json.loads(connection.recv(timeout=60))).get("id") != number:
            pass
        return reply["result"]

    target = call(1, "Target.createTarget", url="about:blank")["targetId"]
    return call(2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
