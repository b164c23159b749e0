"""Long series, run before a release and, with a small N, by CI: `make prove`, `make prove N=2`.

Each module here has `main(n: int | None) -> int`: `n` is how many rounds (schedules, seconds, whatever it counts) to
run, None its full length; it prints what it does, its seeds included, and returns 0 when nothing was wrong, and
`tests.prove.__main__.NOT_HERE` when something that it needs is not on this machine.
"""
