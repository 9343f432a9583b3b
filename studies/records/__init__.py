"""Records on digits: what each lever does by itself, chosen on held-out images, and the best recipe on the test set."""
