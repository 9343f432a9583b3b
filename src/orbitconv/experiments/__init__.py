"""Studies: one command each, one record each."""
