"""What every part of the process uses: threads, memory, clock, trusted files, troubles, quoting of foreign text."""
