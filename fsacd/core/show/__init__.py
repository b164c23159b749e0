"""What is told of the engine, and kept of it."""
