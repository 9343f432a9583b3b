"""Pictures that turn, as the explorer shows them."""
