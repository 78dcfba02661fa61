"""Networks of graphs that do not care about the order of the nodes."""
