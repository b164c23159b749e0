"""A simulated FreeSWITCH: a model of channels, bridges and jobs that speaks real Event Socket over TCP."""
