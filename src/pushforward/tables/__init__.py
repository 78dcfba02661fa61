"""Tables as flows see them: columns and their codes, likelihoods, estimators."""
