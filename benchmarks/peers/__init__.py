"""The worker and its peers at the same work: what `make bench` runs."""
