"""The page on which one moves a pointer over a photograph."""
