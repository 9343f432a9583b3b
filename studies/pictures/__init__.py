"""User pictures: satellite images by class, and nuclei by mask."""
