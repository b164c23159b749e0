"""The model: what the words of the file mean to the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fsacd.config.centre import QueueSettings
from fsacd.config.forms import Address, contact_is_safe, is_loopback
from fsacd.config.kinds import duration_ms, duration_text
from fsacd.config.model import Config
from fsacd.config.reader import parse
from fsacd.core.rules import (
    AgentRules,
    HoldBack,
    Limits,
    QueueRules,
    Rules,
    Service,
    ToExtension,
    ToHangup,
    ToQueue,
)

SWITCH = "switches: {fs1: {password: fine}}\n"


def rules(text: str) -> Rules:
    return parse((SWITCH + text).encode(), Path("f.yaml"), environ={}).rules()


@pytest.mark.parametrize(
    ("text", "value_ms"),
    [
        ("15s", 15_000),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("300ms", 300),
        ("1d", 86_400_000),
        ("1m1s1ms", 61_001),
        ("0", 0),
        ("0s", 0),
        ("", None),
        ("15", None),
        ("s", None),
        ("1s1m", None),
        ("1.5s", None),
        ("-1s", None),
        ("15 s", None),
        ("soon", None),
        ("\u0661s", None),
    ],
)
def test_durations_are_written_with_their_unit(text: str, value_ms: int | None) -> None:
    """A duration is a row of numbers with units, the largest first; a number alone is none."""
    assert duration_ms(text) == value_ms


@given(st.integers(0, 10**10))
def test_a_duration_is_read_as_it_is_written(value_ms: int) -> None:
    """What the reference shows can be read again."""
    assert duration_ms(duration_text(value_ms)) == value_ms


def test_a_queue_of_defaults_is_the_engine_s_own_default() -> None:
    """The file's defaults and the engine's are the same."""
    assert rules("queues: {support: }").queues["support"] == QueueRules("support")
    assert rules("").limits == Limits()


def test_every_word_of_a_queue_reaches_the_engine() -> None:
    """Each setting of a queue becomes the rule of its name."""
    text = """
queues:
  other: {}
  support:
    strategy: longest_idle
    priority: 3
    required_skills: {german: 5, billing: 2}
    ring_timeout: 11s
    wrap_up: 12s
    max_length: 13
    when_full: {queue: other}
    max_wait: 14s
    when_max_wait: {extension: "9000"}
    after_talk: {extension: survey, context: ivr}
    hold_back: {refused: 1s, busy: 2s, no_answer: 3s, unreachable: 4s}
    service_level: 15s
    short_abandon: 16s
"""
    expected = QueueRules(
        name="support",
        priority=3,
        required=(("billing", 2), ("german", 5)),
        ring_timeout_ms=11_000,
        wrap_up_ms=12_000,
        max_length=13,
        when_full=ToQueue("other"),
        max_wait_ms=14_000,
        when_max_wait=ToExtension("9000", "default"),
        after_talk=ToExtension("survey", "ivr"),
        hold_back=HoldBack(1_000, 2_000, 3_000, 4_000),
        service_level_ms=15_000,
        short_abandon_ms=16_000,
    )
    assert rules(text).queues["support"] == expected


def test_a_queue_says_only_what_differs_from_the_defaults() -> None:
    """What a queue does not say comes from `defaults`; null and hangup are said too, hold_back goes one by one."""
    text = """
defaults: {wrap_up: 7s, max_wait: 1m, after_talk: {extension: survey}, hold_back: {busy: 7s, refused: 8s}}
queues:
  a: {}
  b: {wrap_up: 0s, max_wait: null, after_talk: hangup, hold_back: {busy: 9s}, when_full: {hangup: CALL_REJECTED}}
"""
    queues = rules(text).queues
    a, b = queues["a"], queues["b"]
    assert (a.wrap_up_ms, a.max_wait_ms, a.after_talk) == (7_000, 60_000, ToExtension("survey", "default"))
    assert (b.wrap_up_ms, b.max_wait_ms, b.after_talk) == (0, None, None)
    assert (a.hold_back.busy_ms, b.hold_back.busy_ms, b.hold_back.refused_ms) == (7_000, 9_000, 8_000)
    assert (a.when_full, b.when_full) == (ToHangup("USER_BUSY"), ToHangup("CALL_REJECTED"))


def test_every_word_of_an_agent_reaches_the_engine() -> None:
    """Queues are a list, a map of ranks, or a map of blocks; the contact is his own or made from the template."""
    text = """
queues: {a: , b: , c: }
agent_contact: sofia/internal/{agent}@10.0.0.1:5060;transport=tcp
agents:
  1001: {name: Anna, queues: [b, a], skills: {french: 2, english: 10}}
  1002: {contact: user/1002@example.com, queues: {a: 2, b: {rank: 3, delay: 20s}, c: }}
"""
    expected = {
        "1001": AgentRules(
            agent_id="1001",
            name="Anna",
            contact="sofia/internal/1001@10.0.0.1:5060;transport=tcp",
            switch="fs1",
            queues={"b": Service(), "a": Service()},
            skills=(("english", 10), ("french", 2)),
        ),
        "1002": AgentRules(
            agent_id="1002",
            contact="user/1002@example.com",
            switch="fs1",
            queues={"a": Service(2), "b": Service(3, 20_000), "c": Service()},
        ),
    }
    assert dict(rules(text).agents) == expected


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("fs1", False)],
)
def test_only_this_machine_is_loopback(host: str, *, loopback: bool) -> None:
    """A name that could become anything tomorrow is not this machine."""
    assert is_loopback(host) == loopback


@pytest.mark.parametrize("listen", ["127.0.0.1:8090", "[::1]:0", "localhost:65535"])
def test_an_address_is_read_as_it_is_written(listen: str) -> None:
    """An address to listen on has a host and a port, IPv6 in brackets."""
    config = Config.model_validate({"api": {"listen": listen}})
    assert str(config.api.listen) == listen
    assert isinstance(config.api.listen, Address)


@pytest.mark.parametrize(
    "listen", ["8090", ":8090", "127.0.0.1", "::1:8090", "[127.0.0.1]:1", "a:65536", "a b:1", "a:x"]
)
def test_half_an_address_is_refused(listen: str) -> None:
    """What is not a host with a port is no address to listen on."""
    with pytest.raises(ValidationError):
        Config.model_validate({"api": {"listen": listen}})


@given(st.text(alphabet="user/1001 ,|&${}[]()<>'\"\\\n\r\t^!`:_@.", max_size=30))
def test_a_contact_is_one_endpoint(contact: str) -> None:
    """No contact that is accepted holds a character by which the switch would read more than one endpoint."""
    if contact_is_safe(contact):
        assert not set(contact) & set(" ,|&${}[]()<>'\"\\\n\r\t^!`")
        assert ":_:" not in contact


def test_settings_are_frozen() -> None:
    """A configuration does not change; a reload makes another one."""
    with pytest.raises(ValidationError):
        QueueSettings().priority = 3
