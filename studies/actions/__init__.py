"""Actions learned from pairs of images."""
