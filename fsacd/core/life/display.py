"""What an agent's phone shows of a caller: a queue's template, like `{queue}: {customer or name}`."""

from __future__ import annotations

import re
from typing import Final

from fsacd.core.call import Call

# What the operator's dialplan has set for the phones that are rung goes before what is known of the caller.
USUAL: Final = "{dialplan or customer or name}"
WORDS: Final = ("queue", "customer", "name", "number", "dialplan")
_PLACE: Final = re.compile(r"\{([^{}]*)\}")


def unknown_word(template: str) -> str | None:
    """The first thing in braces that means nothing, or None; a brace alone is one, too."""
    for found in _PLACE.finditer(template):
        wrong = next((word for word in found[1].split(" or ") if word not in WORDS), None)
        if wrong is not None:
            return found[0]
    rest = _PLACE.sub("", template)
    return next((brace for brace in "{}" if brace in rest), None)


def name_for(call: Call, template: str, *, hidden: bool = False) -> str:
    """The name that is shown; of several words in one place the first that says something.

    `hidden`: the caller asks to be shown to nobody. The dialplan's name is left out then, too, as it may hold theirs.
    """
    if template == USUAL:
        return "" if hidden else call.shown_name or call.customer or call.name
    known = {"queue": call.queue}
    if not hidden:
        known |= {"customer": call.customer, "name": call.name, "number": call.number, "dialplan": call.shown_name}
    return _PLACE.sub(lambda found: next(filter(None, map(known.get, found[1].split(" or "))), ""), template)
