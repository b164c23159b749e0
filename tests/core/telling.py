"""What came of a fact, told in compact and stable lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from fsacd.core import commands as k
from fsacd.core import offer
from fsacd.core import records as r
from fsacd.core.rules import ToExtension
from fsacd.core.views import Snapshot, Step

# A story that offers one call more often than this is not a story any more.
_ATTEMPTS = 50


class Names:
    """Offers by readable names: `anna/1` is the first offer of the call anna."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, call_id: str) -> None:
        """A call whose offers are to be named."""
        for attempt in range(1, _ATTEMPTS + 1):
            self._names[offer.offer_id(call_id, attempt)] = f"{call_id}/{attempt}"

    def of(self, offer_id: str) -> str:
        """The readable name, or the id itself."""
        return self._names.get(offer_id, offer_id)

    def inside(self, text: str) -> str:
        """A sentence with each offer's id replaced by its name."""
        return " ".join(self.of(word) for word in text.split())


def tell_step(step: Step, names: Names) -> Iterator[str]:
    """Commands, records and the refusal."""
    if step.refused is not None:
        yield f"! {step.refused}"
    for command in step.commands:
        yield f"> {_command(command, names)}"
    for record in step.records:
        yield f". {_record(record, names)}"


def tell_snapshot(snapshot: Snapshot) -> Iterator[str]:
    """Each call and each agent in a line."""
    for call in snapshot.calls:
        agents = f" with {','.join(call.agent_ids)}" if call.agent_ids else ""
        yield (
            f"= call {call.call_id} {call.state} in {call.queue} position {call.position}{agents},"
            f" waited {_s(call.waited_ms)}, talked {_s(call.talked_ms)}"
        )
    for agent in snapshot.agents:
        reason = f" {agent.reason}" if agent.reason else ""
        until = f" until {_at(agent.until_ms)}" if agent.until_ms is not None else ""
        then = f", then {agent.then}" if agent.then else ""
        yield f"= agent {agent.agent_id} {agent.state}{reason} since {_at(agent.since_ms)}{until}{then}"


def _command(command: k.Command, names: Names) -> str:
    match command:
        case k.RingAgent():
            return (
                f"ring {command.agent_id} at {command.contact} for {names.of(command.offer_id)}"
                f" in {command.queue}, {_s(command.timeout_ms)}"
            )
        case k.CancelOffer(offer_id, _, reason):
            return f"cancel {names.of(offer_id)} {reason}"
        case k.Connect(offer_id, call_id, _):
            return f"connect {call_id} to {names.of(offer_id)}"
        case k.ConfirmTalk(call_id, _, then):
            return f"confirm talk of {call_id}" + (f", then {_extension(then)}" if then else "")
        case k.SendCall(call_id, _, target):
            return f"send {call_id} to {_extension(target)}"
        case k.EndCall(call_id, _, cause):
            return f"hang up {call_id} {cause}"
        case _:
            assert_never(command)


def _extension(target: ToExtension) -> str:
    return f"{target.extension} {target.context}"


def _record(record: r.Record, names: Names) -> str:
    match record:
        case r.CallJoined():
            return f"{record.call_id} joins {record.queue}" + (" by overflow" if record.by_overflow else "")
        case r.CallConnected():
            return f"{record.call_id} talks with {record.agent_id} after {_s(record.waited_ms)} in {record.queue}"
        case r.CallMoved():
            return f"{record.call_id} moves from {record.from_queue} to {record.to_queue}: {record.why}"
        case r.CallEnded():
            return _call_ended(record)
        case r.OfferClosed():
            return _offer_closed(record, names)
        case r.AgentStateEnded():
            reason = f" ({record.reason})" if record.reason else ""
            by = f", ended by {record.by}" if record.by else ""
            return f"{record.agent_id} was {record.state}{reason} {_at(record.started_ms)}..{_at(record.ended_ms)}{by}"
        case r.Anomaly(kind, text, _):
            return f"ANOMALY {kind}: {names.inside(text)}"
        case _:
            assert_never(record)


def _call_ended(record: r.CallEnded) -> str:
    detail = f" ({record.detail})" if record.detail else ""
    queue = f" in {record.queue}" if record.queue else ""
    agent = f", last with {record.agent_id}" if record.agent_id else ""
    after = f", then {record.after}" if record.after else ""
    return (
        f"{record.call_id} ENDS {record.outcome}{detail}{queue}, waited {_s(record.waited_ms)},"
        f" talked {_s(record.talked_ms)}, offers {record.offers}{agent}{after}"
    )


def _offer_closed(record: r.OfferClosed, names: Names) -> str:
    answered = f", answered {_at(record.answered_ms)}" if record.answered_ms is not None else ""
    connected = f", connected {_at(record.connected_ms)}" if record.connected_ms is not None else ""
    return (
        f"{names.of(record.offer_id)} to {record.agent_id} closed {record.outcome} ({record.reason}):"
        f" rung {_at(record.started_ms)}{answered}{connected}, over {_at(record.ended_ms)}"
    )


def _s(ms: int) -> str:
    return f"{ms / 1000:g}s"


def _at(ms: int) -> str:
    return f"{ms / 1000:g}"
