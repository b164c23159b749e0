"""Ring strategies: one file, one rule, one docstring that an operator can read."""
