"""Which addresses' calls are taken before their ACK, and how many."""

from __future__ import annotations

from fsacd.esl import trust
from fsacd.esl.trust import Trust

TRUNK, OTHER = "192.0.2.1", "192.0.2.2"


def test_nobody_is_trusted_who_has_not_acknowledged() -> None:
    """And who has, for an hour from the last time on."""
    known = Trust()
    assert not known.takes(TRUNK, 0)
    known.proved(TRUNK, 10)
    assert not known.takes(OTHER, 10)
    assert known.takes(TRUNK, 10 + trust.TRUSTED_FOR_S)
    assert not known.takes(TRUNK, 11 + trust.TRUSTED_FOR_S)


def test_so_many_are_unproven_at_a_time() -> None:
    """Of one address, and of all together; each that is settled makes place for another one."""
    known = Trust()
    addresses = [f"192.0.2.{number}" for number in range(trust.UNPROVEN // trust.UNPROVEN_OF_ONE + 1)]
    for address in addresses:
        known.proved(address, 0)
    taken = {address: sum(known.takes(address, 1) for _ in range(100)) for address in addresses}
    assert list(taken.values()) == [trust.UNPROVEN_OF_ONE] * (len(addresses) - 1) + [0]
    known.settled(addresses[0])
    assert known.takes(addresses[-1], 2)
    assert not known.takes(addresses[0], 2)


def test_one_who_is_not_there_takes_the_trust_away() -> None:
    """For a minute; others of the address who acknowledge meanwhile do not bring it back."""
    known = Trust()
    known.proved(TRUNK, 0)
    assert known.doubt(TRUNK, 1)
    assert not known.doubt(TRUNK, 2), "it is no news"
    known.proved(TRUNK, 3)
    assert not known.takes(TRUNK, 2 + trust.DOUBTED_FOR_S)
    assert known.takes(TRUNK, 3 + trust.DOUBTED_FOR_S)


def test_what_is_remembered_has_a_bound() -> None:
    """Who acknowledged longest ago is forgotten, and so are doubts."""
    known = Trust()
    for number in range(trust.LIMIT + 1):
        known.proved(f"a{number}", 0)
        known.doubt(f"d{number}", 0)
    assert not known.takes("a0", 0)
    assert known.takes("a1", 0)
    assert known.doubt("d0", 0)
