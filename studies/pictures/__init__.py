"""Pictures of one's own: satellite pictures by class, and nuclei by mask."""
