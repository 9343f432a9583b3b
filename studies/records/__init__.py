"""Records on digits: the effect of each lever on held-out images, and the best recipe on the test set."""
