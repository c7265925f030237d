"""Training of the generator and of nets A and B on rendered portraits."""
