"""What keeps things going: the loop around the engine, work in parts between which calls go first, what is watched."""
