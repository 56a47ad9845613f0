"""Tables and claims of this part's pages, as data."""
