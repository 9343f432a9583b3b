"""The demonstration: digits at angles the networks never saw."""
