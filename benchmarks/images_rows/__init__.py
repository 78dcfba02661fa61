"""The rows of `benchmarks/spaces.py`: a file for each subject, with ``run(seconds, data)``."""
