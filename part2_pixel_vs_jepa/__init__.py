"""Part 2: why pixel prediction goes blurry, and what a JEPA does instead."""
