"""What is there for speed alone: each kernel behind a call whose textbook form stands beside it and is tested equal."""
