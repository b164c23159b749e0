"""Every test runs under gevent, as the daemon does. Patching comes before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402 - see above

from hypothesis import settings  # noqa: E402 - see above

# A run in the background of a shell is started with Ctrl-C ignored, and so would be every program that a test
# starts and ends by Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time: the machines are noisy.
settings.register_profile("fsacd", deadline=None)
settings.load_profile("fsacd")
