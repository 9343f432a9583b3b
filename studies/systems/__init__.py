"""The systems that the paper stands among, on the same data, budget and recipe."""
