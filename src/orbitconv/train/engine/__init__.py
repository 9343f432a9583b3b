"""The training loop and its parts: steps, state, optimizer, processes, interruption."""
