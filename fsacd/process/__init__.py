"""What every part of the process stands on: threads, memory, trusted files, troubles, words of others."""
