"""What a changed configuration would do to those who are here is told in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsacd.config.effects import effects
from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import parse
from fsacd.core.rules import Rules, Target, ToExtension, ToHangup, ToQueue
from fsacd.testing import agent, queue, rules_of
from tests.config.few_plugins import few_plugins

CALLS = (("old", "waiting"), ("old", "offered"), ("old", "talking"), ("new", "waiting"))


def changed(was: tuple[str, ...] = (), target: Target | None = None) -> Rules:
    base = rules_of(queue("new", was=was), agent("1", "new"))
    return Rules(base.queues, base.agents, when_queue_removed=target)


def read(text: str) -> Config:
    raw = f"switches: {{fs1: {{password: fine}}}}\n{text}\n".encode()
    return parse(raw, Path("f.yaml"), plugins=few_plugins, environ={})


def test_nothing_is_told_of_what_stays() -> None:
    """Also a talk and a wait in a queue that is still there are nothing to speak of."""
    told = effects(changed(), [("new", "waiting"), ("new", "talking")], {"1": "ready"})
    assert (told.told, told.throws_out) == ((), ())


def test_a_renamed_queue_throws_nobody_out() -> None:
    """It is told how many go along."""
    told = effects(changed(("old",)), CALLS, {})
    assert told.told == ("queue old is queue new now, and goes on: 2 callers wait in it, 1 talk",)
    assert told.throws_out == ()


@pytest.mark.parametrize(
    ("target", "where"),
    [
        (ToQueue("new"), "go to queue new"),
        (ToExtension("night", "ivr"), "go to extension night in ivr"),
        (ToHangup("USER_BUSY"), "are hung up (USER_BUSY)"),
    ],
)
def test_it_is_told_where_callers_go(target: Target, where: str) -> None:
    """In the words of each target."""
    told = effects(changed(target=target), CALLS, {})
    assert told.told == (f"queue old is gone: 2 callers wait in it and {where}",)


def test_without_a_place_callers_are_thrown_out() -> None:
    """That is told apart, with what to write; a talk alone goes on."""
    told = effects(changed(), CALLS, {})
    assert told.told == ()
    (sentence,) = told.throws_out
    assert sentence.startswith("queue old is gone, and 2 callers wait in it: write was: old under")
    assert told.thrown_out == ("queue old is gone: 2 callers wait in it and take the dialplan's fallback",)
    assert effects(changed(), [("old", "talking")], {}).told == ("queue old is gone: 1 talk goes on",)


def test_agents_who_are_gone_are_named() -> None:
    """Who is at home already is nothing to speak of; beyond a few they are counted."""
    agents = {"1": "ready", "2": "talking", "3": "logged_out", **{f"x{n:02}": "not_ready" for n in range(10)}}
    told = effects(changed(), [], agents).told
    assert told == (
        "removed agents, logged out at once: x00, x01, x02, x03, x04, x05, x06, x07 and 2 more",
        "removed agents, logged out when their callers are served: 2",
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("queues: {a: {was: b}, b: }", "queues.a.was: queue 'b' is still there; take one of the two out"),
        ("queues: {a: {was: [x, b]}, b: }", "queues.a.was[1]: queue 'b' is still there; take one of the two out"),
        ("queues: {a: {was: x}, b: {was: x}}", "queues.b.was: queue 'a' has been 'x' already"),
        ("defaults: {was: x}", "defaults.was: each queue has names of its own; write it under the queue"),
        ("when_queue_removed: {queue: nowhere}", "when_queue_removed.queue: unknown queue 'nowhere'"),
    ],
)
def test_names_of_before_are_checked(text: str, complaint: str) -> None:
    """One queue alone takes over from another, which must be gone."""
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    assert complaint in str(caught.value)


def test_a_queue_may_have_had_several_names() -> None:
    """A name alone is a list of one."""
    config = read("queues: {a: {was: x}, b: {was: [y, z]}}")
    assert config.rules().renamed() == {"x": "a", "y": "b", "z": "b"}
