"""Pixel models in exact arithmetic: what is coded is what the network says, pixel by pixel, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from codec_helpers import app, trained_like
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli.codec_levels import Levels
from pushforward.codec import compress, decompress, export, load_portable, save_portable
from pushforward.codec.archive.blocks import MODELLED, decode_patches
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact import causal
from pushforward.codec.exact.causal_networks import IntegerSweep
from pushforward.codec.exact.pixels import IntegerPixels
from pushforward.errors import CheckpointError, CodecError, UsageError
from pushforward.spaces import Categories

SHAPE, LEVELS = (2, 5, 4), 7
OPTIONS = {"layers": 2, "hidden": 8, "first_kernel": 5}


def _flow(name: str, **options: object) -> pf.Flow:
    torch.manual_seed(0)
    flow = trained_like(pf.build(name, shape=SHAPE, levels=LEVELS, **OPTIONS, **options))
    # Far from the start, so that every tap counts.
    for parameter in flow.parameters():
        parameter.data *= 1.5
    return flow


def _images(count: int) -> torch.Tensor:
    return torch.randint(LEVELS, (count, *SHAPE), generator=torch.Generator().manual_seed(0))


def _base(flow: pf.Flow) -> IntegerPixels:
    base = export(flow).flow.base  # type: ignore[attr-defined]
    assert isinstance(base, IntegerPixels)
    return base


def _parameters(sweep: IntegerSweep, images: torch.Tensor) -> torch.Tensor:
    """The parameters (N, C, H, W, P) of each channel of each pixel, in units of one."""
    channels, height, width = images.shape[1:]
    found = []
    for i in range(height):
        sweep.begin(i)
        for j in range(width):
            for channel in range(channels):
                seen = images[:, :, i, j].clone()
                seen[:, channel:] = 0
                sweep.write(j, seen)
                found.append(sweep.outputs(j).chunk(channels, 1)[channel] * 2.0**-14)
            sweep.write(j, images[:, :, i, j])
        sweep.end()
    return torch.stack(found, 1).unflatten(1, (height, width, channels)).permute(0, 3, 1, 2, 4)


@pytest.mark.parametrize("name", ["pixelcnn", "gated-pixelcnn"])
def test_integers_say_what_the_network_says(name):
    flow = _flow(name).double()
    images = _images(6)
    parameters = _parameters(_base(flow).network.sweep(len(images), SHAPE[2]), images)
    with torch.no_grad():
        expected = flow.base.parameters_of(images.double())
    assert expected.abs().max() > 0.3
    assert (parameters - expected).abs().max() < 0.01


@pytest.mark.parametrize("name", ["pixelcnn", "gated-pixelcnn"])
def test_images_cost_their_mass_and_come_back(name, tmp_path):
    flow = _flow(name)
    model, images = export(flow), _images(9)
    with torch.no_grad():
        expected = float(flow.bits_per_dim(images).sum()) * images[0].numel()
    assert abs(model.bits(images) / expected - 1) < 0.002
    # What else is in the batch changes no bit.
    assert model.bits(images) == pytest.approx(sum(model.bits(image[None]) for image in images), rel=1e-12)
    save_portable(model, tmp_path / "model.safetensors")
    again = load_portable(tmp_path / "model.safetensors")
    assert again.fingerprint == model.fingerprint
    coder = AnsCoder()
    model.push(coder, images)
    assert torch.equal(again.pop(AnsCoder(coder.to_bytes()), len(images)), images)
    array = images.numpy().astype(np.uint8)
    assert np.array_equal(decompress(again, compress(model, array)), array)


def test_mixtures_of_logistics_are_coded_too():
    flow, images = _flow("pixelcnn", likelihood="logistic", components=3), _images(5)
    model = export(flow)
    with torch.no_grad():
        expected = float(flow.bits_per_dim(images).sum()) * images[0].numel()
    assert abs(model.bits(images) / expected - 1) < 0.01


@pytest.mark.parametrize("name", ["pixelcnn", "gated-pixelcnn"])
def test_black_and_white(name, tmp_path):
    """Pixels of two levels have a mass of their own."""
    torch.manual_seed(0)
    flow = trained_like(pf.build(name, shape=(1, 4, 5), levels=2, layers=1, hidden=6, first_kernel=3))
    flow.base.network.head.last.weight.data *= 30  # type: ignore[union-attr]
    images = flow.sample(200).long()
    with torch.no_grad():
        expected = float(flow.bits_per_dim(images).sum()) * images[0].numel()
    assert expected < 0.9 * images.numel()
    save_portable(export(flow), tmp_path / "model.safetensors")
    model = load_portable(tmp_path / "model.safetensors")
    assert abs(model.bits(images) / expected - 1) < 0.001
    array = images.numpy().astype(bool)
    assert np.array_equal(decompress(model, compress(model, array)), array)


def test_how_many_images_are_multiplied_at_a_time_changes_no_bit(monkeypatch):
    network, images = _base(_flow("gated-pixelcnn")).network, _images(5)
    expected = _parameters(network.sweep(len(images), SHAPE[2]), images)
    monkeypatch.setattr(causal, "CACHED", 1)
    assert torch.equal(_parameters(network.sweep(len(images), SHAPE[2]), images), expected)


def test_a_block_with_more_than_its_events_is_damaged():
    model, images, coder = export(_flow("pixelcnn")), _images(3), AnsCoder(b"more")
    model.push(coder, images)
    with pytest.raises(CodecError, match="more than its events"):
        decode_patches(model, memoryview(bytes([MODELLED]) + coder.to_bytes()), len(images), None, np.dtype(np.uint8))


def test_types_that_numpy_has_not_are_refused():
    with pytest.raises(UsageError, match=r"bfloat16.*convert"):
        compress(export(_flow("pixelcnn")), torch.zeros(2, *SHAPE, dtype=torch.bfloat16))


def test_a_context_is_refused():
    with pytest.raises(UsageError, match="context"):
        export(_flow("gated-pixelcnn", context=Categories(3)))


def test_levels_lie_side_by_side(tmp_path: Path):
    """compress --level best takes the model beside the one named, and what is read finds the one that wrote it."""
    fast, best = pf.build("coarse-to-fine", shape=(1, 4, 4), levels=5, hidden=[4], blocks=1), tmp_path / "best"
    slow = pf.build("pixelcnn", shape=(1, 4, 4), levels=5, layers=1, hidden=4)
    for flow, name in ((fast, "fast"), (slow, "best")):
        pf.save(trained_like(flow), tmp_path / f"{name}.safetensors")
        _run("export-codec", tmp_path / f"{name}.safetensors", "-o", tmp_path / "codec.safetensors", "--level", name)
    assert (tmp_path / "codec.best.safetensors").is_file()
    # Images that are likely to both models, so that neither leaves them to a general coder.
    images = export(slow).preview(AnsCoder(), 400, 0).numpy().astype(np.uint8)
    place = tmp_path / "images.npy"
    np.save(place, images)
    model = ["--model", tmp_path / "codec.safetensors"]
    for level in ("fast", "best"):
        _run("compress", place, *model, "--level", level, "-o", tmp_path / f"{level}.pfz")
        _run("test", tmp_path / f"{level}.pfz", *model)
        _run("decompress", tmp_path / f"{level}.pfz", *model, "-o", best)
        assert np.array_equal(np.load(best), images)
        best.unlink()
    whole = (tmp_path / "codec.safetensors").read_bytes()
    (tmp_path / "codec.safetensors").write_bytes(b"damaged")
    _run("test", tmp_path / "best.pfz", *model)
    (tmp_path / "codec.safetensors").write_bytes(whole)
    (tmp_path / "codec.best.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"codec\.best"):
        Levels(tmp_path / "codec.safetensors").of((tmp_path / "best.pfz").read_bytes())
    result = CliRunner().invoke(
        app, ["compress", str(place), "--model", str(tmp_path / "fast.safetensors"), "--level", "best"]
    )
    assert "export-codec RUN --level best" in str(result.exception)


def _run(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
