"""The HTTP API: what people, scripts and monitoring see of the daemon, and how they ask it for something."""
