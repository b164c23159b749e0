"""A switch that is asked about its legs, and the call, the legs and the offer of which these tests speak."""

from __future__ import annotations

import json

from fsacd.core.events import Leg
from fsacd.core.views import CallView, OfferView, Underway
from fsacd.esl.wire import Outcome, Reply, Wire

CALL = "11111111-2222-4333-8444-555555555555"
LEG = "aaaaaaaa-2222-4333-8444-555555555555"
OFFER = "bbbbbbbb-2222-5333-8444-555555555555"
OTHER = "cccccccc-2222-4333-8444-555555555555"
# What a bridge that was ordered leaves on the leg, whether or not it comes to be.
ORDERED = {"variable_signal_bond": OFFER}

Legs = dict[str, dict[str, str]]


class Switch:
    """Answers by its legs; `unlisted` are those that its list does not show yet."""

    def __init__(self, legs: Legs, unlisted: frozenset[str] = frozenset()) -> None:
        self.legs, self.unlisted = legs, unlisted
        self.dumped: list[str] = []

    def ask(self, wire: Wire) -> Reply:
        """What it says to a command; `dumped` notes the legs that were looked at as a whole."""
        words = wire.data.decode().split()
        match words[1]:
            case "show":
                rows = [{"uuid": leg} for leg in self.legs if leg not in self.unlisted]
                return Reply(Outcome.OK, json.dumps({"row_count": len(rows), **({"rows": rows} if rows else {})}))
            case "uuid_exists":
                return Reply(Outcome.OK, "true" if words[2] in self.legs else "false")
            case "uuid_dump" if words[2] in self.legs:
                self.dumped.append(words[2])
                return Reply(Outcome.OK, json.dumps({"Unique-ID": words[2]} | self.legs[words[2]]))
        return Reply(Outcome.ERR, "-ERR No such channel!")


def view(call: str, offer: str | None) -> Underway:
    """What the engine knows: one call in this state, and its offer, if there is one, in that."""
    who = CallView(CALL, "sales", call, 1, 0, 0, 0, 0, "", "", "", (), (), 0, Leg("fs1", LEG))
    offers = () if offer is None else (OfferView(OFFER, CALL, "1001", "fs1", offer, 0),)
    return Underway(0, (who,), offers)
