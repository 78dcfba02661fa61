"""Handwriting without its digit: a conditional invertible network of scikit-learn's 8x8 digits, its context the class.

    python examples/digit_styles.py [--steps 700] [--picture styles.png]

Given the class, what is left in the latent is the style. The same latent under another class is the same hand writing
another digit, and the directions that change most of what is seen are ways in which hands differ.

The picture: on the left digits that were not trained on, beside each what the same hand makes of 0 to 9. Below, some
classes along the first principal directions, through the mean style.

Source: Ardizzone et al. (2019), Guided image generation with conditional invertible neural networks, arXiv:1907.02392.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor

import pushforward as pf
from pushforward.plots.pictures import image_grid

CLASSES, PIXELS, LEVELS = 10, 64, 17
TRAINED, COPIES = 1500, 20
SHOWN, DIRECTIONS, DRAWN = 6, 2, (2, 3, 7)
AWAY = 3.0  # in standard deviations of the latents


def styles_under(flow: pf.Flow, styles: Tensor, classes: Tensor) -> Tensor:
    """Each style ``(N, 64)`` under each class ``(C,)``, ``(N, C, 64)``."""
    latents, given = styles[:, None].expand(-1, len(classes), -1), classes.expand(len(styles), -1)
    return flow.decode(latents, given)


def principal_directions(styles: Tensor, images: Tensor) -> Tensor:
    """Directions of styles ``(N, 64)``, as rows, that go with the principal components of their images ``(N, C, 64)``.

    The latents of a flow that has learned are a standard normal, with no direction longer than others; what differs is
    how much a direction changes what is seen.
    """
    seen = (images - images.mean(0)).flatten(1)
    components, _, _ = torch.linalg.svd(seen, full_matrices=False)
    return torch.nn.functional.normalize(components[:, :DIRECTIONS].T @ (styles - styles.mean(0)), dim=1)


def along(direction: Tensor) -> Tensor:
    """Styles on a line through the mean, ``(10, 64)``."""
    return torch.linspace(-AWAY, AWAY, CLASSES)[:, None] * direction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--picture", help="where to write the digits")
    options = parser.parse_args()
    torch.manual_seed(0)
    pixels, classes = (torch.as_tensor(each) for each in load_digits(return_X_y=True))
    # Many draws of the noise between the levels, so that the flow does not learn one by heart.
    copies = pixels[:TRAINED].float().repeat(COPIES, 1)
    train = (copies + torch.rand(copies.shape)) / LEVELS
    held_out = (pixels[TRAINED:] + torch.rand(len(pixels) - TRAINED, PIXELS)) / LEVELS
    network = pf.inference.ConditionalInvertibleNetwork(PIXELS, pf.spaces.Categories(CLASSES), layers=8, hidden=128)
    network.fit(
        train,
        classes[:TRAINED].repeat(COPIES),
        validation=(held_out, classes[TRAINED:]),
        max_steps=options.steps,
        batch_size=256,
        learning_rate=2e-3,
        optimizer="adamw",
        weight_decay=0.3,
        seed=0,
    )

    flow = network.flow
    with torch.no_grad():
        log_likelihoods = torch.stack(
            [flow.log_prob(held_out, torch.full((len(held_out),), c)) for c in range(CLASSES)]
        )
        right = (log_likelihoods.argmax(0) == classes[TRAINED:]).double().mean()
        print(f"the class by likelihood: {right:.1%} of the digits that were not trained on")
        styles = flow.encode(held_out[:SHOWN], classes[TRAINED : TRAINED + SHOWN])
        transferred = styles_under(flow, styles, torch.arange(CLASSES))
        hands = flow.encode(train[:TRAINED], classes[:TRAINED])
        deviations = torch.linalg.svdvals(hands - hands.mean(0)) / len(hands) ** 0.5
        print(f"deviations of the latents along their own directions: {deviations[0]:.2f} to {deviations[-1]:.2f}")
        directions = principal_directions(hands, styles_under(flow, hands, torch.arange(CLASSES)))
        lines = [
            flow.decode(along(direction), torch.full((CLASSES,), digit)) for direction in directions for digit in DRAWN
        ]
    if options.picture:
        transfers = torch.cat([held_out[:SHOWN, None], transferred], 1)
        bare = torch.zeros(len(lines), 1, PIXELS)
        rows = torch.cat([transfers, torch.cat([bare, torch.stack(lines)], 1)])
        image_grid(rows.view(-1, 1, 8, 8).clamp(0, 1), options.picture, maximum=1.0, columns=CLASSES + 1)


if __name__ == "__main__":
    main()
