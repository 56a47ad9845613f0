"""The figures of this part."""
