"""RealNVP as the textbook has it, put together by hand from the library's parts, on scikit-learn's 8x8 digits.

    python examples/realnvp_textbook.py [--steps 2000]

Eight couplings, each keeping the first half of the pixels, each followed by a reversal of their order (a permutation
layer); one network of two hidden layers for a coupling's scales, bounded to (-1, 1), and shifts; uniform
dequantization, a standard normal prior. The one addition is that the dequantized pixels are standardised first.

Source: Tomczak (2022), Deep Generative Modeling, section 3.1 (listings 3.1 and 3.2).
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import nn

import pushforward as pf
from pushforward.transforms import Coupling, Dequantization, Standardise, flip, masks

PIXELS, LEVELS = 64, 17


def realnvp(flows: int = 8, hidden: int = 256) -> pf.Flow:
    """The textbook's RealNVP."""
    network = partial(pf.networks.MLP, hidden=(hidden, hidden), activation=nn.LeakyReLU)
    scalar = pf.scalar.Affine(bound=1.0)
    parts = [Dequantization(LEVELS, event_dims=1), Standardise(PIXELS)]
    for _ in range(flows):
        parts += [Coupling(masks.halves(PIXELS), scalar, network), flip(PIXELS)]
    return pf.Flow(parts, pf.distributions.StandardNormal((PIXELS,)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    torch.manual_seed(0)
    data = pf.data.load_data("digits")
    train, validation, test = (images.flatten(1) for images in (data.train, data.validation, data.test))
    flow = realnvp()
    pf.fit(flow, train, validation, max_steps=options.steps, batch_size=100, seed=0, progress=False)
    for name, samples in (("one draw of the noise", 1), ("64 draws", 64)):
        result = pf.evaluate(flow, test, importance_samples=samples)
        print(f"test, {name}: {result.bits_per_dim:.3f} bits/dim ({result.accuracy})")
    print(f"samples: {flow.sample(4).reshape(4, 8, 8).long().tolist()}")


if __name__ == "__main__":
    main()
