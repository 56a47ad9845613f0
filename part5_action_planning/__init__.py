"""Part 5: world models that act, and every planner on them."""
