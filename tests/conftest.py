"""Every test runs under gevent, as the daemon does. Patching comes before anything else is imported."""

from gevent import monkey

monkey.patch_all()
