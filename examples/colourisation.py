"""Colours for grey photographs: a conditional invertible network, its context the luminance as an image.

    python examples/colourisation.py [--steps 3000] [--patches 20000] [--picture colours.png]

Two photographs come with scikit-learn. Patches of 8 x 8 pixels, each pixel the mean of 4 x 4 of the photograph's, are
taken apart into luminance and colour (CIE Lab). The flow learns the colour, at half of the luminance's resolution,
given the luminance; each draw is another way to colour a patch. Of eight upright strips of each photograph it is
trained on six, and colours the other two.

Source: Ardizzone et al. (2019), Guided image generation with conditional invertible neural networks, arXiv:1907.02392.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.nn import functional as F

import pushforward as pf
from pushforward.plots.pictures import image_grid

SIDE, SHRINK, STRIPS, SHOWN, DRAWS = 8, 4, 8, 12, 20
# From linear sRGB to CIE XYZ, and the white of daylight (D65).
TO_XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)
BEND = 6 / 29


def to_lab(rgb: Tensor) -> Tensor:
    """CIE Lab, ``(..., 3, H, W)``, of sRGB colours in [0, 1]: luminance 0 to 100, then green to red, blue to yellow."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = _channels(TO_XYZ / WHITE[:, None], linear)
    x, y, z = torch.where(ratio > BEND**3, ratio.clamp_min(1e-12) ** (1 / 3), ratio / (3 * BEND**2) + 4 / 29).unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def to_rgb(lab: Tensor) -> Tensor:
    """The sRGB colours of Lab ones, those that no screen can show at the nearest edge."""
    luminance, red, yellow = lab.unbind(-3)
    y = (luminance + 16) / 116
    bent = torch.stack([y + red / 500, y, y - yellow / 200], -3)
    ratio = torch.where(bent > BEND, bent**3, 3 * BEND**2 * (bent - 4 / 29))
    linear = _channels(torch.linalg.inv(TO_XYZ / WHITE[:, None]), ratio).clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-12) ** (1 / 2.4) - 0.055)


def patches(strips: list[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Luminances ``(count, 1, 8, 8)`` and colours ``(count, 32)`` of random patches of photographs in sRGB."""
    lab = [to_lab(each).unfold(-2, SIDE, 1).unfold(-2, SIDE, 1) for each in strips]
    every = torch.cat([each.movedim(1, 3).reshape(-1, 3, SIDE, SIDE) for each in lab])
    chosen = every[torch.randint(len(every), (count,))]
    return chosen[:, :1], F.avg_pool2d(chosen[:, 1:], 2).flatten(1)


def coloured(luminance: Tensor, colours: Tensor) -> Tensor:
    """The sRGB patches ``(N, 3, 8, 8)`` of luminances and colours."""
    wide = F.interpolate(colours.unflatten(-1, (2, SIDE // 2, SIDE // 2)), scale_factor=2, mode="bilinear")
    return to_rgb(torch.cat([luminance, wide], 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--picture", help="where to write the patches: grey, as they are, and three times coloured")
    options = parser.parse_args()
    torch.manual_seed(0)
    photographs = torch.stack([torch.as_tensor(image) for image in load_sample_images().images])
    small = F.avg_pool2d(photographs.movedim(-1, 1) / 255, SHRINK)
    strips = list(small.chunk(STRIPS, -1))
    held_out = [strips.pop(place) for place in (6, 2)]

    summary = nn.Sequential(
        *[nn.Conv2d(1, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU()],
        *[nn.Flatten(), nn.Linear(32 * 16, 64), nn.SiLU()],
    )
    network = pf.inference.ConditionalInvertibleNetwork(32, (1, SIDE, SIDE), embedding=summary, hidden=128)
    luminance, colours = patches(strips, options.patches)
    network.fit(colours, luminance, max_steps=options.steps, batch_size=256, seed=0)

    luminance, colours = patches(held_out, SHOWN * 10)
    drawn = network.posterior(luminance).sample((DRAWS,))
    away = (drawn.mean(0) - colours).abs().mean()
    print(f"colours, the mean of {DRAWS} draws: {away:.2f} from those of the photograph on average (in Lab units)")
    print(f"a grey guess: {colours.abs().mean():.2f}; between two draws: {(drawn[0] - drawn[1]).abs().mean():.2f}")
    if options.picture:
        shown = [torch.zeros_like(colours), colours, *drawn[:3]]
        rows = [coloured(luminance[:SHOWN], each[:SHOWN]) for each in shown]
        image_grid(torch.cat(rows), options.picture, maximum=1.0, columns=SHOWN)


def _channels(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix, image)


if __name__ == "__main__":
    main()
