"""The playground's server answers its own page, shows what the flow does, and withstands whatever else it is sent."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from playground_client import Page, page, request, serving, unpack
from websockets.exceptions import ConnectionClosed, InvalidStatus

import pushforward as pf
from pushforward.errors import ConvergenceError, UsageError
from pushforward.playground import bending
from pushforward.playground.learning import Learning, build
from pushforward.playground.messages import SHEET, Limits, Start, read
from pushforward.playground.pictures import Pictures
from pushforward.playground.server import LARGEST_MESSAGE, PAGES, serve
from pushforward.playground.session import Session

SMALL = {"density": "moons", "flow": "realnvp", "depth": 2, "bins": 4}
LIMITS = Limits(64, [32, 32], 3)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serving() as started:
        yield started


@pytest.fixture
def address(server: tuple[str, int]) -> str:
    return server[0]


@pytest.fixture
def visitor(address: str) -> Iterator[Page]:
    with page(address) as opened:
        yield opened


# What the page sees.


@pytest.mark.parametrize("name", ["nsf-coupling", "realnvp", "nsf", "maf"])
def test_behind_the_last_layer_samples_have_the_density_that_the_determinant_says(name: str) -> None:
    torch.manual_seed(0)
    flow = build(Start("moons", None, name, 3, 4))
    flow.initialise(pf.data.toy("moons").sample(256))
    with torch.no_grad():
        z = torch.randn(50, 2)
        places, log_dets = bending.bend(flow.eval(), z)
        assert len(places) == 1 + len(bending.layer_names(flow))
        assert torch.equal(places[0], z)
        assert torch.allclose(flow.encode(places[-1]), z, atol=1e-4)
        assert torch.allclose(flow.log_prob(places[-1]), flow.base.log_prob(z) - log_dets[-1], atol=1e-4)


def test_the_grid_is_of_upright_and_level_lines() -> None:
    upright, level = bending.grid().chunk(2)
    assert bool((upright[..., 0] == upright[:, :1, 0]).all()) and bool((level[..., 1] == level[:, :1, 1]).all())
    assert torch.equal(upright.flip(-1), level)


def test_the_picture_of_the_density_begins_at_the_top_left() -> None:
    centres = bending.pixels((-4, 4))
    assert centres[0].tolist() == [-4 + 4 / 64, 4 - 4 / 64] and centres[1, 0] > centres[0, 0]


def test_a_flow_comes_nearer_to_what_was_drawn() -> None:
    torch.manual_seed(0)
    sheet = torch.zeros(SHEET, SHEET)
    sheet[4:12, 4:12] = 1
    learning = Learning(Start("drawn", sheet.flatten().tolist(), "realnvp", 2, 4))
    before = learning.excess()
    while learning.step < 60:
        learning.advance(0)
    assert 0 < learning.excess() < before
    # Drawn at the top left, learned at the top left.
    middle = learning.flow.sample(500).detach().median(0).values
    assert middle[0] < 0 < middle[1]


def test_a_flow_that_a_step_spoiled_is_told_and_trains_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.answer(json.dumps({"type": "start", **SMALL}))

    def spoil(learning: Learning, seconds: float) -> None:
        for weights in learning.flow.parameters():
            weights.data.fill_(torch.nan)

    monkeypatch.setattr(Learning, "advance", spoil)
    assert [unpack(reply)["type"] for reply in session.advance()] == ["error", "paused"]
    assert not session.working
    (told,) = session.answer('{"type": "look", "temperature": 1}')
    assert "no longer finite" in unpack(told)["message"]


def test_latents_that_no_image_has_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = pf.build("multiscale", shape=(1, 4, 4), levels=17, layers=1, hidden=4)
    session = Session(Pictures(flow, torch.zeros(1, 1, 4, 4)))

    def fail(pictures: Pictures, latents: object) -> bytes:
        raise ConvergenceError("no image was found")

    monkeypatch.setattr(Pictures, "decoded", fail)
    count = Pictures(flow, torch.zeros(1, 1, 4, 4)).limits.latents
    (told,) = session.answer(json.dumps({"type": "decode", "latents": [[0] * size for size in count]}))
    assert unpack(told) == {"type": "error", "message": "no image was found", "about": "decode", "arrays": {}}


# What the server answers.


def test_it_listens_on_this_machine_only_and_its_address_has_a_secret(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    assert len(address.rstrip("/").rpartition("/")[2]) >= 32


def test_every_file_that_the_page_names_is_there(address: str) -> None:
    status, headers, body = request(address)
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for name in ("style.css", "app.js", "model.js", "plane.js", "sheet.js", "images.js", "icon.svg"):
        assert request(address + name)[0] == 200
    assert b"http" not in body.replace(b'lang="en"', b"")


def test_one_watches_a_training_pauses_it_and_goes_on(visitor: Page) -> None:
    target = visitor.ask("start", **SMALL)
    assert target["type"] == "target" and target["arrays"]["points"].shape == (1000, 2)
    first = visitor.until("view")
    later = visitor.until("view")
    assert first["step"] == 0 < later["step"]
    count = len(later["layers"]) + 1
    assert later["arrays"]["samples"].shape == (count, 2000, 2)
    assert later["arrays"]["determinants"].shape == (count, 2000)
    assert later["arrays"]["density"].shape == (64 * 64,)
    # Most of the samples stay, some are new.
    assert np.array_equal(later["arrays"]["samples"][0, :1800], first["arrays"]["samples"][0, 200:])
    visitor.connection.send('{"type": "pause"}')
    visitor.until("paused")
    still = visitor.ask("look", temperature=0)
    assert not still["arrays"]["samples"][0].any()
    assert visitor.ask("look", temperature=1)["step"] == still["step"]
    assert visitor.ask("resume")["type"] == "training"
    assert visitor.until("view")["step"] > still["step"]


def test_an_image_comes_back_from_its_latents(visitor: Page) -> None:
    facts = visitor.hello["pictures"]
    assert facts["sides"] == [8, 8] and len(facts["levels"]) == 2
    for reply in (visitor.ask("draw", index=1), visitor.ask("encode", pixels=[k % 17 / 16 for k in range(64)])):
        latents = [reply["arrays"][f"level {number}"].flatten().tolist() for number in (1, 2)]
        back = visitor.ask("decode", latents=latents)
        assert np.allclose(back["arrays"]["image"], reply["arrays"]["image"], atol=1e-6)


def test_a_flow_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="flows of grey images"):
        Pictures(pf.build("realnvp", features=2), torch.zeros(1, 2))


# What is not for it.

MALFORMED: list[Any] = [
    "",
    "null",
    "[]",
    "{",
    "9" * 6000,
    "[" * 60_000,
    '{"type": "pause", "type": ["start"]}',
    '{"type": "pause", "more": 1}',
    '{"type": "__class__"}',
    '{"type": "look"}',
    '{"type": "look", "temperature": NaN}',
    '{"type": "look", "temperature": 1e999}',
    '{"type": "look", "temperature": true}',
    '{"type": "look", "temperature": "1"}',
    '{"type": "draw", "index": -1}',
    '{"type": "draw", "index": 3}',
    '{"type": "draw", "index": 1.0}',
    json.dumps({"type": "start", **SMALL, "depth": 10**9}),
    json.dumps({"type": "start", **SMALL, "flow": "../../etc/passwd"}),
    json.dumps({"type": "start", **SMALL, "density": "picture:/etc/passwd"}),
    json.dumps({"type": "start", **SMALL, "density": "drawn"}),
    json.dumps({"type": "start", **SMALL, "density": "drawn", "sheet": [0] * SHEET**2}),
    json.dumps({"type": "start", **SMALL, "density": "drawn", "sheet": [1] * 5}),
    json.dumps({"type": "start", **SMALL, "sheet": [1] * SHEET**2}),
    json.dumps({"type": "encode", "pixels": [0.5] * 63}),
    json.dumps({"type": "encode", "pixels": [2] * 64}),
    json.dumps({"type": "decode", "latents": [[0] * 32]}),
    json.dumps({"type": "decode", "latents": [[0] * 32, [0] * 31]}),
    json.dumps({"type": "decode", "latents": [[0] * 32, [1e9] * 32]}),
    json.dumps({"type": "decode", "latents": {"0": []}}),
    b'{"type": "pause"}',
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text[:40]))
def test_what_is_malformed_is_refused_in_one_sentence(text: str | bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, LIMITS)
    # What was sent is not sent back.
    assert 0 < len(str(caught.value)) < 120 and "\n" not in str(caught.value)


def test_after_what_is_malformed_the_page_goes_on(visitor: Page) -> None:
    for text in MALFORMED:
        visitor.connection.send(text)
        assert visitor.told()["type"] == "error"
    assert visitor.ask("pause")["message"] == "no flow is there yet: start one"
    assert visitor.ask("draw", index=0)["type"] == "encoded"


def test_a_message_that_is_too_large_ends_the_connection(address: str) -> None:
    with page(address) as opened, pytest.raises(ConnectionClosed) as caught:
        opened.ask("x" * LARGEST_MESSAGE)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/"},
        {"path": "/socket"},
        {"path": "/x/index.html"},
        {"path": "/%00"},
        {"Host": "example.org"},
        {"Host": "127.0.0.1"},
    ],
    ids=str,
)
def test_without_the_address_nothing_is_answered(address: str, change: dict[str, str]) -> None:
    status, _, body = request(address, **change)
    assert status == 403 and b"<" not in body


@pytest.mark.parametrize("name", ["../server.py", "..%2fserver.py", "/etc/passwd", "%2e%2e/", "app.js/", "app.js?x"])
def test_no_path_leads_out_of_the_page(address: str, name: str) -> None:
    # As it stands: clients that resolve dots would never send them.
    assert request(address, path=urlsplit(address).path + name)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_it_is_only_read(address: str, method: str) -> None:
    assert request(address, method)[0] == 405


@pytest.mark.parametrize("stranger", [None, "null", "https://example.org", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_gets_no_socket(address: str, stranger: str | None) -> None:
    with pytest.raises(InvalidStatus) as caught, page(address, origin=stranger):
        pass
    assert caught.value.response.status_code == 403


def test_no_more_pages_than_there_is_memory_for(address: str) -> None:
    opened = [page(address) for _ in range(PAGES)]
    try:
        for each in opened:
            each.__enter__()
        with pytest.raises(ConnectionClosed) as caught, page(address):
            pass
        assert caught.value.rcvd is not None and "close one" in caught.value.rcvd.reason
    finally:
        for each in opened:
            each.__exit__(None, None, None)
    # Closing is told from the other side a moment later.
    for attempt in range(50):
        try:
            with page(address):
                return
        except ConnectionClosed:
            assert attempt < 49


def memory(pid: int) -> float:
    """Resident MiB of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def work(pid: int) -> float:
    """Seconds that a process has computed."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads /proc")
def test_a_page_that_is_closed_trains_no_more(server: tuple[str, int]) -> None:
    address, pid = server
    with page(address) as opened:
        opened.ask("start", **SMALL)
        opened.until("view")
    for _ in range(100):
        before = work(pid)
        time.sleep(0.1)
        if work(pid) == before:
            return
    raise AssertionError("still computing")


def test_those_who_connect_and_say_nothing_keep_nobody_out(address: str) -> None:
    parts = urlsplit(address)
    silent = [socket.create_connection((parts.hostname, parts.port)) for _ in range(200)]
    try:
        for each in silent[::2]:
            each.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert request(address)[0] == 200
    finally:
        for each in silent:
            each.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
def test_many_starts_and_garbage_do_not_pile_up(server: tuple[str, int]) -> None:
    address, pid = server
    small = {**SMALL, "depth": 1}
    with page(address) as opened:
        opened.ask("start", **small)
        opened.until("view")
        before = memory(pid)
        for _ in range(15):
            opened.connection.send(json.dumps({"type": "start", **small}))
            opened.until("target")
    parts = urlsplit(address)
    for _ in range(20):
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
            raw.sendall(os.urandom(20_000))
    assert request(address)[0] == 200
    assert memory(pid) - before < 100


@pytest.mark.parametrize("port", [-1, 70000, "80", None])
def test_a_port_that_is_none_is_refused(port: Any) -> None:
    with pytest.raises(UsageError, match="a port from 0 to 65535"):
        serve(port=port)
