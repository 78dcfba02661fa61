"""How the values of a column are read as numbers and written back: numbers, categories, dates, identifiers."""
