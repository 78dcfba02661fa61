"""Integer discrete flows as the textbook has them, put together by hand, on scikit-learn's 8x8 digits.

    python examples/idf_textbook.py [--parts 4] [--steps 600]

Eight layers, each followed by a reversal of the pixels' order: couplings in two parts (Hoogeboom et al. 2019) or in
four (the chapter's proposition 3.1). A network of two hidden layers gives each part's shift, which is rounded; a
discretized logistic for each pixel is the base. No noise is added to the integers, so the likelihood is exact.

Source: Tomczak (2022), Deep Generative Modeling, section 3.2 (listings 3.3 to 3.6).
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import nn

import pushforward as pf
from pushforward.networks import MLP
from pushforward.transforms import Integers, bipartite, flip, quadripartite

PIXELS, LEVELS = 64, 17
LAYERS = {2: bipartite, 4: quadripartite}


def integer_flow(parts: int, flows: int = 8, hidden: int = 256) -> pf.Flow:
    """The textbook's integer discrete flow, option 1 (two parts) or 2 (four)."""
    network = partial(MLP, hidden=(hidden, hidden), activation=nn.LeakyReLU)
    shift = pf.scalar.RoundedShift()
    layers = [part for _ in range(flows) for part in (LAYERS[parts]((PIXELS,), shift, network), flip(PIXELS))]
    return pf.Flow([Integers(LEVELS), *layers], pf.distributions.DiscretizedLogistic((PIXELS,), center=8.0, unit=8.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, choices=LAYERS, default=4)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    torch.manual_seed(0)
    data = pf.data.load_data("digits")
    train, validation, test = (images.flatten(1) for images in (data.train, data.validation, data.test))
    flow = integer_flow(options.parts)
    # Large steps: a pixel that is always 0 needs a base of a small scale, which begins at that of all levels.
    pf.fit(flow, train, validation, max_steps=options.steps, learning_rate=1e-2, batch_size=100, seed=0, progress=False)
    result = pf.evaluate(flow, test)
    print(f"test: {result.bits_per_dim:.3f} bits/dim ({result.accuracy})")
    back = flow.decode(flow.encode(test))
    print(f"every image came back: {bool((back == test).all())}")
    print(f"samples: {flow.sample(4).reshape(4, 8, 8).long().tolist()}")


if __name__ == "__main__":
    main()
