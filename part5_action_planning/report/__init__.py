"""Tables and claims of this part, as data."""
