"""The decoder: recorded streams in any portions, and what a hostile or broken stream may not do."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsacd.esl.codec import (
    MAX_BODY_BYTES,
    MAX_EVENT_BYTES,
    MAX_EVENT_HEADERS,
    MAX_HEADER_BYTES,
    MAX_REPLY_BYTES,
    MAX_REPLY_PARTS,
    SHORT_REPLY_BYTES,
    Decoder,
    Kind,
    Message,
    ProtocolError,
    read_leg,
    read_rows,
)

TRANSCRIPTS = Path(__file__).parent / "transcripts"
NAMES = sorted(path.name for path in TRANSCRIPTS.glob("*.esl"))
VICTIM = "11111111-1111-4111-8111-111111111111"


def decode(data: bytes, size: int | None = None) -> list[Message]:
    decoder = Decoder()
    messages: list[Message] = []
    for start in range(0, len(data), size or len(data)):
        messages += decoder.feed(data[start : start + (size or len(data))])
    assert decoder.partial_bytes == 0
    return messages


def json_event(body: bytes) -> bytes:
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%s" % (len(body), body)


def frames(data: bytes) -> list[bytes]:
    """The stream cut into messages by their lengths alone, not by the decoder."""
    found: list[bytes] = []
    position = 0
    while position < len(data):
        blank = data.index(b"\n\n", position)
        length = data[position:blank].partition(b"Content-Length: ")[2].partition(b"\n")[0]
        end = blank + 2 + int(length or b"0")
        found.append(data[position:end])
        position = end
    return found


_LONG = 2_500


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_at_any_byte_changes_nothing(name: str) -> None:
    """A recorded message is the same when it arrives in two portions, wherever it is cut, with others around it.

    Long ones are cut at every eleventh byte: their recordings together hold each place in a header a hundred times.
    """
    around = b"Content-Type: auth/request\n\n"
    for frame in frames((TRANSCRIPTS / name).read_bytes()):
        if b"text/event-plain" in frame and len(frame) > 2_000:
            continue  # reading one takes ten times as long, and the framing does not look into it
        [whole] = decode(frame)
        for cut in range(1, len(frame), 1 if len(frame) < _LONG else 11):
            decoder = Decoder()
            before = decoder.feed(around + frame[:cut])
            assert [message.kind for message in before] == [Kind.AUTH_REQUEST]
            [message, after] = decoder.feed(frame[cut:] + around)
            assert (message, after.kind) == (whole, Kind.AUTH_REQUEST)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_portions_of_any_size_give_the_same_messages(name: str, size: int) -> None:
    """One byte at a time or many messages at once: the messages are the same."""
    data = (TRANSCRIPTS / name).read_bytes()
    assert decode(data, size) == decode(data)


def test_a_recorded_conversation() -> None:
    """Every kind of message of a recorded conversation is told apart."""
    messages = decode((TRANSCRIPTS / "talk.json.esl").read_bytes())
    assert [(m.kind, m.name or m.data.split("\n")[0][:30]) for m in messages] == [
        (Kind.AUTH_REQUEST, ""),
        (Kind.COMMAND_REPLY, "+OK accepted"),
        (Kind.COMMAND_REPLY, "+OK event listener enabled json"[:30]),
        (Kind.EVENT, "CHANNEL_PARK"),
        (Kind.COMMAND_REPLY, messages[4].data[:30]),
        (Kind.EVENT, "BACKGROUND_JOB"),
        (Kind.API_RESPONSE, "+OK"),
        (Kind.COMMAND_REPLY, messages[7].data[:30]),
        (Kind.EVENT, "CHANNEL_BRIDGE"),
        (Kind.API_RESPONSE, "+OK"),
        (Kind.EVENT, "CHANNEL_HANGUP"),
        (Kind.COMMAND_REPLY, "+OK bye"),
        (Kind.DISCONNECT, "Disconnected, goodbye."),
    ]
    job = messages[5]
    assert job.text.startswith("+OK ")
    assert messages[4].get("Job-UUID") == job.get("Job-UUID")


def test_both_formats_say_the_same() -> None:
    """A recorded event in `event plain` has the names and the unquoted values of one in `event json`."""
    plain = next(m for m in decode((TRANSCRIPTS / "talk.plain.esl").read_bytes()) if m.name == "CHANNEL_PARK")
    js = next(m for m in decode((TRANSCRIPTS / "talk.json.esl").read_bytes()) if m.name == "CHANNEL_PARK")
    assert set(plain.headers) == set(js.headers)
    assert plain.get("Caller-Channel-Name").split("@")[0] == js.get("Caller-Channel-Name").split("@")[0]


@pytest.mark.parametrize("name", ["hostile-name.json.esl", "hostile-name.plain.esl"])
def test_a_recorded_hostile_name_forges_nothing(name: str) -> None:
    """A display name with %0A from a real INVITE stays a value; event name and channel are FreeSWITCH's."""
    events = [m for m in decode((TRANSCRIPTS / name).read_bytes()) if m.kind is Kind.EVENT]
    assert [event.name for event in events] == ["CHANNEL_CREATE", "CHANNEL_HANGUP"]
    for event in events:
        assert event.get("Unique-ID") != VICTIM
        assert event.get("Caller-Caller-ID-Name") == f"Bob\nUnique-ID: {VICTIM}\nEvent-Name: CHANNEL_HANGUP"


def test_replies_are_not_unquoted() -> None:
    """%0A in a reply that echoes text adds no header."""
    [reply] = decode(b"Content-Type: command/reply\nReply-Text: +OK x%0AJob-UUID: forged\n\n")
    assert reply.get("Job-UUID") == ""
    assert reply.data == "+OK x%0AJob-UUID: forged"


def test_only_a_newline_ends_a_line() -> None:
    """Line separators of Unicode, vertical tabs and next-line characters are ordinary characters of a value."""
    value = "a\u2028b\x0bc\x85d\x0ce"
    [reply] = decode(f"Content-Type: command/reply\nReply-Text: {value}\n\n".encode())
    assert reply.data == value


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    """A Latin-1 name does not cost the event, nor the reply, that carries it."""
    [event] = decode(json_event(b'{"Event-Name":"CHANNEL_PARK","Caller-Caller-ID-Name":"M\xfcller","x":"y"}'))
    assert dict(event.headers) == {"Event-Name": "CHANNEL_PARK", "Caller-Caller-ID-Name": "M\ufffdller", "x": "y"}
    [reply] = decode(b"Content-Type: api/response\nContent-Length: 3\n\na\xffb")
    assert reply.text == "a\ufffdb"


def test_headers_with_several_values() -> None:
    """An array is a list in both formats; `get` gives its first value."""
    [event] = decode(json_event(b'{"Event-Name":"X","V":["a","b"],"E":[]}'))
    assert event.headers["V"] == ["a", "b"]
    assert (event.get("V"), event.get("E", "none"), event.get("missing")) == ("a", "none", "")
    body = b"Event-Name: X\nV: ARRAY::a|:b\n\n"
    [plain] = decode(b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(body), body))
    assert plain.headers["V"] == ["a", "b"]


def test_an_events_body_is_not_read_as_headers() -> None:
    """A body that looks like headers stays the body."""
    body = b"Event-Name: BACKGROUND_JOB\nUnique-ID: real\nContent-Length: 16\n\nUnique-ID: fake\n"
    [event] = decode(b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(body), body))
    assert event.get("Unique-ID") == "real"
    assert event.text == "Unique-ID: fake\n"


def test_an_empty_value_and_a_line_without_a_colon() -> None:
    """`User-Data: ` with nothing behind it is an empty value; a line without a colon belongs to nobody."""
    [log] = decode(b"Content-Type: log/data\nContent-Length: 5\nLog-Line: 12\nUser-Data: \nnonsense\n\nhello")
    assert (log.kind, log.get("Log-Line"), log.get("User-Data"), log.text) == (Kind.LOG, "12", "", "hello")


def test_an_unknown_type_is_skipped_by_its_length() -> None:
    """A message of a kind that we do not know does not disturb the ones after it."""
    messages = decode(b"Content-Type: text/new\nContent-Length: 4\n\n\n\n\n\nContent-Type: auth/request\n\n")
    assert [message.kind for message in messages] == [Kind.OTHER, Kind.AUTH_REQUEST]


BROKEN = {
    "a negative length": b"Content-Length: -1\nContent-Type: text/event-json\n\n",
    "no number": b"Content-Length: abc\nContent-Type: api/response\n\n",
    "digits of another script": "Content-Length: ٣\nContent-Type: api/response\n\n".encode(),
    "an underscore": b"Content-Length: 1_0\nContent-Type: api/response\n\n",
    "20 MiB": b"Content-Length: 20971520\nContent-Type: text/event-json\n\n",
    "one byte too much": b"Content-Type: api/response\nContent-Length: %d\n\n" % (MAX_BODY_BYTES + 1),
    "a million digits": b"Content-Type: api/response\nContent-Length: " + b"9" * 50_000 + b"\n\n",
    "two lengths": b"Content-Length: 1\nContent-Length: 2\nContent-Type: api/response\n\nab",
    "two types": b"Content-Length: 1\nContent-Type: api/response\nContent-Type: auth/request\n\na",
    "an event without a length": b"Content-Type: text/event-json\n\n{}",
    "a response without a length": b"Content-Type: api/response\n\n",
    "no JSON": json_event(b"{nonsense"),
    "no object": json_event(b"[1]"),
    "an endless header": b"x" * (MAX_HEADER_BYTES + 1),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_stream_is_refused_for_good(broken: bytes) -> None:
    """Nonsense is an error in one sentence, the messages before it are kept, and nothing after it is read."""
    good = b"Content-Type: auth/request\n\n"
    decoder = Decoder()
    with pytest.raises(ProtocolError, match=r"^FreeSWITCH .*\.$") as caught:
        decoder.feed(good + broken)
    assert [message.kind for message in caught.value.before] == [Kind.AUTH_REQUEST]
    with pytest.raises(ProtocolError):
        decoder.feed(good)


def test_the_largest_answer() -> None:
    """An answer of exactly 8 MiB is taken, in portions; of a longer one its place is kept, and what follows is read."""
    body = b"x" * MAX_REPLY_BYTES
    [message] = decode(b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body), 1 << 20)
    assert len(message.body) == MAX_REPLY_BYTES
    long, behind = b"x" * MAX_BODY_BYTES, b"Content-Type: api/response\nContent-Length: 1\n\na"
    refused, next_one = decode(
        b"Content-Type: api/response\nContent-Length: %d\n\n%s%s" % (len(long), long, behind), 1 << 20
    )
    assert refused.text == "-ERR the answer is longer than 8192 KiB and was left out"
    assert next_one.text == "a"


@pytest.mark.parametrize("portion", [1 << 14, 1 << 20, 1 << 24])
def test_an_answer_is_as_long_as_its_question_lets_it_be(portion: int) -> None:
    """Answers come in the order of the questions: the limit of each is known before it comes, whatever is refused."""
    limits = [SHORT_REPLY_BYTES, MAX_REPLY_BYTES, SHORT_REPLY_BYTES]
    sizes = [SHORT_REPLY_BYTES + 1, SHORT_REPLY_BYTES + 1, SHORT_REPLY_BYTES]
    data = b"".join(b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (size, b"x" * size) for size in sizes)
    taken: list[Message] = []
    decoder = Decoder(lambda after: limits[len(taken) + after])
    for at in range(0, len(data), portion):
        taken += decoder.feed(data[at : at + portion])
    assert [len(message.text) for message in taken[1:]] == sizes[1:]
    assert taken[0].text == "-ERR the answer is longer than 256 KiB and was left out"


@pytest.mark.parametrize("size", [MAX_EVENT_BYTES, MAX_EVENT_BYTES + 1])
def test_the_largest_event(size: int) -> None:
    """An event of exactly 1 MiB is taken; a longer one is left out, and what follows is read."""
    start, end = b'{"Event-Name":"X","v":"', b'"}'
    data = json_event(start + b"y" * (size - len(start) - len(end)) + end) + json_event(b'{"Event-Name":"NEXT"}')
    for portion in (4096, 1 << 20, len(data)):
        decoder = Decoder()
        names = [m.name for at in range(0, len(data), portion) for m in decoder.feed(data[at : at + portion])]
        assert names == (["X", "NEXT"] if size == MAX_EVENT_BYTES else ["NEXT"])
        assert decoder.left_out == (size > MAX_EVENT_BYTES)


def test_an_answer_about_legs_is_read_with_care() -> None:
    """Of an answer in JSON what is text is read, and nothing of one that is not what was asked for."""
    rows = [{"uuid": "a", "state": 5}, 7, {"uuid": ["b"]}]
    assert read_rows(json.dumps({"row_count": 3, "rows": rows})) == [{"uuid": "a"}, {}]
    for nonsense in ("-ERR", "5", "[]", '{"rows":5}', "{", "[" * 5_000):
        assert read_rows(nonsense) == []
        assert not read_leg(nonsense).keys() - {"rows"}
    assert read_rows('{"rows":[' + ",".join(["[]"] * (MAX_REPLY_PARTS + 1)) + "]}") is None
    assert read_leg(json.dumps({f"v{n}": "" for n in range(MAX_EVENT_HEADERS + 1)})) == {}


def test_an_unfinished_message_is_known() -> None:
    """At the end of the stream the decoder tells how much of a message was cut off."""
    decoder = Decoder()
    data = json_event(b'{"Event-Name":"X"}')
    assert decoder.feed(data[:-1]) == []
    assert decoder.partial_bytes == len(data) - 1


def test_a_burst_is_not_copied_again_and_again() -> None:
    """Bytes that wait for the rest of their message are joined once, not once per portion."""
    body = json.dumps({"Event-Name": "X", "v": "y" * 3_000_000}).encode()
    data = json_event(body)
    decoder = Decoder()
    joins = 0
    for start in range(0, len(data), 100):
        before = decoder._held
        decoder.feed(data[start : start + 100])
        joins += decoder._held is not before
    assert joins <= 3


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    """Whatever comes, the decoder answers with messages or ProtocolError, never with another exception."""
    with contextlib.suppress(ProtocolError):
        assert Decoder().feed(data) is not None


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(["text/event-json", "text/event-plain", "api/response", "log/data"]))
def test_any_body_is_a_message_or_an_error(body: bytes, kind: str) -> None:
    """Whatever a well-framed body holds, the next message is read as if nothing had been, or the stream is refused."""
    data = b"Content-Length: %d\nContent-Type: %s\n\n%s" % (len(body), kind.encode(), body)
    try:
        messages = Decoder().feed(data + b"Content-Type: auth/request\n\n")
    except ProtocolError:
        assert kind == "text/event-json"
        return
    assert [message.kind for message in messages[1:]] == [Kind.AUTH_REQUEST]
