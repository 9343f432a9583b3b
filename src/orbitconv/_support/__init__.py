"""What every part of the library uses: checks, files, locks, progress, optional imports, devices."""
