from __future__ import annotations

from fsacd.sim.wire import event_as_json, event_as_plain, url_encode


def test_percent_that_looks_encoded_is_left_alone() -> None:
    """The plain form is ambiguous: this is what lets a caller's name forge headers in careless clients."""
    assert url_encode("100% and 100%25 x%0AEvent") == "100%25%20and%20100%25%20x%0AEvent"


def test_bytes_that_are_no_utf8_pass_through_json() -> None:
    """A careful client must expect them."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    frame = event_as_json({"Event-Name": "X", "Caller-Caller-ID-Name": name}, None)
    head, _, body = frame.partition(b"\n\n")
    assert (b"caf\xe9" in body, head) == (True, b"Content-Length: %d\nContent-Type: text/event-json" % len(body))


def test_repeated_values_are_a_list_in_json_and_an_array_in_plain() -> None:
    """transfer_history grows by one entry with each transfer."""
    headers = {"variable_transfer_history": "ARRAY::b|:a"}
    assert b'["b","a"]' in event_as_json(headers, None)
    assert b"ARRAY%3A%3Ab%7C%3Aa" in event_as_plain(headers, None)


def test_body_of_a_plain_event_follows_its_headers() -> None:
    """The inner Content-Length counts the body's bytes."""
    frame = event_as_plain({"Event-Name": "BACKGROUND_JOB", "Empty": ""}, "+OK\n")
    assert frame.endswith(b"Event-Name: BACKGROUND_JOB\nEmpty: _undef_\nContent-Length: 4\n\n+OK\n")
