"""The products of group convolutions: the reference and the faster ways."""
