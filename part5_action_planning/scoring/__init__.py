"""The numbers of this part."""
