"""fsacd: automatic call distribution for FreeSWITCH."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fsacd")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"
