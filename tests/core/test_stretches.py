from __future__ import annotations

import random

import pytest

from fsacd.core.match.stretches import LONGEST, AgentEntry, Stretches, round_from


def expected(entries: list[AgentEntry], wanted: int, start: tuple[int, ...] | None) -> list[AgentEntry]:
    return [entry for entry in round_from(sorted(entries), start) if wanted >> entry[-1] & 1]


@pytest.mark.parametrize("seed", range(5))
def test_as_a_sorted_list(seed: int) -> None:
    """Whatever comes and goes, those who are wanted are found in order, behind a start and round, too."""
    dice = random.Random(seed)
    stretches, there = Stretches(), list[AgentEntry]()
    free = list(range(1_000))
    for step in range(3_000):
        # First more come than go, then more go than come.
        if there and dice.random() < (0.3 if step < 1_500 else 0.7):
            entry = there.pop(dice.randrange(len(there)))
            free.append(entry[-1])
            stretches.remove(entry)
        else:
            number = free.pop(dice.randrange(len(free)))
            # Most come at the end, as those who have just talked do; many keys are equal.
            entry = (dice.choice((step // 10, step // 10, dice.randrange(300))), f"a{number}", number)
            there.append(entry)
            stretches.add(entry)
        if step % 50 == 0:
            stretches.check()
            wanted = dice.choice((-1, dice.getrandbits(1_000), 1 << dice.randrange(1_000), 0))
            for start in (None, (dice.randrange(-1, 310),), (-1,), (1_000,)):
                assert list(stretches.among(wanted, start)) == expected(there, wanted, start)
    for entry in there:
        stretches.remove(entry)
    assert not list(stretches)
    stretches.check()


@pytest.mark.parametrize("many", [0, 1, LONGEST // 2, LONGEST // 2 + 1, 10 * LONGEST + 7])
def test_many_at_once(many: int) -> None:
    """They may be there from the beginning, and then come and go as any."""
    entries = [(number // 3, f"a{number:04}", number) for number in range(many)]
    stretches = Stretches(entries)
    stretches.check()
    assert list(stretches) == entries
    for entry in entries[::2]:
        stretches.remove(entry)
    for entry in entries[::4]:
        stretches.add(entry)
    stretches.check()
    assert list(stretches) == [entry for entry in entries if entry[-1] % 2 or not entry[-1] % 4]


def test_few_who_stay_stand_together() -> None:
    """When most agents of each stretch have gone, the rest is not left in as many stretches as there are agents."""
    stretches = Stretches()
    entries = [(number, f"a{number}", number) for number in range(100 * LONGEST)]
    for entry in entries:
        stretches.add(entry)
    for entry in entries:
        if entry[-1] % LONGEST:
            stretches.remove(entry)
    assert [entry[-1] for entry in stretches] == list(range(0, 100 * LONGEST, LONGEST))
    stretches.check()
