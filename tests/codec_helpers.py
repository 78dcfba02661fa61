"""Small models, files and the command line, for the tests of the codec."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import torch
import typer
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

import pushforward as pf
from pushforward.cli import codec as commands
from pushforward.codec import export
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.portable import PortableFlow

app = typer.Typer()
commands.register(app)


def trained_like(flow: pf.Flow, seed: int = 0) -> pf.Flow:
    """A flow whose zero-initialised layers have random weights, as training would leave them."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in flow.parameters():
        if not parameter.any():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return flow.eval()


def build_idf(shape: tuple[int, int, int], levels: int, seed: int = 0) -> pf.Flow:
    torch.manual_seed(seed)
    options = {"hidden": [6], "blocks": 1, "coupling_hidden": 4, "layers": 1}
    return trained_like(pf.build("idf", shape=shape, levels=levels, **options), seed)


@cache
def small(seed: int = 0) -> PortableFlow:
    """Digits: 8 x 8 pixels of 17 levels."""
    return export(build_idf((1, 8, 8), 17, seed))


@cache
def colour() -> PortableFlow:
    """Colour patches of bytes."""
    return export(build_idf((3, 4, 4), 256))


@cache
def grey() -> PortableFlow:
    """Grey patches of bytes."""
    return export(build_idf((1, 4, 4), 256))


def digits_of(count: int, seed: int = 0) -> np.ndarray:
    return small().preview(AnsCoder(), count, 0, seed).numpy().astype(np.uint8)


def run(*arguments: object, expect: type[BaseException] | None = None, stdin: bytes | None = None) -> bytes:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if expect is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, expect), (result.output, result.exception)
    return result.stdout_bytes


def smooth_images(count: int = 5, size: int = 8) -> np.ndarray:
    smooth = np.add.outer(np.arange(size) * 7, np.arange(size) * 5)
    return (smooth + 3 * np.arange(count)[:, None, None]).astype(np.uint8)


def png(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def sample_pictures() -> dict[str, bytes]:
    grey = smooth_images(1, 13)[0]
    colour = np.stack([grey, 255 - grey, grey // 2], -1)
    palette = Image.fromarray(grey).convert("P")
    palette.putpalette([value for index in range(256) for value in (index, 255 - index, index // 3)])
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "somebody")
    return {
        "grey": png(Image.fromarray(grey)),
        "colour": png(Image.fromarray(colour)),
        "alpha": png(Image.fromarray(np.concatenate([colour, grey[..., None]], -1), "RGBA")),
        "grey-alpha": png(Image.fromarray(np.stack([grey, 255 - grey], -1), "LA")),
        "palette": png(palette, transparency=3),
        "few-colours": png(Image.fromarray(colour).quantize(5)),
        "bits": png(Image.fromarray(grey > 40)),
        "sixteen": png(Image.fromarray(grey.astype(np.uint16) * 257)),
        "one-pixel": png(Image.fromarray(grey[:1, :1])),
        "film": png(Image.fromarray(grey), save_all=True, append_images=[Image.fromarray(grey // 2)]),
        "with-notes": png(Image.fromarray(grey), pnginfo=notes, dpi=(300, 300)),
    }
