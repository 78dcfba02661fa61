"""Draws the pictures of the concepts: ``python docs/concepts/pictures/draw.py [NAME ...]``, always the same."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from bent_grids import BENT
from law_pictures import LAWS
from part_pictures import PARTS

HERE = Path(__file__).parent
PICTURES = PARTS | BENT | LAWS


def main(names: list[str]) -> None:
    """Draw some pictures, or all."""
    plt.rcParams["svg.hashsalt"] = "pushforward"
    for name in names or PICTURES:
        figure = PICTURES[name]()
        figure.savefig(HERE / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1:])
