"""What may happen next: hostile people, a hostile switch, operators, and time. What is impossible now does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from fsacd.core import events as e
from fsacd.core.rules import AgentRules, Service
from tests.core.adversary import Adversary
from tests.core.centres import (
    AGENTS,
    NUMBERS,
    OUTSIDE_PHONE,
    QUEUES,
    SHARED_PHONE,
    SKILLS,
    SOURCES,
    SWITCHES,
    Pick,
    build_rules,
    build_services,
    without,
)

# More live calls than this make each look at everything slow, and find nothing that fewer would not.
MOST_CALLS = 10


def act(adversary: Adversary, name: str, number: int) -> None:
    """Do one of `ACTS`."""
    ACTS[name](adversary, Pick(number))


# --- callers -------------------------------------------------------------------------------------------------------


def call_comes(adversary: Adversary, pick: Pick) -> None:
    """A caller queues."""
    if len(adversary.callers) >= MOST_CALLS:
        return
    adversary.calls += 1
    call_id, switch = f"c{adversary.calls}", pick.of(SWITCHES)
    event = e.CallQueued(
        call_id,
        pick.of((*QUEUES, *QUEUES, *QUEUES, *QUEUES, *QUEUES, "nowhere")),
        arrived_ms=adversary.driver.now_ms - pick.of((0, 0, 0, 3_000, 40_000)),
        leg=e.Leg(switch, f"leg-{call_id}"),
        priority=pick.of((None, None, 0, 1)),
        head_start_ms=pick.of((0, 0, 0, 2_000, 15_000)),
        required=pick.of(SKILLS),
        number=pick.of(NUMBERS),
        named_agent=pick.of(("", "", *AGENTS[:3], "9999")),
        source=pick.of(SOURCES),
        number_believed=pick.of((None, None, True, False)),
        contact_id=pick.of((None, "", call_id, "k1")),
    )
    adversary.callers[call_id] = switch
    adversary.queued[call_id] = event
    adversary.tell(event)


def caller_hangs_up(adversary: Adversary, pick: Pick) -> None:
    """A caller ends their leg, or hands their place over to another; the switch will tell."""
    if adversary.callers:
        call_id = pick.of(sorted(adversary.callers))
        adversary.end_caller(call_id, "NORMAL_CLEARING", transferred=pick.chance(6))


def caller_strays(adversary: Adversary, pick: Pick) -> None:
    """A caller's leg does something that we did not ask for."""
    if adversary.callers and pick.chance(6):
        call_id = pick.of(sorted(adversary.callers))
        adversary.facts.append(
            pick.event(
                e.CallReturned(call_id),
                e.CallLeft(call_id),
                e.CallLost(call_id, "resync"),
                e.CallerTaken(
                    e.Leg(pick.of(SWITCHES), f"leg-{call_id}"), pick.of(tuple(e.Taken)), found=pick.chance(2)
                ),
            )
        )


# --- agents --------------------------------------------------------------------------------------------------------


def agent_reacts(adversary: Adversary, pick: Pick) -> None:
    """An agent's phone rings: they answer or do not; after an answer, they may hang up."""
    if not adversary.legs:
        return
    offer_id = pick.of(sorted(adversary.legs))
    leg = adversary.legs[offer_id]
    choice = pick.below(6)
    if leg.answered:
        if choice == 0:
            adversary.end_leg(offer_id, e.OfferEnd.HUNG_UP)
    elif choice == 0:
        adversary.facts.append(e.OfferRang(offer_id))
    elif choice == 1:
        adversary.end_leg(offer_id, pick.of(tuple(e.OfferEnd)))
    elif choice == 2 and pick.chance(3):
        adversary.facts.append(e.OfferUnheard(offer_id))
    else:
        leg.answered = True
        adversary.facts.append(e.OfferAnswered(offer_id, leg.ring.switch))


def agent_asks(adversary: Adversary, pick: Pick) -> None:
    """An agent presses a button."""
    who = pick.of(AGENTS)
    ready = e.AgentSetReady(who, "phone")
    there = pick.of((None, None, SHARED_PHONE, "user/1001", OUTSIDE_PHONE))
    adversary.tell(
        pick.event(
            e.AgentLoggedIn(who, "phone"),
            ready,
            e.AgentEndedWrapUp(who, "phone"),
            ready,
            e.AgentSetNotReady(who, "phone", "lunch"),
            ready,
            e.AgentLoggedIn(who, "phone", there),
            ready,
            e.AgentLoggedOut(who, "phone"),
            ready,
            e.AgentLoggedIn(who, "phone", ready=False),
            ready,
        )
    )


def agent_rests(adversary: Adversary, pick: Pick) -> None:
    """An agent wants no calls of one queue for a while, or wants them again."""
    who, queue = pick.of((*AGENTS, "9999")), pick.of((*QUEUES, *QUEUES, "nowhere"))
    back = e.AgentSetReadyFor(who, "phone", queue)
    away = e.AgentSetNotReadyFor(who, "phone", queue, pick.of(("", "mail")))
    adversary.tell(pick.event(back, away))


def shift_begins(adversary: Adversary, pick: Pick) -> None:
    """Every agent without a call of their own comes to work, or back from a break, and every queue opens."""
    for who in AGENTS:
        adversary.tell(e.AgentLoggedIn(who, "phone"))
        adversary.tell(e.AgentSetReady(who, "phone"))
    for queue in QUEUES:
        adversary.tell(e.QueueSetOpen(queue, open=True, by="hours"))


def agent_phones(adversary: Adversary, pick: Pick) -> None:
    """An agent has a call of their own; such calls end, and both may be told late, twice, or never."""
    if adversary.outside and pick.below(3):
        began = adversary.outside.pop(pick.below(len(adversary.outside)))
        adversary.facts.append(e.OutsideCallEnded(began.agent_id, began.leg))
        return
    who = pick.of((*AGENTS, "9999"))
    event = e.OutsideCallStarted(who, e.Leg(pick.of(SWITCHES), f"own-{who}-{pick.below(3)}"))
    adversary.outside.append(event)
    adversary.facts.append(event)


# --- operators -----------------------------------------------------------------------------------------------------


def operator_asks(adversary: Adversary, pick: Pick) -> None:
    """An operator does something with a call."""
    if not adversary.queued:
        return
    call_id = pick.of([*adversary.queued][-MOST_CALLS:])
    adversary.tell(
        pick.event(
            e.CallRequeueAsked(call_id, "api"),
            e.CallRequeueAsked(call_id, "api", pick.of((*QUEUES, "nowhere"))),
            e.CallHangupAsked(call_id, "api"),
            e.CallPromoteAsked(call_id, "api"),
            e.CallChangeAsked(call_id, "api", priority=pick.of((None, 2)), required=pick.of((None, *SKILLS))),
            e.CallChangeAsked(call_id, "api", head_start_ms=pick.of((0, 30_000))),
            e.CallSendAsked(call_id, pick.of((*AGENTS, "9999")), "api", pick.of((60_000, 5_000))),
        )
    )


def operator_changes(adversary: Adversary, pick: Pick) -> None:
    """An operator changes what an agent can do or serves, or opens or closes a queue."""
    who = pick.of((*AGENTS, "9999"))
    queue = pick.of((*QUEUES, *QUEUES, "nowhere"))
    match pick.below(6):
        case 0 | 1:
            adversary.tell(e.QueueSetOpen(queue, open=True, by="hours"))
        case 2:
            adversary.tell(e.QueueSetOpen(queue, open=False, by="hours"))
        case 3 | 4:
            adversary.tell(e.AgentChangeAsked(who, "api", skills=pick.of((*SKILLS, (("german", 9),)))))
        case _:
            adversary.tell(e.AgentChangeAsked(who, "api", queues=_services(adversary, pick)))


def rules_change(adversary: Adversary, pick: Pick) -> None:
    """A reload: other rules; an agent or a queue goes or comes back; or nothing but a little."""
    way, between = _way(adversary, pick)
    agents = [pick.of(AGENTS)] if pick.chance(3) else []
    queues = [pick.of(("support", "vip"))] if pick.chance(5) else []
    adversary.reload(adversary.shape(without(build_rules(pick), agents, queues)), way, between)


def rules_are_read_again(adversary: Adversary, pick: Pick) -> None:
    """A reload that changes nothing, or takes somebody away."""
    way, between = _way(adversary, pick)
    agents = [pick.of(AGENTS)] if pick.chance(3) else []
    adversary.reload(without(adversary.rules, agents, []), way, between)


def agents_change(adversary: Adversary, pick: Pick) -> None:
    """A reload that changes some agents, and where they stand in the file perhaps, and no queue."""
    way, between = _way(adversary, pick)
    agents = dict(adversary.rules.agents)
    for agent_id in (pick.of(AGENTS), pick.of(AGENTS)):
        one = agents.get(agent_id, AgentRules(agent_id, contact=f"user/{agent_id}"))
        match pick.below(4):
            case 0:
                one = replace(one, skills=pick.of(SKILLS))
            case 1:
                one = replace(one, contact=pick.of((SHARED_PHONE, OUTSIDE_PHONE, f"user/{agent_id}")))
            case 2:
                one = replace(one, name=f"{one.name}!")
            case _:
                one = replace(one, queues=_services(adversary, pick))
        if pick.chance(3):
            agents.pop(agent_id, None)  # at the end of the file from now on
        agents[agent_id] = one
    adversary.reload(replace(adversary.rules, agents=MappingProxyType(agents)), way, between)


def _way(adversary: Adversary, pick: Pick) -> tuple[int, e.Event | None]:
    """How the engine is told of a reload, and what happens before it is told."""
    who = pick.of(AGENTS)
    between = pick.event(
        e.AgentChangeAsked(who, "api", skills=pick.of(SKILLS)),
        e.AgentChangeAsked(who, "api", queues=_services(adversary, pick)),
        e.AgentLoggedIn(who, "api", pick.of((None, SHARED_PHONE))),
        e.AgentLoggedOut(who, "api"),
    )
    return pick.below(3), between if pick.chance(3) else None


def _services(adversary: Adversary, pick: Pick) -> dict[str, Service]:
    return {name: how for name, how in build_services(pick).items() if name in adversary.rules.queues}


def history_is_read(adversary: Adversary, pick: Pick) -> None:
    """History tells whom callers talked with, some time after the start."""
    adversary.tell(e.LastAgentsKnown(((pick.of(NUMBERS[1:3]), pick.of(AGENTS)), ("+1", pick.of(AGENTS)))))


def callers_are_erased(adversary: Adversary, pick: Pick) -> None:
    """Somebody erases callers, who may never have called, or be in a call."""
    adversary.tell(e.CallersForgotten((pick.of(NUMBERS[1:3]), "+9")))


# --- the switch ----------------------------------------------------------------------------------------------------


def switch_works(adversary: Adversary, pick: Pick) -> None:
    """The switch carries out one order, any of those that wait; seldom it loses it."""
    if not adversary.orders:
        return
    order = adversary.orders.pop(pick.below(min(len(adversary.orders), 4)))
    if not pick.chance(25):
        adversary.carry_out(order, pick)


def fact_arrives(adversary: Adversary, pick: Pick) -> None:
    """One of the facts arrives: usually the oldest; seldom it is lost, or stays to come again."""
    if not adversary.facts:
        return
    place = 0 if pick.below(3) else pick.below(len(adversary.facts))
    event = adversary.facts.pop(place)
    if pick.chance(40):
        return
    if pick.chance(20):
        adversary.facts.append(event)
    adversary.tell(event)


def all_goes_well(adversary: Adversary, pick: Pick) -> None:
    """For a moment the switch does all it was told, and all that happened arrives in order."""
    for _ in range(pick.of((1, 4, 16))):
        if adversary.orders:
            adversary.carry_out(adversary.orders.pop(0), pick)
        if adversary.facts:
            adversary.tell(adversary.facts.pop(0))


def switch_changes(adversary: Adversary, pick: Pick) -> None:
    """The link goes and comes; the switch starts anew and forgets."""
    if not pick.chance(3):
        return
    switch = pick.of(SWITCHES)
    kinds = (e.SwitchLost, e.SwitchConnected, e.SwitchConnected, e.SwitchRestarted)
    event: e.Event = kinds[pick.below(len(kinds))](switch)
    if isinstance(event, e.SwitchRestarted):
        adversary.callers = {call_id: on for call_id, on in adversary.callers.items() if on != switch}
        adversary.legs = {offer_id: leg for offer_id, leg in adversary.legs.items() if leg.ring.switch != switch}
        adversary.outside = [one for one in adversary.outside if one.leg.switch != switch]
    adversary.tell(event)


def link_breaks_at_a_bridge(adversary: Adversary, pick: Pick) -> None:
    """The link goes just when an agent has answered, and comes back; what happened meanwhile is told or never."""
    answered = [leg for leg in adversary.legs.values() if leg.answered and not leg.bridged]
    if not answered:
        return
    switch = pick.of(answered).ring.switch
    adversary.tell(e.SwitchLost(switch))
    all_goes_well(adversary, pick)
    adversary.wait(pick.of((40, 2_000, 5_000)))
    if pick.below(2):
        adversary.facts.clear()
    adversary.tell(e.SwitchConnected(switch))


def old_fact_comes_again(adversary: Adversary, pick: Pick) -> None:
    """Something told long ago is told again."""
    old = [event for event in adversary.told[-60:] if not isinstance(event, e.RulesEvent)]
    if old:
        adversary.tell(pick.event(*old))


def nonsense_arrives(adversary: Adversary, pick: Pick) -> None:
    """A fact about nobody."""
    adversary.tell(
        pick.event(
            e.OfferAnswered("nobody", "fs1"),
            e.OfferConnected("nobody"),
            e.OfferEnded("nobody", e.OfferEnd.REFUSED),
            e.CallerGone("nobody"),
            e.CallReturned("nobody"),
            e.CallRequeueAsked("nobody", "api"),
            e.CallPromoteAsked("nobody", "api"),
            e.CallChangeAsked("nobody", "api", priority=1),
            e.CallSendAsked("nobody", AGENTS[0], "api"),
            e.AgentSetReady("nobody", "api"),
            e.AgentChangeAsked("nobody", "api", skills=()),
            e.AgentSetNotReadyFor("nobody", "api", QUEUES[0]),
            e.OutsideCallEnded("nobody", e.Leg("fs1", "nothing")),
            e.QueueSetOpen("nowhere", open=False, by="api"),
            e.SwitchLost("fs9"),
        )
    )


# --- time ----------------------------------------------------------------------------------------------------------


def time_passes(adversary: Adversary, pick: Pick) -> None:
    """A moment or a while, sometimes in one jump."""
    adversary.wait(pick.of((1, 1, 40, 40, 200, 200, 1_000, 1_000, 5_000, 20_000)), jump=pick.chance(4))


def clock_moves(adversary: Adversary, pick: Pick) -> None:
    """Facts come after their deadlines, because nobody has looked at the clock meanwhile."""
    adversary.driver.now_ms += pick.of((0, 0, 1, 1, 40, 40, 40, 3_000))


Act = Callable[[Adversary, Pick], None]

# Each act, and how often it is drawn in a random walk.
WEIGHTS: dict[Act, int] = {
    call_comes: 10,
    caller_hangs_up: 1,
    caller_strays: 1,
    agent_reacts: 10,
    agent_asks: 6,
    agent_rests: 2,
    shift_begins: 1,
    agent_phones: 2,
    operator_asks: 3,
    operator_changes: 1,
    rules_change: 1,
    rules_are_read_again: 1,
    agents_change: 1,
    history_is_read: 1,
    callers_are_erased: 1,
    switch_works: 18,
    fact_arrives: 20,
    all_goes_well: 4,
    switch_changes: 2,
    link_breaks_at_a_bridge: 1,
    old_fact_comes_again: 1,
    nonsense_arrives: 1,
    time_passes: 6,
    clock_moves: 1,
}
ACTS: dict[str, Act] = {one.__name__: one for one in WEIGHTS}
