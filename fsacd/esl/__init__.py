"""Event Socket: bytes to messages, commands to bytes, and the two connections to a switch that carry them."""
