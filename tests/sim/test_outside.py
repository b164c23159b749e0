"""The simulated switch shows agents' own calls as the real one does."""

from __future__ import annotations

import pytest

from fsacd.core.events import Event, OutsideCallEnded, OutsideCallStarted
from fsacd.esl.codec import Kind, Message
from fsacd.esl.outside import EVENTS, FILTERS, OutsideCalls
from fsacd.esl.phones import Phones
from fsacd.esl.translate import FILTERS as OWN_FILTERS
from fsacd.sim.phones import Caller, ScriptedPhone
from tests.sim.model import AGENT_UUID, Client, Model

PHONE = "1001@127.0.0.1:5070"


class Watched:
    """A model whose agents 1001 and 1002 have phones, listened to through the daemon's own filters."""

    def __init__(self) -> None:
        self.model = Model()
        switch = self.model.switch
        switch.phones[PHONE] = ScriptedPhone(answers_ms=20)
        switch.directory["1001"] = f"sofia/internal/{PHONE}"
        self.client = Client(self.model)
        for header, pattern in (*OWN_FILTERS, *FILTERS):
            self.client.events_on.feed(f"filter {header} {pattern}\n\n".encode())
        self.phones = Phones()
        self.phones.configure({"1001": "user/1001", "1002": "user/1002"})
        self.facts: list[Event] = []
        self.calls = OutsideCalls("fs1", self.phones, self.facts.append, lambda _offer: True)

    def story(self) -> list[str]:
        """What the daemon would tell of everything so far."""
        for event in self.client.received():
            if event["Event-Name"] in (*EVENTS, "CHANNEL_PROGRESS", "CHANNEL_PARK", "CHANNEL_HANGUP"):
                self.calls.hear(Message(Kind.EVENT, event))
        signs = {OutsideCallStarted: "+", OutsideCallEnded: "-"}
        return [
            f"{fact.agent_id}{signs[type(fact)]}"
            for fact in self.facts
            if isinstance(fact, OutsideCallStarted | OutsideCallEnded)
        ]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_an_agent_dials_out(watched: Watched) -> None:
    """The agent's authenticated leg is seen from its beginning to its end."""
    line = watched.model.switch.call(Caller("1001", "music", user="1001"), ScriptedPhone())
    watched.model.run(50)
    assert watched.story() == ["1001+"]
    line.hang_up()
    watched.model.run(100)
    assert watched.story() == ["1001+", "1001-"]


def test_a_stranger_with_an_agents_number(watched: Watched) -> None:
    """The stranger's caller id makes no agent busy."""
    watched.model.call("music", "1001")
    assert watched.story() == []


def test_an_agent_is_called(watched: Watched) -> None:
    """A leg to the directory's user, or to where they have registered, is at the agent's phone."""
    watched.client.api(f"originate {{origination_uuid={AGENT_UUID}}}user/1001@lab &park()")
    watched.client.api(f"uuid_kill {AGENT_UUID}")
    watched.model.run(100)
    assert watched.story() == ["1001+", "1001-"]


def test_our_own_ring(watched: Watched) -> None:
    """A leg that carries the agent's name as we give it is none of their own calls."""
    watched.client.api(f"originate {{origination_uuid={AGENT_UUID},fsacd_agent=1001}}user/1001@lab &park()")
    assert watched.story() == []


def test_the_leg_of_a_user_shows_what_the_real_one_does(watched: Watched) -> None:
    """User, domain, presence and the registered address, as a real FreeSWITCH says them of such a leg."""
    watched.client.api(f"originate {{origination_uuid={AGENT_UUID}}}user/1001@lab &park()")
    (event,) = watched.client.seen("CHANNEL_CREATE", AGENT_UUID)
    shown = ("variable_dialed_user", "variable_dialed_domain", "Channel-Presence-ID", "variable_sip_destination_url")
    assert [event[header] for header in shown] == ["1001", "lab", "1001@lab", f"sip:{PHONE}"]
    assert event["Channel-Name"] == f"sofia/internal/{PHONE}"


def test_another_domains_phone_is_another_one(watched: Watched) -> None:
    """The same number in another domain of the directory dials out: our agent is free."""
    watched.phones.configure({"1001": "user/1001@127.0.0.1"}, {"1001": "127.0.0.1"})
    watched.model.switch.call(Caller("1001", "music", user="1001@other.example"), ScriptedPhone())
    watched.model.run(50)
    assert watched.story() == []
    watched.model.switch.call(Caller("1001", "music", user="1001"), ScriptedPhone())
    watched.model.run(50)
    assert watched.story() == ["1001+"]
