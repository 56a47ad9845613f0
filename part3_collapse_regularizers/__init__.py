"""Part 3: every way to collapse, every way not to."""
