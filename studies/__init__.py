"""Studies that reproduce the claims of the documentation; not installed."""
