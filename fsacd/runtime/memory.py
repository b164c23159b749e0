"""When the garbage collector may look: between steps, behind the commands, and never at what stays.

Left to itself it looks when there are more new objects than freed ones, so in the middle of a decision; and where calls
come as others end it looks late, at ten thousand objects at once, which took 9 ms of one decision.
"""

from __future__ import annotations

import gc

# Steps between two looks at the newest objects, and looks after which one is at those that have lived through one, too.
# A step leaves about a dozen objects, a look takes about 0.3 µs for each.
_STEPS = 32
_LOOKS = 3
# The collector's own thresholds, which matter only where much comes between two steps: new objects before it looks at
# the first generation, and looks at one generation before it looks at the next.
_THRESHOLDS = (10_000, 2, 20_000)


def settle_memory() -> None:
    """Exempt all present objects from garbage collection: they stay, and looking at them would hold calls up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def keep_memory() -> None:
    """As `settle_memory`, without a look at all objects: after many have come that stay."""
    gc.freeze()


class Young:
    """Lets the collector look at young objects every few steps."""

    def __init__(self) -> None:
        self._steps = 0

    def stepped(self) -> None:
        """To be called after each step, when its commands are on their way."""
        self._steps += 1
        if self._steps % _STEPS == 0:
            gc.collect(1 if self._steps % (_STEPS * _LOOKS) == 0 else 0)
