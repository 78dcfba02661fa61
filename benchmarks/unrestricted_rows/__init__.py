"""The rows of `benchmarks/unrestricted.py`: a file for each subject, with ``run(seconds, data)``."""
