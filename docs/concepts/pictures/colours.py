"""The colours of the concepts' pictures: ours, and what it is compared with."""

BLUE, ORANGE = "#3b6fb6", "#d1782b"
