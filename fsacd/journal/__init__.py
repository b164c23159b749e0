"""What entered the engine, on a local disk: after a kill, a crash or a reboot the next daemon goes on from there."""
