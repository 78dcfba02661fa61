"""Maps of the circle onto itself that go round once."""
