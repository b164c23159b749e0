"""The daemon: put together, started, reloaded, continued after another one, drained."""
