"""Pictures at every angle, as the explorer shows them."""
