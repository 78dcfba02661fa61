"""The container of compressed files and the formats of what goes into it."""
