"""Pictures of bases."""
