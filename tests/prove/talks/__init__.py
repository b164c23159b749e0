"""Talks on a real switch, led through every shape: `make talks`. Not in `make prove` as long as they find faults."""
