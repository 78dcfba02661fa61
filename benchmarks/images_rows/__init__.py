"""The rows of `benchmarks/images.py`: a file for each subject, with ``run(seconds, data)``."""
