"""A plain client of the playground, and the server in a thread."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from websockets.sync.client import ClientConnection, connect

SERVE = """
import torch
from pushforward import build
from pushforward.playground import serve
from pushforward.playground.pictures import Pictures

torch.set_num_threads(1)
torch.manual_seed(0)
images = torch.randint(0, 17, (3, 1, 8, 8)).float()
flow = build("multiscale", shape=(1, 8, 8), levels=17, layers=1, hidden=4)
flow.initialise(images)
serve(Pictures(flow, images), opened=lambda address: print(address, flush=True))
"""


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """The playground with a small untrained flow of images: its address, and the number of its process."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.send_signal(signal.SIGKILL)


def unpack(reply: str | bytes) -> dict[str, Any]:
    """The header of a reply, with its arrays in place of their shapes."""
    assert isinstance(reply, bytes)
    length = int.from_bytes(reply[:4], "little")
    header = json.loads(reply[4 : 4 + length])
    body, start = np.frombuffer(reply, "<f4", offset=4 + length), 0
    for name, shape in header["arrays"].items():
        count = math.prod(shape)
        header["arrays"][name] = body[start : start + count].reshape(shape)
        start += count
    assert start == len(body)
    return header


class Page:
    """What a page does: it asks, and is told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.hello = self.told()

    def told(self) -> dict[str, Any]:
        return unpack(self.connection.recv(timeout=60))

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Ask, and return the next reply."""
        self.connection.send(json.dumps({"type": kind, **fields}))
        return self.told()

    def until(self, kind: str) -> dict[str, Any]:
        """The next reply of that kind."""
        while (reply := self.told())["type"] != kind:
            pass
        return reply


def origin(address: str) -> str:
    return re.match(r"http://[^/]+", address)[0]  # type: ignore[index]


@contextmanager
def page(address: str, **options: Any) -> Iterator[Page]:
    given = {"origin": origin(address), "proxy": None, "max_size": None, **options}
    with connect(address.replace("http", "ws", 1) + "socket", **given) as connection:
        yield Page(connection)


def request(
    address: str, method: str = "GET", path: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a plain request."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, parts.path if path is None else path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()
