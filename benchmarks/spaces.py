"""Circles, spheres, tails, copulas, mixtures and the forerunners: what was asked, beside what came out.

    python benchmarks/spaces.py                       # every row, with the budgets that are named: hours
    python benchmarks/spaces.py tori backbone         # some of them
    python benchmarks/spaces.py earth --seconds 30    # trainings of 30 seconds, to see that a row runs
    python benchmarks/spaces.py tails --data FOLDER --out rows.json

Each row is a file of `benchmarks/spaces_rows/`, whose head says what is compared with what. FOLDER holds ``earth/`` and
``torus/`` with events on the earth and angles of proteins, for the rows that need them.
"""

from pathlib import Path

from rows import main

if __name__ == "__main__":
    main(Path(__file__).parent / "spaces_rows", __doc__)
