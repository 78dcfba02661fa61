"""Inverse problems: from what was observed back to what it was observed of."""
