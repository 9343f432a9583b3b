"""Pictures of one's own: class folders, images beside masks, tables."""
