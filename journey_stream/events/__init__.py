"""Events: the vocabulary, and the way from bytes to a typed event or a rejection."""
