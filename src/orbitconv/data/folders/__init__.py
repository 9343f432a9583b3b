"""User pictures: class folders, images beside masks, tables."""
