from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fsacd.http.places import Doing, Place, Places, Standing

LIMIT = 32
QUARTER = LIMIT // 4
STRANGER, HEALTH, KNOWN = Standing.STRANGER, Standing.HEALTH, Standing.KNOWN


def seated(places: Places, standing: Standing, now: float, peer: str = "a", doing: Doing = Doing.READING) -> Place:
    """Somebody who came and was let in."""
    place, _ = places.come(peer, now)
    fits, _ = places.seat(place, standing, now)
    assert fits
    places.turn(place, doing, now)
    return place


def turned_away(places: Places, standing: Standing, now: float, peer: str = "a") -> bool:
    """Whether somebody who comes now is sent away again."""
    place, _ = places.come(peer, now)
    return not places.seat(place, standing, now)[0]


def test_who_comes_always_gets_a_place() -> None:
    """However many have said nothing yet, one more can come; the longest silent goes, and half of all stay free."""
    places = Places(LIMIT)
    first = [places.come("a", at)[0] for at in range(2 * QUARTER)]
    assert [places.come("a", at)[1] for at in (100, 101)] == first[:2]
    assert len(places) == 2 * QUARTER
    assert not turned_away(places, KNOWN, 102)


def test_a_flood_from_one_address_pushes_nobody_else_out() -> None:
    """The silent one who goes is of the address that has most of them, even if others have been silent for longer."""
    places = Places(LIMIT)
    patient, _ = places.come("b", 0)
    gone = [places.come("a", at)[1] for at in range(1, 200)]
    assert patient not in gone
    places.leave(patient)
    assert len(places) == 2 * QUARTER - 1


def test_slow_strangers_leave_room_for_known_tokens_and_health() -> None:
    """Strangers get a quarter; a known token and health get in all the same, the next stranger does not."""
    places = Places(LIMIT, per_peer=LIMIT)
    for at in range(QUARTER):
        seated(places, STRANGER, at)
    assert turned_away(places, STRANGER, 50)
    for at in range(2 * QUARTER):
        assert not turned_away(places, KNOWN if at % 2 else HEALTH, 60 + at)


def test_one_address_has_its_part_of_the_strangers_seats() -> None:
    """Half of them, unless it is set; another address gets the others."""
    places = Places(LIMIT)
    for at in range(QUARTER // 2):
        seated(places, STRANGER, at, "a")
    assert turned_away(places, STRANGER, 50, "a")
    assert not turned_away(places, STRANGER, 51, "b")
    assert turned_away(Places(LIMIT, per_peer=0), STRANGER, 0)


def test_the_longest_idle_goes_first() -> None:
    """A stranger who comes takes the seat of the stranger who has been idle for longest, never that of a busy one."""
    places = Places(LIMIT, per_peer=LIMIT)
    strangers = [seated(places, STRANGER, at, doing=Doing.IDLE) for at in range(QUARTER)]
    places.turn(strangers[0], Doing.ANSWERING, 90)
    place, _ = places.come("a", 91)
    assert places.seat(place, STRANGER, 91) == (True, strangers[1])


def test_who_has_shown_a_token_goes_last() -> None:
    """For a known token or health: idle strangers, slow ones, late answers, and then the longest idle of the known."""
    places = Places(LIMIT, per_peer=LIMIT)
    known = [seated(places, KNOWN, at, doing=Doing.IDLE) for at in range(3 * QUARTER - 3)]
    late = seated(places, STRANGER, 100, doing=Doing.ANSWERING)
    slow = seated(places, STRANGER, 101)
    idle = seated(places, STRANGER, 102, doing=Doing.IDLE)
    gone = []
    for at in range(110, 115):
        place, _ = places.come("b", at)
        fits, goes = places.seat(place, KNOWN, at)
        assert fits
        gone.append(goes)
    assert gone == [idle, slow, late, *known[:2]]


def test_strangers_never_push_the_known_out() -> None:
    """When the known have all the seats, a stranger is sent away, and none of them."""
    places = Places(LIMIT)
    for at in range(3 * QUARTER):
        seated(places, KNOWN, at, doing=Doing.IDLE)
    assert turned_away(places, STRANGER, 100)
    assert not turned_away(places, HEALTH, 101)


def test_nobody_goes_for_health_who_has_a_token_and_is_busy() -> None:
    """Where everybody is busy and known there is no seat; the door then answers health itself."""
    places = Places(LIMIT)
    for at in range(3 * QUARTER):
        seated(places, KNOWN, at, doing=Doing.ANSWERING)
    assert turned_away(places, HEALTH, 100)
    assert turned_away(places, KNOWN, 100)


def test_after_its_answer_health_is_a_stranger_again() -> None:
    """It holds no place that is kept for health while it waits for its next request; a token is remembered."""
    places = Places(LIMIT, per_peer=LIMIT)
    healthy = [seated(places, HEALTH, at, doing=Doing.ANSWERING) for at in range(QUARTER + 2)]
    assert [places.rest(place, 50 + at) for at, place in enumerate(healthy)] == [None] * QUARTER + healthy[:2]
    known = seated(places, KNOWN, 90)
    places.raise_to(known, HEALTH)
    assert places.rest(known, 91) is None
    assert known.standing is KNOWN


def test_who_says_nothing_is_overdue() -> None:
    """Those who came before a moment and have not spoken, and nobody else."""
    places = Places(LIMIT)
    silent = [places.come("a", at)[0] for at in range(3)]
    assert places.overdue(2) == silent[:2]
    places.seat(silent[0], STRANGER, 2)
    assert places.overdue(2) == silent[1:2]


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(16, 40),
    steps=st.lists(
        st.tuples(st.sampled_from("cstrl"), st.integers(0, 60), st.sampled_from(Standing), st.sampled_from("abc")),
        max_size=200,
    ),
)
def test_whatever_happens_the_parts_keep_to_their_limits(
    limit: int, steps: list[tuple[str, int, Standing, str]]
) -> None:
    """In any order of coming, speaking, resting and leaving: the limits hold, and who came is one of those there."""
    places = Places(limit)
    silent: list[Place] = []
    inside: list[Place] = []
    for now, (what, which, standing, peer) in enumerate(steps):
        gone: Place | None = None
        match what:
            case "c":
                place, gone = places.come(peer, now)
                silent.append(place)
            case "s" if silent:
                place = silent.pop(which % len(silent))
                fits, gone = places.seat(place, standing, now)
                inside += [place] * fits
            case "t" if inside:
                places.turn(inside[which % len(inside)], list(Doing)[1 + which % 3], now)
            case "r" if inside:
                gone = places.rest(inside[which % len(inside)], now)
            case "l" if inside:
                places.leave(inside.pop(which % len(inside)))
        silent = [place for place in silent if place is not gone]
        inside = [place for place in inside if place is not gone]
        quarter = limit // 4
        assert len(places) == len(silent) + len(inside) <= limit
        assert len(silent) <= 2 * quarter
        assert len(inside) <= limit - quarter
        assert sum(place.standing is STRANGER for place in inside) <= quarter
