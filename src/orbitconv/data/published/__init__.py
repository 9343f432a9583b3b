"""Published data sets: checksummed downloads."""
