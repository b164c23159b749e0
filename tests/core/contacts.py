"""Each call is of one contact: whatever is ordered, recorded and shown of it says so, and its leg does."""

from __future__ import annotations

from collections.abc import Mapping

from fsacd.core import commands as k
from fsacd.core import events as e
from fsacd.core.views import Snapshot, Step


def judge(event: e.Event | None, step: Step, after: Snapshot, queued: Mapping[str, e.CallQueued]) -> None:
    """One step. `queued`: how each call was announced when it came."""
    contacts = {call_id: announced.contact_id or call_id for call_id, announced in queued.items()}
    for call in after.calls:
        assert call.contact_id == contacts[call.call_id]
    for told in (*step.commands, *step.records):
        contact_id = getattr(told, "contact_id", None)
        if contact_id is not None:
            assert contact_id == contacts[getattr(told, "call_id", "")], told
    noted = [command for command in step.commands if isinstance(command, k.NoteContact)]
    if not isinstance(event, e.CallQueued) or event.contact_id in {None, contacts[event.call_id]}:
        assert not noted
    elif event.call_id in {call.call_id for call in after.calls}:
        assert event.leg is not None
        assert noted == [k.NoteContact(event.call_id, event.leg, contacts[event.call_id])]
