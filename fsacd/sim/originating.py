"""`originate`: the command, and the phones that it names. `attempt` carries it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from fsacd.sim import causes
from fsacd.sim.attempt import Attempt, Origin, Target, Unreachable
from fsacd.sim.dialstring import Dialled, parse
from fsacd.sim.loopback import Loopback
from fsacd.sim.phones import Caller, Line, Phone
from fsacd.sim.ports import Leg

USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>] "
    "[<timeout_sec>]\n"
)

# From the command to the leg: a kill that comes earlier finds nothing to kill, and the phone rings on.
BIRTH_US = (100, 1_200)


class Exchanges(Origin, Protocol):
    """The switch with all that it knows of phones."""

    directory: dict[str, str]
    phones: dict[str, Phone]
    profiles: set[str]

    def registered(self, user: str) -> list[str]:
        """The endpoints at which a user has registered."""

    def call(self, caller: Caller, phone: Phone) -> Line:
        """A call comes in. The line is the caller's end of it."""


def dial(
    switch: Exchanges, parent: Leg, text: str, done: Callable[[str], None], answered: Callable[[Leg], None]
) -> Attempt:
    """Ring phones for a leg that executes `bridge`: `answered` gets the leg, or `done` the reply that says why none."""
    order = parse(f"{text} &park()")
    if order is None:
        raise ValueError(text)
    chosen = "origination_uuid" in order.variables

    def find(turn: tuple[Dialled, ...]) -> list[Target]:
        return [target for dialled in turn for target in _targets(switch, dialled, order.variables, chosen=chosen)]

    attempt = Attempt(switch, order, find, done, parent, answered)
    attempt.next_turn()
    return attempt


def originate(switch: Exchanges, text: str, done: Callable[[str], None]) -> None:
    """Carry out the command; `done` gets the reply, at once or when the call is answered or has failed."""
    order = parse(text)
    if order is None:
        done(USAGE)
        return
    chosen = "origination_uuid" in order.variables

    def find(turn: tuple[Dialled, ...]) -> list[Target]:
        return [target for dialled in turn for target in _targets(switch, dialled, order.variables, chosen=chosen)]

    attempt = Attempt(switch, order, find, done)
    switch.agenda.after(switch.agenda.between(*BIRTH_US), attempt.next_turn)


def _targets(switch: Exchanges, dialled: Dialled, variables: Mapping[str, str], *, chosen: bool) -> Iterable[Target]:
    """The phones behind one part of a dial string.

    All devices of a user ring. If the command has chosen one uuid for them, no second leg of that name is made.
    """
    kind, _, rest = dialled.endpoint.partition("/")
    if kind == "loopback":
        return [Target(dialled, Loopback(switch, rest, {**variables, **dialled.variables}), {})]
    if kind != "user":
        return [Target(dialled, find_phone(switch, dialled.endpoint), {})]
    user, _, domain = rest.partition("@")
    domain = domain or "127.0.0.1"
    known = {"dialed_user": user, "dialed_domain": domain, "presence_id": f"{user}@{domain}"}
    if user not in switch.directory:
        return [Target(dialled, Unreachable("SUBSCRIBER_ABSENT"), known)]
    endpoints = switch.registered(user)
    if not endpoints:
        return [Target(dialled, Unreachable("USER_NOT_REGISTERED"), known)]
    if chosen or "origination_uuid" in dialled.variables:
        endpoints = endpoints[:1]
    return [Target(Dialled(each, dialled.variables), find_phone(switch, each), known) for each in endpoints]


def find_phone(switch: Exchanges, endpoint: str) -> Phone | Unreachable:
    """The phone behind an endpoint that is no user's."""
    kind, _, rest = endpoint.partition("/")
    if kind == "error":
        return Unreachable(causes.from_text(rest))
    if kind != "sofia":
        return Unreachable("CHAN_NOT_IMPLEMENTED")
    profile, _, address = rest.partition("/")
    if profile == "gateway":
        return Unreachable("INVALID_GATEWAY")
    if profile not in switch.profiles:
        return Unreachable("INVALID_PROFILE")
    address = address.removeprefix("sip:").split(";")[0]
    return switch.phones.get(address) or Unreachable("NORMAL_TEMPORARY_FAILURE", leg=True)
