"""Figures that several parts draw."""
