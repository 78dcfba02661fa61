"""Residual, continuous and stochastic flows, and training in constant memory: what was asked, beside what came out.

    python benchmarks/unrestricted.py                        # every row, with the budgets that are named: hours
    python benchmarks/unrestricted.py toys digits            # some of them
    python benchmarks/unrestricted.py toys --seconds 30      # trainings of 30 seconds, to see that a row runs
    python benchmarks/unrestricted.py continuous --data FOLDER --out rows.json

Each row is a file of `benchmarks/unrestricted_rows/`, whose head says what is compared with what. Ours and the other
library take turns in one run on the same machine; times are meant as ratios. FOLDER holds ``uci/`` with the tables of
the UCI repository, for the rows that need them.
"""

from pathlib import Path

from rows import main

if __name__ == "__main__":
    main(Path(__file__).parent / "unrestricted_rows", __doc__)
