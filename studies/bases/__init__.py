"""Studies of bases."""
