"""The playground without a server: the graphs are the flow's layers, and a browser runs them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import CHROMIUM, Tab, browsing
from playground_client import unpack
from playground_files import RUNTIME, serving_files

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.playground import write_site
from pushforward.playground.files import SERVER, TRAINED, read_files
from pushforward.playground.messages import Start
from pushforward.playground.pictures import Pictures
from pushforward.playground.runtime import read_runtime

ASKED = Start("moons", None, "realnvp", 1, 4)
MEMBERS = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def package(path: Path, *names: str) -> Path:
    """A package of files that say their names."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


def run(path: Path, *inputs: np.ndarray) -> np.ndarray:
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    named = {port.name: value for port, value in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, named)[0]


def test_the_page_is_the_same_but_for_who_answers() -> None:
    served, trained = read_files(SERVER), read_files(TRAINED)
    assert {name for name in served if served[name] != trained[name]} == {"model.js"}
    assert trained["model.js"] == trained["trained.js"]


def test_of_the_runtime_two_files_are_taken(tmp_path: Path) -> None:
    found = read_runtime(package(tmp_path / "whole.tgz", "else.mjs", *MEMBERS))
    assert found == {name: name.encode() for name in MEMBERS}


@pytest.mark.parametrize("kind", ["missing", "garbage", "another", "cut"])
def test_another_package_is_refused_before_any_training(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "given.tgz"
    if kind == "garbage":
        path.write_bytes(b"no archive")
    elif kind == "another":
        package(path, MEMBERS[0])
    elif kind == "cut":
        path.write_bytes(package(path, *MEMBERS).read_bytes()[:100])
    with pytest.raises(UsageError, match="npm pack onnxruntime-web"):
        write_site(tmp_path / "out", path)
    assert not (tmp_path / "out").exists()


browser_only = pytest.mark.skipif(
    CHROMIUM is None or RUNTIME is None, reason="needs a browser, and onnxruntime-web, which make playground fetches"
)


def write(place: Path, pictures: Pictures | None = None) -> Path:
    """A small site; where there is no runtime, with one that cannot run."""
    torch.manual_seed(0)
    runtime = RUNTIME or package(place / "package.tgz", *MEMBERS)
    write_site(place / "out", runtime, pictures, [ASKED], steps=20, told=lambda line: None)
    return place / "out"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    return write(tmp_path_factory.mktemp("site"))


def test_images_whose_decoding_is_no_graph_are_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise UsageError("decode of this flow iterates")

    monkeypatch.setattr("pushforward.playground.static_site.export", refuse)
    flow = pf.build("multiscale", shape=(1, 4, 4), levels=17, layers=1, hidden=4)
    pictures = Pictures(flow, torch.zeros(1, 1, 4, 4))
    with pytest.raises(UsageError, match="decode of this flow iterates"):
        write_site(tmp_path, package(tmp_path / "package.tgz", *MEMBERS), pictures, told=pytest.fail)


def check_layers(folder: Path, samples: np.ndarray, determinants: np.ndarray) -> None:
    """Samples behind each layer, ``(layers + 1, n, 2)``, and their determinants, are what the graphs say."""
    grown = np.zeros(samples.shape[1])
    for number in range(len(samples) - 1):
        x = run(folder / "moons-realnvp" / f"decode-{number}.onnx", samples[number])
        assert np.allclose(x, samples[number + 1], atol=1e-4)
        normal = -0.5 * (samples[number] ** 2).sum(-1) - np.log(2 * np.pi)
        grown += normal - run(folder / "moons-realnvp" / f"log_prob-{number}.onnx", samples[number + 1])
        assert np.allclose(grown, determinants[number + 1], atol=1e-3)


def test_the_graphs_are_the_layers_and_their_determinants(folder: Path) -> None:
    stored = unpack((folder / "moons-realnvp" / "view.bin").read_bytes())["arrays"]
    check_layers(folder, stored["samples"], stored["determinants"])


def test_no_graph_says_where_it_was_made(folder: Path) -> None:
    assert not any(
        b"site-packages" in path.read_bytes() or b"/src/" in path.read_bytes() for path in folder.rglob("*.onnx")
    )


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with serving_files(folder) as address:
        yield address


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


COLLECT = """(async () => {
  const { connect } = await import('./model.js');
  const told = [];
  const until = async (type) => {
    while (!told.some((reply) => reply.type === type)) await new Promise((next) => setTimeout(next, 10));
    return told.find((reply) => reply.type === type);
  };
  const model = connect((reply) => told.push(reply));
  const plain = (reply) => ({
    ...reply,
    arrays: Object.fromEntries(Object.entries(reply.arrays).map(([name, { values }]) => [name, Array.from(values)])),
  });
  %s
})()"""


@browser_only
def test_the_browser_shows_a_trained_flow_and_streams_samples(site: str, tab: Tab, tmp_path: Path) -> None:
    tab.open(site, width=390)
    tab.wait("document.getElementById('status').textContent.startsWith('This flow has learned')", 60)
    assert tab.value("[...document.getElementById('density').options].map((option) => option.value)") == ["moons"]
    assert tab.value("document.getElementById('step').textContent") == "20"
    tab.value("document.getElementById('pause').click()")
    tab.wait("document.getElementById('status').textContent === 'Paused.'")
    assert tab.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    tab.screenshot(tmp_path / "trained.png")
    assert tab.complaints == []


@browser_only
def test_what_the_browser_computes_is_what_the_flow_computes(site: str, folder: Path, tab: Tab) -> None:
    tab.open(site)
    ask = (
        "model.start({ density: 'moons', flow: 'realnvp' }); const first = plain(await until('view')); model.pause(); "
    )
    ask += "await until('paused'); told.length = 0; model.look(0.5); return [first, plain(await until('view'))]"
    first, looked = tab.value(COLLECT % ask)
    stored = unpack((folder / "moons-realnvp" / "view.bin").read_bytes())["arrays"]
    assert np.allclose(first["arrays"]["density"], stored["density"].flatten(), atol=1e-6)
    count = len(looked["layers"]) + 1
    samples = np.array(looked["arrays"]["samples"], np.float32).reshape(count, 2000, 2)
    determinants = np.array(looked["arrays"]["determinants"]).reshape(count, 2000)
    check_layers(folder, samples, determinants)
    assert samples[0].std() < 0.6


@browser_only
@pytest.mark.slow
def test_an_image_comes_back_from_its_latents_in_the_browser(tab: Tab, tmp_path: Path) -> None:
    images = torch.randint(0, 17, (2, 1, 4, 4)).float()
    flow = pf.build("glow", shape=(1, 4, 4), levels=17, layers=1, hidden=4)
    flow.initialise(images)
    folder = write(tmp_path, Pictures(flow, images))
    levels = len(json.loads((folder / "models.json").read_text())["pictures"]["levels"])
    latents = ", ".join(f"drawn.arrays['level {number}']" for number in range(1, levels + 1))
    ask = f"model.draw(1); const drawn = plain(await until('encoded')); model.decode([{latents}]); "
    ask += "return [drawn, plain(await until('decoded'))]"
    with serving_files(folder) as address:
        tab.open(address)
        drawn, decoded = tab.value(COLLECT % ask)
        tab.wait("document.querySelectorAll('#levels fieldset').length > 0")
    assert np.allclose(drawn["arrays"]["image"], images[1].flatten() / 16, atol=1e-6)
    assert np.allclose(drawn["arrays"]["image"], decoded["arrays"]["image"], atol=1e-4)
