"""Ring strategies and call orders: one file, one rule, one docstring that an operator can read."""
