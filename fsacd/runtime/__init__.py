"""The loop around the engine, work in parts between which calls go first, and the watch over greenlets and threads."""
