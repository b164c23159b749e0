"""A daemon that is killed while its journal takes a reload goes on with the old or the new rules, whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fsacd.core import events as e
from fsacd.core.amending import differing
from fsacd.core.rules import Rules
from fsacd.core.show.parts import whole
from fsacd.testing import agent, queue, rules_of
from tests.journal.rig import Centre

AGENTS = 60
CUTS = 40


def version(number: int) -> Rules:
    names = [f"q{n}" for n in range(3)]
    crowd = [agent(f"a{n}", names[(n + number) % 3], skills={"german": 1 + number}) for n in range(AGENTS - 5 * number)]
    return rules_of(*(queue(name, ring_timeout_ms=10_000 + number) for name in names), *crowd)


@pytest.mark.parametrize("prepared", [False, True])
def test_the_old_or_the_new_rules_are_in_force(tmp_path: Path, prepared: bool) -> None:
    """Wherever its line was cut; and who was at work is."""
    whole_journal = tmp_path / "whole"
    old, new = version(0), version(1)
    centre = Centre(whole_journal, old)
    centre.tell(e.SwitchConnected("fs1"), e.AgentLoggedIn("a1", "test"))
    (segment,) = whole_journal.glob("journal-*.log")
    before = segment.stat().st_size
    event = whole(differing(old, new, centre.runtime.edition))
    assert event is not None
    if prepared:
        whole(centre.runtime.prepare(event))
    centre.tell(event)
    after = segment.stat().st_size
    centre.kill()
    found = set()
    for number in range(CUTS + 1):
        cut = tmp_path / f"cut{number}"
        shutil.copytree(whole_journal, cut)
        with (cut / segment.name).open("r+b") as file:
            file.truncate(before + (after - before) * number // CUTS)
        again = Centre(cut)
        assert again.recovered is not None
        assert not again.recovered.damage
        again.engine.check()
        rules = again.engine._world.rules
        assert rules in (old, new)
        assert (rules == new) == (number == CUTS)
        found.add(rules == new)
        again.kill()
    assert found == {False, True}
