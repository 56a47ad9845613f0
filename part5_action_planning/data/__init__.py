"""Recorded episodes, and the clips drawn from them."""
