"""The configuration: one YAML file in, one frozen `Config` out, or every problem in it at once."""
