"""Part 4: a production encoder one can put a finger on, and what it knows of a ball."""
