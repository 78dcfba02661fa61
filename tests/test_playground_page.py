"""The playground's page in a browser: by keyboard, at phone width, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, NAMES, Tab, browsing
from playground_client import serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is on PATH")

# Longer than any machine needs, so that a busy one passes too.
PATIENCE = 60

CONTRAST = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, k) => sum + value * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return channels(colour)[3] === 0 && element.parentElement ? ground(element.parentElement) : colour;
  };
  const text = [...document.querySelectorAll("p, label, h1, h2, dt, dd, button, select, legend, figcaption")];
  const ratios = text.filter((element) => element.offsetParent).map((element) => {
    const [low, high] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
  return Math.min(...ratios);
})()"""

SPILLS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

NAMELESS = """[...document.querySelectorAll("canvas, input, select, button")]
  .filter((element) => !(element.getAttribute("aria-label") || element.labels?.length || element.textContent.trim()))
  .map((element) => element.outerHTML)"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as (address, _):
        yield address


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def text(tab: Tab, name: str) -> str:
    return tab.value(f"document.getElementById('{name}').textContent")


def steps(tab: Tab) -> int:
    return int(text(tab, "step").replace(",", ""))


def train(tab: Tab) -> None:
    """Train the smallest flow until there is something to see of it, and pause."""
    tab.value(
        "for (const [name, value] of [['flow', 'realnvp'], ['depth', 2]]) document.getElementById(name).value = value;"
        "document.getElementById('form').dispatchEvent(new Event('input'));"
        "document.getElementById('form').requestSubmit()"
    )
    tab.wait("Number(document.getElementById('step').textContent.replace(',', '')) > 0", PATIENCE)
    tab.value("document.getElementById('pause').click()")
    tab.wait("document.getElementById('pause').textContent === 'Go on'", PATIENCE)


def test_one_trains_pauses_and_walks_through_the_layers_by_keyboard(address: str, tab: Tab, tmp_path: Path) -> None:
    tab.open(address)
    tab.value("document.getElementById('density').focus()")
    # Past the flow, the depth and the bins to the button.
    for _ in range(4):
        tab.press("Tab", 9)
    assert tab.value("document.activeElement.textContent") == "Train"
    tab.press("Enter", 13, "\r")
    tab.wait("Number(document.getElementById('step').textContent.replace(',', '')) > 0", PATIENCE)
    tab.press("Tab", 9)
    tab.press(" ", 32, " ")
    tab.wait("document.getElementById('pause').textContent === 'Go on'", PATIENCE)
    done = steps(tab)
    tab.value("document.getElementById('stage').focus()")
    assert text(tab, "layer-value").startswith("6 of 6")
    tab.press("ArrowLeft", 37)
    assert text(tab, "layer-value").startswith("5 of 6")
    for _ in range(5):
        tab.press("ArrowLeft", 37)
    assert text(tab, "layer-value") == "the latent plane"
    assert "2,000 samples" in tab.value("document.getElementById('stage').getAttribute('aria-label')")
    assert steps(tab) == done
    tab.screenshot(tmp_path / "latent-plane.png")
    assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_reads_well_at_every_width_in_light_and_dark(
    address: str, tab: Tab, tmp_path: Path, width: int, scheme: str
) -> None:
    tab.open(address, width=width, scheme=scheme)
    train(tab)
    assert tab.value(SPILLS) == 0
    # What the guidelines for accessible content ask of text (WCAG 2.2, level AA).
    assert tab.value(CONTRAST) >= 4.5
    assert tab.value(NAMELESS) == []
    tab.screenshot(tmp_path / f"{scheme}-{width}.png")
    assert tab.complaints == []


def test_a_frame_of_two_thousand_points_takes_the_script_less_than_8_ms(address: str, tab: Tab) -> None:
    tab.open(address)
    train(tab)
    tab.value("document.getElementById('play').click()")
    # The page counts for itself, and writes the median each second.
    tab.value("new Promise((done) => setTimeout(done, 2500))")
    assert 0 < float(text(tab, "frame")) < 8


def test_what_is_drawn_by_keyboard_is_learned(address: str, tab: Tab) -> None:
    tab.open(address)
    tab.value("document.getElementById('density').value = 'drawn'; document.getElementById('form').requestSubmit()")
    tab.wait("document.getElementById('status').textContent === 'sheet: nothing is drawn on it'")
    tab.value(
        "document.getElementById('form').dispatchEvent(new Event('input')); document.getElementById('sheet').focus()"
    )
    tab.press(" ", 32, " ")
    train(tab)
    assert text(tab, "status") == "Paused: what was learned stays."


REFUSED = """(async () => {
  const { Images } = await import("./images.js");
  const asked = [];
  const model = { draw() {}, decode: (latents) => asked.push(latents) };
  const images = new Images(model, { levels: [[2]], sides: [2, 2], images: 1 }, () => {});
  const reply = { arrays: { image: { shape: [2, 2], values: [0, 0, 0, 0] }, "level 1": { values: [NaN, 1] } } };
  images.encoded(reply);
  images.encoded(reply);
  images.refused("decode");
  images.mix();
  images.refused("decode");
  for (const end of ["first", "second"]) {
    images.ask(end, () => {});
    images.ends[end] = null;
  }
  images.refused("encode");
  images.encoded(reply);
  return [asked, images.ends.first, images.ends.second !== null];
})()"""


def test_what_is_refused_stops_no_image_after_it(address: str, tab: Tab) -> None:
    tab.open(address)
    assert tab.value(REFUSED) == [[[[0, 1]], [[0, 1]]], None, True]


def test_between_two_images_one_level_at_a_time(address: str, tab: Tab, tmp_path: Path) -> None:
    picture = "document.getElementById('{}').toDataURL()"
    tab.open(address)
    tab.value("for (const end of ['first', 'second']) document.getElementById(`another-${end}`).click()")
    tab.wait("document.querySelectorAll('#levels fieldset').length === 2")
    empty = tab.value(
        "(() => { const c = document.createElement('canvas'); c.width = c.height = 192; return c.toDataURL() })()"
    )
    tab.wait(f"{picture.format('between')} !== {empty!r}")
    before = tab.value(picture.format("between"))
    # A picture that is dropped on the second, a bright stroke.
    tab.value(
        """(async () => {
          const canvas = new OffscreenCanvas(40, 40);
          const context = canvas.getContext("2d");
          context.fillRect(0, 0, 40, 40);
          context.fillStyle = "white";
          context.fillRect(16, 4, 8, 32);
          const files = new DataTransfer();
          files.items.add(new File([await canvas.convertToBlob()], "one.png", { type: "image/png" }));
          const dropped = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
          document.getElementById("second").dispatchEvent(dropped);
        })()"""
    )
    middle = "document.getElementById('second').getContext('2d').getImageData({}, 64, 1, 1).data[0]"
    tab.wait(f"{middle.format(60)} > 200 && {middle.format(8)} < 50")
    tab.value(
        "for (const share of document.querySelectorAll('[data-role=share]')) {"
        "share.value = 1; share.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    tab.wait(f"{picture.format('between')} !== {before!r}")
    # What is decoded is what was dropped, of brightnesses that the flow knows.
    mixed = "document.getElementById('between').getContext('2d').getImageData({}, 96, 1, 1).data[0]"
    tab.wait(f"{mixed.format(90)} > 200 && {mixed.format(12)} < 50")
    tab.screenshot(tmp_path / "images.png")
    assert tab.complaints == []
