"""The scripts of the gallery run, trained for a few steps, and draw pictures that have something on them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import pushforward as pf

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = sorted((DOCS / "gallery").glob("*.py"))
QUICK = {"bounded_scales", "integers_and_noise", "squeeze_and_checkerboard", "stochastic_layers", "volumes"}
"""Scripts that train nothing."""

STEPS = 2


def figures_of(names: dict[str, Any]) -> dict[str, Any]:
    from matplotlib.figure import Figure

    return {name: value for name, value in names.items() if isinstance(value, Figure)}


@pytest.fixture()
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings end after a few steps; all else is as it stands."""
    fit, fit_posterior = pf.fit, pf.inference.fit_posterior
    monkeypatch.setattr(pf, "fit", lambda *args, **options: fit(*args, **{**options, "max_steps": STEPS}))
    monkeypatch.setattr(
        pf.inference, "fit_posterior", lambda *args, **options: fit_posterior(*args, **{**options, "steps": STEPS})
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("short_trainings")
@pytest.mark.parametrize(
    "script",
    [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in SCRIPTS],
)
def test_a_script_draws_its_pictures(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the site runs it, and finds the trainings that are kept.
    monkeypatch.chdir(script.parent)
    figures = figures_of(runpy.run_path(str(script)))
    assert figures
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=30)
        drawn = [artist for axes in figure.axes for artist in (*axes.lines, *axes.images, *axes.collections)]
        drawn += [patch for axes in figure.axes for patch in axes.patches]
        assert drawn, f"{script.name}: {name} is empty"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_has_the_form_of_the_gallery(script: Path) -> None:
    first, title, line = script.read_text().splitlines()[:3]
    assert first in ('"""', 'r"""') and title and set(line) == {"="} and len(line) == len(title), script.name
    assert "plt.show" not in script.read_text()


def test_the_scraper_shows_each_figure_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gallery = pytest.importorskip("sphinx_gallery.scrapers")
    from matplotlib.figure import Figure

    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    monkeypatch.delitem(sys.modules, "figure_scraper", raising=False)
    import figure_scraper

    names: dict[str, Any] = {"figure": Figure(figsize=(1, 1)), "number": 3}
    paths = gallery.ImagePathIterator(str(tmp_path / "image_{0:03}.png"))
    block = {"example_globals": names, "image_path_iterator": paths}
    shown = [figure_scraper.scrape(None, block, {"src_dir": str(tmp_path)}) for _ in range(2)]
    assert "image_001.png" in shown[0] and "image" not in shown[1]
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_the_site_uses_the_scraper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    conf = runpy.run_path(str(DOCS / "conf.py"))
    assert conf["sphinx_gallery_conf"]["image_scrapers"] == ("figure_scraper",)
