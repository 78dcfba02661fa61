"""The marginal distributions of columns: smooth ones, integers, categories, atoms, circles, missing values."""
