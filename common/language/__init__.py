"""Frames as sentences: a codebook cuts them into words, a transformer predicts the next one."""
