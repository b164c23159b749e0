"""What every part of the process stands on: threads, memory, the clock, trusted files, troubles, words of others."""
