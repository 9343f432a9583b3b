"""Errors of trained networks."""
