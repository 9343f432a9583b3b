"""The tables of the pages, each a function that makes one from the records."""
