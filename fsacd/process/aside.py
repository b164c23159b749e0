"""Files that could not be used, put where somebody can look at them and no start meets them again."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "set-aside"
_DIRECTORY_MODE: Final = 0o700
# Only the newest files are kept: a fault that damages one file after the other must not fill the disk.
_MOST_FILES: Final = 32


class Aside:
    """The directory `set-aside` in a daemon's own directory. No method raises: a file that cannot be moved stays."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME

    def move(self, path: Path) -> bool:
        """Set a file aside, or whatever lies in its place. Returns whether that was possible."""
        place = self._place(path.name)
        if place is None:
            return False
        try:
            path.rename(place)
        except OSError:
            return False
        self._bound()
        return True

    def keep(self, path: Path) -> bool:
        """Link a file that is in use, so that it stays here when it is removed there. Returns whether this was done."""
        try:
            if path.samefile(self.path / path.name):
                return True
        except OSError:
            pass  # it is not here yet
        place = self._place(path.name)
        if place is None:
            return False
        try:
            os.link(path, place, follow_symlinks=False)
        except OSError:
            return False
        self._bound()
        return True

    def names(self) -> list[str]:
        """What is here, sorted."""
        try:
            return sorted(entry.name for entry in os.scandir(self.path))
        except OSError:
            return []

    def forget(self, names: Iterable[str] | None = None) -> None:
        """Remove what is here; if names are given, only what has one of them."""
        self._remove(self.names() if names is None else names)

    def _place(self, name: str) -> Path | None:
        """A free name in the directory; None where something else than a directory has the directory's name."""
        try:
            self.path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            if not stat.S_ISDIR(self.path.lstat().st_mode):
                return None
            owner = self.path.parent.stat()
            if os.geteuid() == 0 and owner.st_uid != 0:
                os.chown(self.path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except OSError:
            return None
        taken = set(self.names())
        places = (name, *(f"{name}.{number}" for number in range(1, _MOST_FILES + 1)))
        return next((self.path / place for place in places if place not in taken), None)

    def _bound(self) -> None:
        def age(name: str) -> float:
            with suppress(OSError):
                return (self.path / name).lstat().st_ctime
            return 0.0

        names = sorted(self.names(), key=age)
        self._remove(names[: max(0, len(names) - _MOST_FILES)])

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.path / name
            with suppress(OSError):
                if stat.S_ISDIR(path.lstat().st_mode):
                    shutil.rmtree(path)  # follows no link
                else:
                    path.unlink()
