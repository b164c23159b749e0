"""Who may do what, as a pure function: every verb and every wish, against tables that were written by hand."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import cast

import pytest

from fsacd.core import events as e
from fsacd.desk.rights import (
    BY_SIGNAL,
    EVERYWHERE,
    WHOLE,
    WISHES,
    Places,
    Principal,
    Role,
    Scope,
    Target,
    Verb,
    Wish,
    at_phone,
    may,
    may_ask,
    roles_with,
    stranger,
)

NOW_S = 1_800_000_000.0
NOBODY, READ, AGENT, SUPERVISOR, ADMIN = "nobody", "read", "agent", "supervisor", "admin"

VERBS = {
    Verb.SEE_HEALTH: "nobody read agent supervisor admin",
    Verb.SEE_METRICS: "nobody read agent supervisor admin",
    Verb.SEE_STATUS: "read agent supervisor admin",
    Verb.EXPLAIN: "read agent supervisor admin",
    Verb.ACT_AS_AGENT: "agent supervisor admin",
    Verb.CHOOSE_CONTACT: "agent supervisor admin",
    Verb.HANDLE_TALKS: "agent supervisor admin",
    Verb.SEE_NUMBERS: "supervisor admin",
    Verb.CHANGE_AGENTS: "supervisor admin",
    Verb.MOVE_CALLS: "supervisor admin",
    Verb.CHANGE_CALLS: "supervisor admin",
    Verb.END_CALLS: "supervisor admin",
    Verb.OPEN_QUEUES: "supervisor admin",
    Verb.SEE_CUSTOMERS: "supervisor admin",
    Verb.CHANGE_CUSTOMERS: "supervisor admin",
    Verb.RELOAD: "admin",
    Verb.RESYNC: "admin",
}


def principal(kind: str, by: str = "api:x", scope: Scope = EVERYWHERE, expires_s: float | None = None) -> Principal:
    verbs = stranger(open_metrics=True).verbs if kind == NOBODY else Role(kind).verbs
    return Principal(by, verbs, scope, expires_s)


def test_every_verb_has_a_row() -> None:
    """A new verb needs a decision about who has it."""
    assert set(VERBS) == set(Verb)


@pytest.mark.parametrize("verb", Verb)
def test_a_verb_is_had_by_those_of_its_row_alone(verb: Verb) -> None:
    """Deny by default: what no row gives, nobody has."""
    kinds = (NOBODY, *Role)
    assert [kind for kind in kinds if may(principal(kind), verb, WHOLE, NOW_S) is None] == VERBS[verb].split()
    assert [*roles_with(verb)] == [role for role in Role if role in VERBS[verb].split()]
    assert may(Principal("x"), verb, WHOLE, NOW_S) is not None


@pytest.mark.parametrize("verb", Verb)
def test_whose_time_is_over_may_nothing(verb: Verb) -> None:
    """From the very moment on, whatever the verb."""
    assert may(principal(ADMIN, expires_s=NOW_S + 0.001), verb, WHOLE, NOW_S) is None
    assert may(principal(ADMIN, expires_s=NOW_S), verb, WHOLE, NOW_S) == "the token of api:x has expired."


def test_metrics_can_be_kept_from_strangers() -> None:
    """Health stays open."""
    assert stranger(open_metrics=False).verbs == {Verb.SEE_HEALTH}


@pytest.mark.parametrize(
    ("scope", "target", "allowed"),
    [
        (EVERYWHERE, WHOLE, True),
        (EVERYWHERE, Target(("1001",), ("sales",)), True),
        (Scope(agents=frozenset({"1001"})), Target(("1001",)), True),
        (Scope(agents=frozenset({"1001"})), Target(("1002",)), False),
        (Scope(agents=frozenset({"1001"})), Target(("1001", "1002")), False),
        # Not named is everything, and that is outside.
        (Scope(agents=frozenset({"1001"})), WHOLE, False),
        (Scope(agents=frozenset({"1001"})), Target(queues=("sales",)), False),
        (Scope(queues=frozenset({"sales"})), Target(queues=("sales",)), True),
        (Scope(queues=frozenset({"sales"})), Target(queues=("sales", "support")), False),
        (Scope(queues=frozenset({"sales"})), Target(("1001",)), False),
        # A call that nobody knows is in no queue.
        (Scope(queues=frozenset({"sales"})), Target(queues=("",)), False),
        (Scope(frozenset({"1001"}), frozenset({"sales"})), Target(("1001",), ("sales",)), True),
        (Scope(frozenset({"1001"}), frozenset({"sales"})), Target(("1001",), ("support",)), False),
        (Scope(agents=frozenset()), Target(("1001",)), False),
    ],
)
def test_a_scope_bounds_acting(scope: Scope, target: Target, allowed: bool) -> None:
    """In each direction in which it is bounded, the target must be named and lie inside."""
    assert allowed == (may(principal(ADMIN, scope=scope), Verb.CHANGE_AGENTS, target, NOW_S) is None)


def test_a_scope_does_not_bound_looking() -> None:
    """An agent's desk shows the floor."""
    assert may(principal(AGENT, scope=Scope(agents=frozenset({"1001"}))), Verb.SEE_STATUS, WHOLE, NOW_S) is None


# --- wishes --------------------------------------------------------------------------------------------------------

BY = "api:x"
WISHED: dict[type[Wish], tuple[Wish, str]] = {
    e.AgentLoggedIn: (e.AgentLoggedIn("1001", BY), "agent supervisor admin"),
    e.AgentLoggedOut: (e.AgentLoggedOut("1001", BY), "agent supervisor admin"),
    e.AgentSetReady: (e.AgentSetReady("1001", BY), "agent supervisor admin"),
    e.AgentSetReadyFor: (e.AgentSetReadyFor("1001", BY, "support"), "agent supervisor admin"),
    e.AgentSetNotReadyFor: (e.AgentSetNotReadyFor("1001", BY, "support"), "agent supervisor admin"),
    e.AgentSetNotReady: (e.AgentSetNotReady("1001", BY), "agent supervisor admin"),
    e.AgentEndedWrapUp: (e.AgentEndedWrapUp("1001", BY), "agent supervisor admin"),
    e.AgentCodedWrapUp: (e.AgentCodedWrapUp("1001", BY, ("sale",)), "agent supervisor admin"),
    e.AgentChangeAsked: (e.AgentChangeAsked("1001", BY, ()), "supervisor admin"),
    e.CallRequeueAsked: (e.CallRequeueAsked("c", BY), "supervisor admin"),
    e.CallHangupAsked: (e.CallHangupAsked("c", BY), "supervisor admin"),
    e.CallChangeAsked: (e.CallChangeAsked("c", BY, 1), "supervisor admin"),
    e.CallPromoteAsked: (e.CallPromoteAsked("c", BY), "supervisor admin"),
    e.CallSendAsked: (e.CallSendAsked("c", "1001", BY), "supervisor admin"),
    e.QueueSetOpen: (e.QueueSetOpen("support", True, BY), "supervisor admin"),
    e.TalkChangeAsked: (e.TalkChangeAsked("1001", "t", e.TalkVerb.HOLD, BY), "agent supervisor admin"),
    e.TalkDigitsAsked: (e.TalkDigitsAsked("1001", "t", 1, BY, "1"), "agent supervisor admin"),
    e.TalkTransferAsked: (
        e.TalkTransferAsked("1001", "t", e.TransferTo.QUEUE, "sales", BY),
        "agent supervisor admin",
    ),
    e.TalkConsultAsked: (e.TalkConsultAsked("1001", "t", "1002", BY), "agent supervisor admin"),
}
PLACES = Places({"1001": "user/1001", "1002": "user/1002"}, ("user/desk*",), {"1002": ("user/{agent}@home.example",)})


def asks(who: Principal, wish: Wish, places: Places = PLACES) -> str | None:
    return may_ask(who, wish, places, lambda _: "support", NOW_S)


def wishes() -> set[type[Wish]]:
    """Every fact that says who asked for it, read from the facts themselves."""
    return {fact for fact in typing.get_args(e.Event) if "by" in typing.get_type_hints(fact)}


def test_every_wish_has_a_row_and_a_verb() -> None:
    """A fact that says who asked for it is a wish; a new one needs a verb, and a row here."""
    assert set(WISHED) == wishes() == set(WISHES) == set(typing.get_args(Wish))


@pytest.mark.parametrize("kind", [NOBODY, *Role])
@pytest.mark.parametrize("wish", WISHED, ids=lambda wish: wish.__name__)
def test_a_wish_is_for_those_of_its_row_alone(wish: type[Wish], kind: str) -> None:
    """Also past the API: whoever brings a wish to the daemon is asked."""
    whole, allowed = WISHED[wish]
    assert (asks(principal(kind, BY), whole) is None) == (kind in allowed.split())


@pytest.mark.parametrize("wish", WISHED, ids=lambda wish: wish.__name__)
def test_an_agents_token_asks_for_its_own_agent_alone(wish: type[Wish]) -> None:
    """The bound token of 1002 moves nothing of 1001's, even with the verbs of an admin."""
    bound = principal(ADMIN, BY, Scope(agents=frozenset({"1002"})))
    assert asks(bound, WISHED[wish][0]) is not None


@pytest.mark.parametrize("wish", WISHED, ids=lambda wish: wish.__name__)
def test_nobody_asks_in_anothers_name(wish: type[Wish]) -> None:
    """History says who did it, so the subject is the one who was looked at."""
    refusal = asks(principal(ADMIN, "api:somebody"), WISHED[wish][0])
    assert refusal == "api:somebody may not ask in the name of api:x."


def test_a_call_is_moved_between_queues_of_the_scope_alone() -> None:
    """Both the queue that it is in and the one that it goes to count."""
    support = principal(SUPERVISOR, BY, Scope(queues=frozenset({"support"})))
    assert asks(support, e.CallRequeueAsked("c", BY, "support")) is None
    assert asks(support, e.CallRequeueAsked("c", BY, "sales")) is not None
    assert may_ask(support, e.CallRequeueAsked("c", BY, "support"), PLACES, lambda _: "sales", NOW_S) is not None


@dataclass
class _Strange:
    by: str = BY


def test_what_is_in_no_table_is_for_nobody() -> None:
    """Deny by default: also what the types should have kept out."""
    assert asks(principal(ADMIN, BY), cast("Wish", _Strange())) == "api:x may not ask for this."


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "contact", "allowed"),
    [
        ("1001", "user/1001", True),
        ("1001", "user/1002", True),
        ("1001", "user/desk7", True),
        ("1001", "user/desk", True),
        ("1002", "user/1002@home.example", True),
        ("1001", "user/1001@home.example", False),
        ("1002", "user/1001@home.example", False),
        ("1001", "user/desk7@elsewhere", False),
        ("1001", "user/desk+4930123456", False),
        ("1001", "user/desk/7", False),
        ("1001", "user/9999", False),
        ("1001", "sofia/gateway/carrier/4930123456", False),
        ("1001", "user/1001 ", False),
        ("1001", "user/desk7\n", False),
    ],
)
def test_an_agent_is_rung_where_it_is_allowed(agent: str, contact: str, allowed: bool) -> None:
    """At every configured agent's contact, and where the lists say so; a star never leads to another domain."""
    wish = e.AgentLoggedIn(agent, BY, contact)
    assert allowed == (asks(principal(ADMIN, BY), wish) is None)


def test_the_own_contact_takes_no_right_to_choose() -> None:
    """Who may act for an agent may have them rung at their own phone."""
    acts = Principal(BY, frozenset({Verb.ACT_AS_AGENT}))
    assert asks(acts, e.AgentLoggedIn("1001", BY, "user/1001")) is None
    assert "may not choose" in str(asks(acts, e.AgentLoggedIn("1001", BY, "user/1002")))


# --- who is not a token --------------------------------------------------------------------------------------------


def test_a_phone_acts_for_its_agents_and_does_nothing_else() -> None:
    """Feature codes are no way to the rest of the API."""
    phone = at_phone("phone:1001", ("1001",))
    assert [verb for verb in Verb if may(phone, verb, Target(("1001",)), NOW_S) is None] == [
        Verb.ACT_AS_AGENT,
        Verb.CHOOSE_CONTACT,
    ]
    assert may(phone, Verb.ACT_AS_AGENT, Target(("1002",)), NOW_S) is not None


def test_a_signal_reloads_and_does_nothing_else() -> None:
    """SIGHUP comes from whoever runs the process."""
    assert [verb for verb in Verb if may(BY_SIGNAL, verb, WHOLE, NOW_S) is None] == [Verb.RELOAD]
