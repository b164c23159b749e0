"""Former names of fields: the one table by which data of the version before is read.

A field that has another name by now would take its default in silence: fields that are not known are passed over, and
those that are missing have defaults (`plain`). So whoever reads what may have been written under an old name looks for
it by this table: snapshots and the journal (`plain`), explanations out of history (`http/models`), and the command
line, whose daemon may not have been started anew yet.
"""

from __future__ import annotations

from collections.abc import Mapping

# The version that reads none of these names any more: by then this table is empty, or has other names.
UNTIL = (0, 2)

# Class → field → the field's former name.
OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "Call": {"not_taken": "let_pass", "only_rank_and_level": "bound", "talks_on_another_leg": "replaced"},
    "EndedMemory": {"final_command": "farewell"},
    "OfferEnded": {"phone_told": "told"},
    "Eligible": {"missed": "let_pass"},  # of an explanation, in the API and in history
}


def before(kind: str, name: str) -> str:
    """What this field of that class was called; its name, if it has had no other."""
    return OLD_NAMES.get(kind, {}).get(name, name)
