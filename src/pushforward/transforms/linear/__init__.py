"""Linear maps, permutations and normalisations."""
