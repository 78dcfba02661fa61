"""Images, video and sequences, one element after the other: what was asked, beside what came out.

    python benchmarks/images.py                       # every row, with the budgets that are named: hours
    python benchmarks/images.py tarflow               # some of them
    python benchmarks/images.py tarflow --seconds 30  # trainings of 30 seconds, to see that a row runs
    python benchmarks/images.py tarflow --data FOLDER --out rows.json

Each row is a file of `benchmarks/images_rows/`, whose head says what is compared with what. FOLDER holds ``mnist/`` and
``uci/``, for the rows that need them. Trainings take a GPU where there is one.
"""

from pathlib import Path

from rows import main

if __name__ == "__main__":
    main(Path(__file__).parent / "images_rows", __doc__)
