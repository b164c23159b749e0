"""The daemon: builds, starts and reloads the parts, continues after an earlier daemon, and drains."""
