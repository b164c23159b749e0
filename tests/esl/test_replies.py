"""Which answer belongs to which command: order, tombstones, deadlines, the limit."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from fsacd.esl.codec import Kind, Message
from fsacd.esl.replies import Command, Replies
from fsacd.esl.wire import Outcome, Reply, Wire


def command(text: str, deadline: float = 10.0) -> Command:
    return Command(Wire(f"{text}\n\n".encode(), text), deadline, None)


def test_answers_come_in_the_order_of_the_commands() -> None:
    """The first answer belongs to the command written first."""
    replies = Replies(9)
    first, second = command("1"), command("2")
    assert (replies.add(first), replies.add(second)) == (True, True)
    assert replies.take(100) == b"1\n\n2\n\n"
    assert [replies.answer(), replies.answer(), replies.answer()] == [first, second, None]


def test_a_tombstone_keeps_its_place() -> None:
    """A command past its deadline keeps its place among the answers, and is told of once."""
    replies = Replies(9)
    late, other = command("1", 1.0), command("2", 5.0)
    replies.add(late)
    replies.add(other)
    replies.take(100)
    assert replies.next_deadline() == 1.0
    assert replies.expire(1.0) == [(late, Outcome.UNCONFIRMED)]
    assert replies.expire(2.0) == []
    assert replies.next_deadline() == 5.0
    assert (replies.answer(), late.done, replies.answer(), other.done) == (late, True, other, False)


def test_a_command_that_was_not_taken_is_not_sent() -> None:
    """Before it is written a command leaves at its deadline, and nothing of it is written later."""
    replies = Replies(9)
    late, other = command("1", 1.0), command("2", 5.0)
    replies.add(late)
    replies.add(other)
    assert replies.expire(1.0) == [(late, Outcome.NOT_SENT)]
    assert replies.take(100) == b"2\n\n"


def test_nothing_is_written_at_its_deadline_or_after_it() -> None:
    """A process that stood still writes before it looks at deadlines: the command counts until it is told of, once."""
    replies = Replies(2)
    late, other = command("1", 1.0), command("2", 5.0)
    replies.add(late)
    replies.add(other)
    assert replies.take(100, 1.0) == b"2\n\n"
    assert (len(replies), replies.add(command("3")), replies.next_deadline()) == (2, False, 1.0)
    assert replies.expire(1.0) == [(late, Outcome.NOT_SENT)]
    assert (len(replies), replies.expire(2.0), replies.next_deadline()) == (1, [], 5.0)
    assert replies.answer() is other


def test_what_was_too_late_to_be_written_is_told_at_the_end_of_the_connection() -> None:
    """It may end before anybody has looked at deadlines."""
    replies = Replies(9)
    late = command("1", 1.0)
    replies.add(late)
    assert replies.take(100, 1.5) == b""
    assert replies.fail() == [(late, Outcome.NOT_SENT)]
    assert (late.done, len(replies)) == (True, 0)


def test_what_is_written_together() -> None:
    """At least one command is written at a time, however long, and no more than fit."""
    replies = Replies(9)
    for text in ("a" * 100, "b", "c"):
        replies.add(command(text))
    assert [len(replies.take(10)), replies.take(3), replies.take(3), replies.take(3)] == [102, b"b\n\n", b"c\n\n", b""]


def test_the_limit_counts_tombstones() -> None:
    """A switch that never answers cannot make us remember more than the limit."""
    replies = Replies(2)
    replies.add(command("1", 1.0))
    replies.take(100)
    replies.expire(1.0)
    assert (replies.add(command("2")), replies.add(command("3")), len(replies)) == (True, False, 2)


def test_the_end_of_the_connection() -> None:
    """At the end written commands are unconfirmed, others not sent, and tombstones are not told again."""
    replies = Replies(9)
    late, written, lined_up = command("1", 1.0), command("2"), command("3")
    replies.add(late)
    replies.add(written)
    replies.take(100)
    replies.expire(1.0)
    replies.add(lined_up)
    assert replies.fail() == [(written, Outcome.UNCONFIRMED), (lined_up, Outcome.NOT_SENT)]
    assert (len(replies), replies.fail()) == (0, [])


@given(st.lists(st.sampled_from(["add", "take", "answer", "expire"]), max_size=60), st.integers(1, 9))
def test_every_command_is_told_once(steps: list[str], limit: int) -> None:
    """In any order of events every accepted command gets one outcome, and no answer reaches another's command."""
    replies = Replies(limit)
    now = 0.0
    accepted: list[Command] = []
    on_the_wire: deque[Command] = deque()
    told: list[Command] = []
    for step in steps:
        now += 1
        if step == "add":
            new = command(str(len(accepted)), now + 3)
            if replies.add(new):
                accepted.append(new)
        elif step == "take":
            texts = replies.take(20).decode().split()
            on_the_wire += [accepted[int(text)] for text in texts]
        elif step == "answer" and on_the_wire:
            answered = replies.answer()
            assert answered is on_the_wire.popleft()
            if not answered.done:
                answered.done = True
                told.append(answered)
        elif step == "expire":
            told += [expired for expired, _ in replies.expire(now)]
        assert len(replies) <= limit
    told += [failed for failed, _ in replies.fail()]
    assert sorted(told, key=accepted.index) == accepted


def test_what_is_an_error() -> None:
    """-ERR and -USAGE are errors; every other text is a success, also `false`."""
    outcomes = {
        text: Reply.of(Message(Kind.API_RESPONSE, {}, text.encode())).outcome
        for text in ("+OK\n", "-ERR No such channel!\n", "-USAGE: <uuid>", "-ERROR", "false", "", "-1")
    }
    assert [text for text, outcome in outcomes.items() if outcome is Outcome.ERR] == [
        "-ERR No such channel!\n",
        "-USAGE: <uuid>",
        "-ERROR",
    ]
    assert Reply.of(Message(Kind.COMMAND_REPLY, {"Reply-Text": "-ERR invalid"})).outcome is Outcome.ERR
