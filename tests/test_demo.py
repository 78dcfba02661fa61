"""The demo writes everything it promises, and its baseline is the known one."""

from __future__ import annotations

from pathlib import Path

import pytest

import pushforward as pf
from pushforward.cli import demo
from pushforward.cli.runs import open_run
from pushforward.data import load_data

FILES = [
    "codec.safetensors",
    "config.json",
    "curve.png",
    "dequantization.png",
    "interpolation.png",
    "levels.png",
    "metrics.csv",
    "model.safetensors",
    "report.html",
    "samples.png",
    "test.pfz",
]


def test_independent_pixels_cost_what_is_known() -> None:
    data = load_data("digits")
    assert demo.independent_pixel_bits(data.train, data.test, 17) == pytest.approx(2.396, abs=5e-4)


def test_demo_leaves_a_run_with_pictures_and_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "IMPORTANCE_SAMPLES", 2)
    result = demo.run(tmp_path, max_time="00:00:02", progress=False)
    assert set(FILES) <= {path.name for path in tmp_path.iterdir()}
    assert any((tmp_path / "tensorboard").rglob("events*"))
    report = (tmp_path / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len([name for name in FILES if name.endswith(".png")])
    assert "http" not in report.split("<body>")[1], "the report stands alone"
    for value in result["test bits/dim"].values():
        assert f"{value:.3f}" in report
    run, flow = open_run(tmp_path)
    assert run.model == demo.MODEL and isinstance(flow, pf.Flow)
