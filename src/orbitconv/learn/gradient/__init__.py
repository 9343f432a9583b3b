"""Bases learned by gradient descent, as in the paper."""
