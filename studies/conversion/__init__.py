"""What conversion keeps of a trained network, and what it saves."""
