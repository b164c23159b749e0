"""The model: what the words of the file mean to the engine."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fsacd.caller.hours import Hours
from fsacd.caller.recognition import Customer
from fsacd.config.centre import QueueSettings
from fsacd.config.forms import Address, contact_is_safe, is_loopback
from fsacd.config.history import StoreSettings
from fsacd.config.kinds import duration_ms, duration_text, size_bytes, size_text
from fsacd.config.model import Config
from fsacd.config.reader import parse
from fsacd.core.rules import (
    AgentRules,
    Cause,
    HoldBack,
    Limits,
    Overflow,
    OwnPauses,
    QueueRules,
    Rules,
    Service,
    Step,
    Sticky,
    StickyAgent,
    ToExtension,
    ToHangup,
    ToQueue,
    WrapUp,
)
from tests.config.few_plugins import few_plugins

SWITCH = "switches: {fs1: {password: fine}}\n"


def read(text: str) -> Config:
    return parse((SWITCH + text).encode(), Path("f.yaml"), plugins=few_plugins, environ={})


def rules(text: str) -> Rules:
    return read(text).rules()


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


@pytest.mark.parametrize(
    ("text", "value"), [("256MB", 256_000_000), ("1kB", 1_000), ("1500kB", 1_500_000), ("1GB", 10**9)]
)
def test_sizes_are_written_with_their_unit(text: str, value: int) -> None:
    """A size is a number with its unit, and is written as it is read."""
    assert (size_bytes(text), size_text(value)) == (value, text)


@pytest.mark.parametrize("text", ["", "256", "MB", "-1MB", "1.5GB", "1 MB", "1mb", "1TB", "999kB", "1001GB"])
def test_what_is_no_size(text: str) -> None:
    """Anything else, and what is out of bounds, is refused in a sentence that shows how a size is written."""
    with pytest.raises(ValueError, match="expected a size from 1MB to 1000GB like 64MB"):
        StoreSettings.model_validate({"spool": {"limit": text}})


def test_a_queue_of_defaults_is_the_engine_s_own_default() -> None:
    """The file's defaults and the engine's are the same, but for those that the engine takes from old journals.

    What an earlier fsacd has written down must be decided again as it was decided then.
    """
    expected = QueueRules("support", no_agent_no_delay=True, agent_variables=("export_vars",))
    assert rules("queues: {support: }").queues["support"] == expected
    assert rules("").limits == Limits(switch_gone_ms=600_000)


def test_every_word_of_a_queue_reaches_the_engine() -> None:
    """Each setting of a queue becomes the rule of its name."""
    text = """
queues:
  other: {}
  support:
    strategy: {name: ring_progressive, every: 10s}
    call_order: newest_first
    level_first: false
    no_agent_no_delay: false
    ring_at_once: 2
    priority: -3
    required_skills: {german: 5, billing: 2}
    ring_timeout: 11s
    wrap_up: {time: 12s, ends: by_time}
    not_ready_after: 4
    agent_display: "{queue}: {customer or number}"
    agent_variables: [sip_h_X-Ticket, ticket*]
    was: [help, desk]
    max_length: 13
    when_full: {queue: other}
    max_per_number: 21
    when_max_per_number: {queue: other}
    max_per_source: 22
    when_max_per_source: {extension: "9001"}
    abandoned_resume: 23s
    max_wait: 14s
    when_max_wait: {extension: "9000"}
    after_talk: {extension: survey, context: ivr}
    hold_back: {refused: 1s, busy: 2s, no_answer: 3s, unreachable: 4s}
    service_level: 15s
    short_abandon: 16s
    when_closed: {queue: other, joining: false, after: 17s}
    when_nobody_logged_in: {hangup: SUBSCRIBER_ABSENT, waiting: false}
    when_nobody_ready: {extension: voicemail, context: ivr}
    when_estimated_wait: {above: 18s, queue: other, after: 19s}
    expected_handling: 20s
    sticky: {agent: named_or_last, for: 21s, wait: true, any_queue: true}
    steps:
      - {after: 1s, lower: {german: 3, billing: 1}, drop: [spanish, french]}
      - {after: 2s, backup: true, ring_at_once: 3, raise_class: 4, overflow: {queue: other}}
"""
    expected = QueueRules(
        name="support",
        strategy="ring_progressive",
        strategy_parameters=(("every", 10_000),),
        call_order="newest_first",
        level_first=False,
        no_agent_no_delay=False,
        ring_at_once=2,
        priority=-3,
        required=(("billing", 2), ("german", 5)),
        ring_timeout_ms=11_000,
        wrap_up_ms=12_000,
        wrap_up=WrapUp.FIXED,
        not_ready_after=4,
        agent_display="{queue}: {customer or number}",
        agent_variables=("sip_h_X-Ticket", "ticket*"),
        was=("help", "desk"),
        max_length=13,
        when_full=ToQueue("other"),
        max_per_number=21,
        when_max_per_number=ToQueue("other"),
        max_per_source=22,
        when_max_per_source=ToExtension("9001", "default"),
        abandoned_resume_ms=23_000,
        max_wait_ms=14_000,
        when_max_wait=ToExtension("9000", "default"),
        after_talk=ToExtension("survey", "ivr"),
        hold_back=HoldBack(1_000, 2_000, 3_000, 4_000),
        service_level_ms=15_000,
        short_abandon_ms=16_000,
        when_closed=Overflow(ToQueue("other"), joining=False, after_ms=17_000),
        when_nobody_logged_in=Overflow(ToHangup("SUBSCRIBER_ABSENT"), waiting=False),
        when_nobody_ready=Overflow(ToExtension("voicemail", "ivr")),
        max_estimated_wait_ms=18_000,
        when_estimated_wait=Overflow(ToQueue("other"), after_ms=19_000),
        expected_handling_ms=20_000,
        sticky=Sticky(StickyAgent.NAMED_OR_LAST, 21_000, wait=True, any_queue=True),
        steps=(
            Step(1_000, lower=(("billing", 1), ("german", 3)), drop=("french", "spanish")),
            Step(2_000, backup=True, ring_at_once=3, raise_by=4, overflow=ToQueue("other")),
        ),
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


@pytest.mark.parametrize(
    ("text", "wrap_up_ms", "mode"),
    [
        ("5s", 5_000, WrapUp.CAPPED),
        ("{time: 5s}", 5_000, WrapUp.CAPPED),
        ("{ends: by_time}", 10_000, WrapUp.FIXED),
        ("{time: 0s, ends: by_time_or_agent}", 0, WrapUp.CAPPED),
        ("{ends: by_agent}", 10_000, WrapUp.UNTIL_READY),
    ],
)
def test_wrap_up_is_a_time_and_how_it_ends(text: str, wrap_up_ms: int, mode: WrapUp) -> None:
    """A duration alone is a wrap-up that the agent may end earlier."""
    queue = rules(f"queues: {{support: {{wrap_up: {text}}}}}").queues["support"]
    assert (queue.wrap_up_ms, queue.wrap_up) == (wrap_up_ms, mode)


def test_short_forms_mean_their_blocks() -> None:
    """A word alone is the sticky agent, a name alone the strategy; null takes back what the defaults say."""
    text = """
defaults: {sticky: named, when_closed: {hangup: USER_BUSY}, call_order: newest_first, strategy: ring_progressive}
queues:
  a: {}
  b: {sticky: null, when_closed: null, call_order: null, strategy: longest_idle}
"""
    queues = rules(text).queues
    a, b = queues["a"], queues["b"]
    assert (a.sticky, a.when_closed) == (Sticky(StickyAgent.NAMED), Overflow(ToHangup("USER_BUSY")))
    assert (a.call_order, a.strategy) == ("newest_first", "ring_progressive")
    assert (b.sticky, b.when_closed, b.call_order, b.strategy) == (None, None, None, "longest_idle")


def test_every_limit_reaches_the_engine() -> None:
    """Each limit of the engine can be set in the file."""
    text = """
limits:
  {calls: 1, cancel_retry: 22ms, connect: 203ms, offer_grace: 504ms, settle: 105ms, ringing: 6, rank_pool: 7,
   longest_wrap_up: 68s, counters_half_life: 69s, last_agents: 10, abandoned: 14, decisions: 11,
   plugin_retry: 12s, plugin_retry_most: 13s, switch_gone: 74s, late_codes: 75s}
"""
    told = (1, 22, 203, 504, 105, 6, 7, 68_000, 69_000, 10, 14, 11, 12_000, 13_000, 74_000, 75_000)
    assert rules(text).limits == Limits(*told)


def test_queues_share_hours_by_name() -> None:
    """Each queue that names hours gets them; those that name none are always open."""
    text = """
hours:
  office:
    zone: Europe/Berlin
    open: {mon-tue: [13:00-24:00, 08:00-12:00], "fri,sun": 0:00-9:30, wed: }
    closed_on: [2026-12-25]
    open_on: {2026-12-24: 08:00-12:00}
  never: {zone: UTC}
defaults: {hours: office}
queues: {a: , b: {hours: never}, c: {hours: null}, d: }
"""
    hours = read(text).opening_hours()
    morning, day = (0, 570), ((480, 720), (780, 1440))
    expected = Hours(
        ZoneInfo("Europe/Berlin"),
        (day, day, (), (), (morning,), (), (morning,)),
        {date(2026, 12, 25): (), date(2026, 12, 24): ((480, 720),)},
    )
    assert hours == {"a": expected, "b": Hours(ZoneInfo("UTC"), ((),) * 7), "d": expected}
    assert hours["a"] is hours["d"]


def test_every_word_of_a_customer_reaches_recognition() -> None:
    """A customer is found by the bare number, whatever way it is written in the file."""
    text = """
agents: {1001: }
customers:
  +49 (30) 12-34: {priority: -2, head_start: 1m, skills: {french: 3, german: 1}, agent: 1001, language: fr, name: ACME}
  anna-b:
"""
    assert read(text).known_customers() == (
        Customer("+49301234", -2, 60_000, (("french", 3), ("german", 1)), "1001", "fr", "ACME"),
        Customer("anna-b"),
    )


def test_every_word_of_an_agent_reaches_the_engine() -> None:
    """Queues are a list, a map of ranks, or a map of blocks; the contact is the agent's own or from the template."""
    text = """
queues: {a: , b: , c: }
agent_contact: sofia/internal/{agent}@10.0.0.1:5060;transport=tcp
agents:
  1001: {name: Anna, queues: [b, a], skills: {french: 2, english: 10}}
  1002: {contact: user/1002@example.com, queues: {a: 2, b: {rank: 3, delay: 20s, backup: true, weight: 4}, c: }}
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
            queues={"a": Service(2), "b": Service(3, 20_000, backup=True, weight=4), "c": Service()},
        ),
    }
    assert dict(rules(text).agents) == expected


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("wrap_up: 30s", OwnPauses(wrap_up_ms=30_000)),
        ("wrap_up: {ends: by_agent}", OwnPauses(wrap_up=WrapUp.UNTIL_READY)),
        ("wrap_up: {time: 0s, ends: by_time}", OwnPauses(0, WrapUp.FIXED)),
        ("hold_back: {busy: 1m}", OwnPauses(hold_back_ms={Cause.BUSY: 60_000})),
        ("not_ready_after: 2", OwnPauses(not_ready_after={Cause.NO_ANSWER: 2})),
        ("not_ready_after: {refused: 0}", OwnPauses(not_ready_after={Cause.REFUSED: 0})),
        ("{wrap_up: null, hold_back: , not_ready_after: null}", OwnPauses()),
    ],
)
def test_what_an_agent_says_of_pauses_is_their_own(text: str, own: OwnPauses) -> None:
    """What they do not say is the queue's: nothing is filled in from the defaults here."""
    block = text if text.startswith("{") else f"{{{text}}}"
    agents = rules(f"defaults: {{wrap_up: 7s, not_ready_after: 5}}\nagents: {{1001: {block}}}").agents
    assert agents["1001"].own == own


def test_limits_of_offers_in_vain_go_one_by_one() -> None:
    """A number alone is that of the calls that were not answered; the others stay as the defaults have them."""
    text = """
defaults: {not_ready_after: {refused: 3, busy: 4}}
queues: {a: {not_ready_after: 2}, b: {not_ready_after: {busy: 0}}}
"""
    a, b = (rules(text).queues[name] for name in "ab")
    assert [a.not_ready_limit(cause) for cause in Cause] == [3, 4, 2, 0]
    assert [b.not_ready_limit(cause) for cause in Cause] == [3, 0, 0, 0]


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


def test_an_agent_is_rung_from_where_their_phone_registers() -> None:
    """The engine is told the switches only where some cannot ring the agent."""
    agents = "agents: {a: {switch: fs2}, b: {switch: [fs2, fs1]}, c: {switch: fs1}}"
    switches = "switches: {fs1: {password: fine}, fs2: {password: fine, port: 8022}}\n"
    two = parse((switches + agents).encode(), Path("f.yaml"), plugins=few_plugins, environ={}).rules().agents
    assert [(one.switch, one.switches) for one in two.values()] == [("fs2", ("fs2",)), ("fs2", ()), ("fs1", ("fs1",))]
    one = rules("agents: {a: {}, b: {switch: fs1}, c: {switch: null}}").agents
    assert [(agent.switch, agent.switches) for agent in one.values()] == [("fs1", ())] * 3
