"""The HTTP API: by it people, scripts and monitoring see the daemon, and ask it for something."""
