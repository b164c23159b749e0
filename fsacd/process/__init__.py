"""What every part of the process stands on: threads, memory, files that can be trusted, troubles."""
