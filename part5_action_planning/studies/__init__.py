"""Side experiments: see study.py."""
