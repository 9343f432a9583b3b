"""Code shared by the studies."""
