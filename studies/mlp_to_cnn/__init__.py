"""An MLP that learns translation."""
