"""Integer flows as codecs: exact, portable arithmetic."""
