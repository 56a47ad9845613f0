"""Figures in one style for the whole series; no models, no pyplot."""
