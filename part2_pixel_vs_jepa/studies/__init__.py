"""Side experiments of this part, run by study.py."""
