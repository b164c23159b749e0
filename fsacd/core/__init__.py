"""The decision, pure: facts and the time go in; commands and records come out. No IO, no clock, no log, no dice."""
