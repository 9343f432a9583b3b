"""The systems of the literature around the paper, on the same data, budget and recipe."""
