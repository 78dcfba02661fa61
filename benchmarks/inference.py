"""Inference: what was asked of posteriors of densities, simulators and inverse problems, beside what came out.

    python benchmarks/inference.py                           # every row, with the budgets that are named: hours
    python benchmarks/inference.py energies kinematics       # some of them
    python benchmarks/inference.py simulators --seconds 30   # trainings of 30 seconds, to see that a row runs
    python benchmarks/inference.py autoencoders --data FOLDER --out rows.json

Each row is a file of `benchmarks/inference_rows/`, whose head says what is compared with what, and which packages of
other makers it needs. Ours and theirs take turns in one run on the same machine; times are meant as ratios. FOLDER
holds ``mnist/`` with the files of the MNIST data set, for the row of autoencoders.
"""

from pathlib import Path

from rows import main

if __name__ == "__main__":
    main(Path(__file__).parent / "inference_rows", __doc__)
