"""The rows of `benchmarks/inference.py`: a file for each subject, with ``run(seconds, data)``."""
