"""The order to ring an agent: from the contact to the phones, each with a leg of its own. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from fsacd.core import contact as contacts
from fsacd.core.commands import CancelReason, RingAgent, RingNumber, RingStandingLeg
from fsacd.core.offer import MOST_LEGS, legs_of
from fsacd.core.rules import PhoneRules
from fsacd.esl import encoder
from fsacd.esl.differences import BACK
from fsacd.esl.wire import Wire

# The Job-UUID of an offer's ring is this prefix and the offer's id.
JOB = "ring-"
# The same of a standing leg's ring, with the leg's name.
STANDING_JOB = "stand-"
# The switch ends a ring by itself this much later than the daemon would: this matters only if the daemon has died.
_RING_MARGIN_S = 3
# Where one leg's end may end all (`fail_on_single_reject`), FreeSWITCH does not end a ring by its timeout, and a phone
# that has sent early media rings for ever. So each leg has its own time, and ends when the clock has gone beyond it.
_A_LEG_IS_LATE_S = 1
# An answered leg that nobody connects, because the daemon died, ends after this.
_PARK_TIMEOUT_S = 10

CAUSES = {
    CancelReason.CALLER_GONE: "ORIGINATOR_CANCEL",  # the phone shows a missed call
    CancelReason.LOST_RACE: "LOSE_RACE",  # "call completed elsewhere": it does not
    CancelReason.WITHDRAWN: "LOSE_RACE",
    CancelReason.NO_ANSWER: "NO_ANSWER",
    CancelReason.BRIDGE_WINDOW: "NORMAL_CLEARING",
    CancelReason.TALK_OVER: "NORMAL_CLEARING",
    CancelReason.UNKNOWN: "LOSE_RACE",
}
# The causes with which we end a leg that rings, or that was answered and not confirmed; our other causes end answered
# legs. NORMAL_CLEARING is not among these: with it a leg ends where something answered and hung up without the key.
_ENDS_A_RING = frozenset(CAUSES.values()) - {"NORMAL_CLEARING"}

Registrations = Mapping[str, tuple[str, ...]]


def registrations(answer: str) -> tuple[str, ...]:
    """The endpoints in the switch's answer to sofia_contact; none if one of them cannot be rung by its address."""
    endpoints = tuple(dict.fromkeys(answer.strip().split(",")))
    if all(endpoint.startswith("sofia/") and contacts.is_one_phone(endpoint) for endpoint in endpoints):
        return endpoints
    return ()


def ring(command: RingAgent, registered: Registrations = MappingProxyType({})) -> tuple[Wire, int]:
    """The order to ring the agent, and how many phones that are; raises encoder.EncodeError.

    `registered`: where users have registered. A user with several devices is rung at each of them. `user/` itself would
    give all their legs the same name, which the switch accepts for the first leg alone.
    """
    if command.standing_leg:
        return _fetch(command), 1
    contact = contacts.read(command.contact)
    if contact is None:
        raise encoder.EncodeError("the contact is no dial string.")
    turns = _devices(contact, registered) if registered else contact.turns
    legs = sum(map(len, turns))
    timeout_s = math.ceil(command.timeout_ms / 1000) + _RING_MARGIN_S
    variables = _variables(command)
    if not all(phone.endpoint.startswith("sofia/") for turn in turns for phone in turn):
        variables |= _INDIRECT
    if legs == 1:
        variables = {"origination_uuid": command.offer_id, **variables}
    else:
        variables |= {"fsacd_legs": str(legs), "fail_on_single_reject": _ends_all(command.phone)}
        names = iter(legs_of(command.offer_id, legs))
        bounds = () if "leg_timeout" in dict(contact.options) else (("leg_timeout", str(timeout_s - _A_LEG_IS_LATE_S)),)
        turns = tuple(tuple(_named(phone, next(names), bounds) for phone in turn) for turn in turns)
    wire = encoder.originate(
        contacts.Contact(turns, contact.options),
        job=JOB + command.offer_id,
        variables={**variables, "originate_timeout": str(timeout_s)},
        name=command.caller_name,
        number=command.caller_number,
        timeout_s=timeout_s,
        carried=command.variables,
    )
    return wire, legs


def _fetch(command: RingAgent) -> Wire:
    """The order to fetch the agent's standing leg: the offer's own leg is a loopback, whose far end is bridged with it.

    So the offer's leg is made, parked, bridged and ended as any other, and the standing one outlives it.
    """
    timeout_s = math.ceil(command.timeout_ms / 1000) + _RING_MARGIN_S
    own = {"origination_uuid": command.offer_id, "fsacd_standing_leg": command.standing_leg}
    return encoder.originate(
        f"loopback/fsacd_reach_{encoder.uuid(command.standing_leg)}/fsacd",
        job=JOB + command.offer_id,
        variables={**own, **_variables(command), **_INDIRECT, "originate_timeout": str(timeout_s)},
        name=command.caller_name,
        number=command.caller_number,
        timeout_s=timeout_s,
        carried=command.variables,
        then=encoder.PARKS_AFTER_TONE,
    )


def ring_to_stand(command: RingStandingLeg) -> Wire:
    """The order to ring an agent whose leg shall stand; raises encoder.EncodeError."""
    contact = contacts.read(command.contact)
    if contact is None or len(contact.phones) != 1:
        raise encoder.EncodeError("the contact of a standing leg is not one phone.")
    timeout_s = math.ceil(command.timeout_ms / 1000)
    silent = _ends_when_silent(command.media_timeout_ms) if command.media_timeout_ms else {}
    silent.pop("hold_hangup_xfer_exten", None)  # that is for a caller who is held, and here is none
    return encoder.originate(
        contact,
        job=STANDING_JOB + command.leg,
        variables={
            "origination_uuid": command.leg,
            "fsacd_leg": "standing",
            "fsacd_agent": command.agent_id,
            "ignore_early_media": "true",
            "force_transfer_context": encoder.LEG_CONTEXT,
            "export_vars": "fsacd_agent",
            "loopback_bowout": "false",
            "outbound_redirect_fatal": "true",
            "originate_timeout": str(timeout_s),
            **silent,
        },
        name="",
        number="",
        timeout_s=timeout_s,
        then=encoder.STANDS,
    )


# Where agents' numbers are looked up, unless the switch's global variable `fsacd_transfer_context` says otherwise.
USUAL_CONTEXT: Final = "default"


def ring_number(command: RingNumber, context: str) -> Wire:
    """The order to dial a number out of this context of the dialplan; raises encoder.EncodeError.

    A leg of mod_loopback is ours, and its other side executes the number, as the leg of a caller who is sent there
    would. That side has copies of all these variables, so none of them may say of which call it is: a number may lead
    into a queue, where it would be taken for that call.
    """
    timeout_s = math.ceil(command.timeout_ms / 1000) + _RING_MARGIN_S
    contact_id = command.contact_id
    return encoder.originate(
        f"loopback/{command.number}/{context}",
        job=JOB + command.offer_id,
        variables={
            "origination_uuid": command.offer_id,
            "fsacd_leg": "third",
            "fsacd_offer": command.offer_id,
            "ignore_early_media": "true",
            "hangup_after_bridge": "true",
            "park_timeout": str(_PARK_TIMEOUT_S),
            "loopback_bowout": "false",
            # What the number leads to is offered the codecs of its profile, too, and not the loopback's alone (L16),
            # which hardly any phone takes.
            "media_mix_inbound_outbound_codecs": "true",
            "export_vars": "media_mix_inbound_outbound_codecs",
            **({"fsacd_contact_id": contact_id} if contact_id else {}),
            **(_HIDDEN if command.hidden else {}),
            "originate_timeout": str(timeout_s),
        },
        name=command.caller_name,
        number=command.caller_number,
        timeout_s=timeout_s,
    )


def follow(command: RingAgent, number: str, leg: str, legs: int) -> Wire:
    """The order to ring where the phone has diverted us to, on a leg of this name; raises encoder.EncodeError."""
    contact = contacts.read(command.phone.diverted_to.replace("{number}", number))
    if contact is None or len(contact.phones) != 1:
        raise encoder.EncodeError("the contact for diversions is not one phone.")
    timeout_s = math.ceil(command.timeout_ms / 1000) + _RING_MARGIN_S
    return encoder.originate(
        contact,
        job=JOB + leg,
        variables={
            "origination_uuid": leg,
            **_variables(command),
            **_INDIRECT,
            "fsacd_legs": str(legs),
            "originate_timeout": str(timeout_s),
        },
        name=command.caller_name,
        number=command.caller_number,
        timeout_s=timeout_s,
    )


def _named(phone: contacts.Phone, leg: str, bounds: contacts.Options) -> contacts.Phone:
    bounds = () if "leg_timeout" in dict(phone.options) else bounds
    return contacts.Phone(phone.endpoint, (("origination_uuid", leg), *bounds, *phone.options))


def _devices(contact: contacts.Contact, registered: Registrations) -> tuple[tuple[contacts.Phone, ...], ...]:
    """The contact's turns, with each device of a user in the user's place; never more than an offer has names for."""
    left, turns = MOST_LEGS, []
    for turn in contact.turns:
        phones = [device for phone in turn for device in _devices_of(phone, registered)]
        turns.append(tuple(phones[:left]))
        left -= len(turns[-1])
    return tuple(turn for turn in turns if turn)


def _devices_of(phone: contacts.Phone, registered: Registrations) -> Iterator[contacts.Phone]:
    user = contacts.registered(phone.endpoint)
    endpoints = registered.get(user, ()) if user else ()
    if len(endpoints) < 2:  # noqa: PLR2004  one device is rung by the name of its user, with all that the directory says
        yield phone
        return
    name, _, domain = user.partition("@")
    known = [("dialed_user", name), *([("dialed_domain", domain), ("presence_id", user)] if domain else [])]
    options = (*phone.options, *(pair for pair in known if pair[0] not in dict(phone.options)))
    for endpoint in endpoints:
        yield contacts.Phone(endpoint, options)


def _ends_all(rules: PhoneRules) -> str:
    """The causes with which one leg's end ends all legs of the offer, those whose turn has not come included.

    Our own causes are among them: they mean that the ring is over. FreeSWITCH looks for a cause's name in this text.
    """
    ours = sorted(_ENDS_A_RING)
    return ".".join([*ours, *_REFUSALS]) if rules.refusal_ends else ".".join(ours)


_REFUSALS = ("CALL_REJECTED", "USER_BUSY")
# Only for what may lead through a dialplan to the phone, as loopback/ does, and user/ may: the shorter an order, the
# sooner it is obeyed, since FreeSWITCH reads it byte by byte (a microsecond each).
_INDIRECT: Final = {
    # A loopback contact would bow out of the talk, and its leg's end would be taken for the talk's.
    "loopback_bowout": "false",
    # The leg behind the dialplan must not be taken for the agent's own call.
    "export_vars": "fsacd_agent",
}
# `Privacy: id`, as the switch's own bridge sends it. Without the second variable the switch tells the phone its
# partner's number when the bridge stands.
_HIDDEN: Final = {"origination_privacy": "hide_name:hide_number", "ignore_display_updates": "true"}


def _variables(command: RingAgent) -> dict[str, str]:
    contact_id = command.contact_id
    return {
        "fsacd_leg": "agent",
        "fsacd_offer": command.offer_id,
        "fsacd_call": command.call_id,
        "fsacd_agent": command.agent_id,
        "ignore_early_media": "true",
        "hangup_after_bridge": "true",
        "park_timeout": str(_PARK_TIMEOUT_S),
        # A contact `user/...` would put the leg into the user's own context, where they may dial.
        "force_transfer_context": encoder.LEG_CONTEXT,
        # FreeSWITCH would call a phone that forwards its calls again and again, some thousand times a second.
        "outbound_redirect_fatal": "true",
        # For the agent's phone or desk: which call this is, so that it can show what belongs to it.
        "sip_h_X-Fsacd-Call": command.call_id,
        "sip_h_X-Fsacd-Offer": command.offer_id,
        "sip_h_X-Fsacd-Queue": command.queue,
        **({"fsacd_contact_id": contact_id, "sip_h_X-Fsacd-Contact-Id": contact_id} if contact_id else {}),
        **(_HIDDEN if command.hidden else {}),
        **(_ends_when_silent(command.phone.media_timeout_ms) if command.phone.media_timeout_ms else {}),
    }


def _ends_when_silent(after_ms: int) -> dict[str, str]:
    """The variables of a leg that ends when nothing has come from its phone for so long.

    While the phone itself holds the talk, that is ten times as long, by the switch's own rule. Who ends while they hold
    takes their partner along, unless it is said where that one goes.
    """
    return {"media_timeout": str(after_ms), "hold_hangup_xfer_exten": BACK}
