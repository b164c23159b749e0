"""Callers who come in waves and have patience or not, and agents who answer, refuse, let it ring, and hang up.

Some agents' phones give their caller away into a queue by REFER: that is the next call of the caller's contact.
"""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import gevent

from tests.chaos.real.site import Site
from tests.e2e.rig.dialog import Dialog

QUEUES = ("sales", "support")
# What an agent does with a ring; they answer the rest of a hundred.
REFUSES, LETS_RING = 6, 5
THINKS_S = (0.2, 2.5)
TALKS_S = (0.5, 7.0)
# Of a hundred talks the caller ends so many.
CALLER_ENDS = 40
# Of a hundred talks that have lasted for so long an agent's phone gives so many away; sooner it would break the bridge.
REFERS, REFERRED_AFTER_S = 12, 1.5
# Of a hundred callers so many have patience for so long only.
IMPATIENT, PATIENCE_S = 25, (1.0, 20.0)


class People:
    """They go on living, whatever is broken. Everything they do follows from the seed, but for when they are rung."""

    def __init__(self, site: Site, seed: int, callers: int, over_s: float) -> None:
        self._site = site
        self._chance = Random(f"people {seed}")
        self._plan = self._waves(callers, over_s)
        # Every caller who hung up while waiting, by number, with the time (Unix, s).
        self.gave_up: set[str] = set()
        # By number, how often an agent's phone has given this caller away.
        self.referred: Counter[str] = Counter()
        self._greenlets: list[gevent.Greenlet] = []

    def _waves(self, callers: int, over_s: float) -> list[float]:
        """When each caller calls, in seconds from the beginning."""
        chance = self._chance
        tops = [chance.uniform(0, over_s) for _ in range(4)]
        return sorted(min(over_s, max(0.0, chance.gauss(chance.choice(tops), 1.5))) for _ in range(callers))

    def start(self) -> None:
        """Begin to call, and answer whatever rings."""
        self._spawn(0, self._callers_come)

    def stop(self) -> None:
        """Do nothing any more."""
        gevent.killall(self._greenlets)

    @property
    def all_have_called(self) -> bool:
        """Whether nobody comes any more."""
        return len(self._site.callers) == len(self._plan)

    def _spawn(self, after_s: float, what: object, *words: object) -> None:
        self._greenlets = [greenlet for greenlet in self._greenlets if not greenlet.dead]
        self._greenlets.append(gevent.spawn_later(after_s, what, *words))

    # --- callers ---

    def _callers_come(self) -> None:
        now_s = 0.0
        for index, at_s in enumerate(self._plan):
            gevent.sleep(at_s - now_s)
            now_s = at_s
            number = f"4930{index:05}"
            self._site.call(number, self._chance.choice(QUEUES))
            if self._chance.randrange(100) < IMPATIENT:
                self._spawn(self._chance.uniform(*PATIENCE_S), self._gives_up, number)

    def _gives_up(self, number: str) -> None:
        if self._site.there(number) and not self.talks(number):
            self.gave_up.add(number)
            self._site.phones.hang_up(number)

    def talks(self, number: str) -> bool:
        """Whether an agent's phone that is answered shows this caller."""
        return any(talk.caller == number for talk in self._site.talks())

    # --- agents ---

    def rung(self, ring: Dialog) -> None:
        """An agent's phone begins to ring."""
        dice = self._chance.randrange(100)
        thinks_s = self._chance.uniform(*THINKS_S)
        if dice < REFUSES:
            self._spawn(thinks_s, self._refuses, ring)
        elif dice >= REFUSES + LETS_RING:
            self._spawn(thinks_s, self._answers, ring)

    def _refuses(self, ring: Dialog) -> None:
        if ring.state == "ringing":
            self._site.phones.refuse(ring)

    def _answers(self, ring: Dialog) -> None:
        if ring.state == "ringing":
            self._site.phones.answer(ring)
            self._spawn(self._chance.uniform(*TALKS_S), self._ends_talk, ring)

    def _ends_talk(self, ring: Dialog) -> None:
        """One of the two hangs up. A caller who hears nobody yet does not know that they talk."""
        if ring.state != "talking":
            return
        if time.time() - ring.answered_s > REFERRED_AFTER_S and self._chance.randrange(100) < REFERS:
            self._gives_away(ring)
            return
        caller_ends = self._chance.randrange(100) < CALLER_ENDS
        self._site.phones.hang_up(ring.caller if caller_ends and self._site.there(ring.caller) else ring.user)
        # Whatever the other hears or does not hear then, nobody stays on the phone for ever.
        self._spawn(3, self._site.phones.hang_up, ring.user) if caller_ends else None

    def _gives_away(self, ring: Dialog) -> None:
        self.referred[ring.caller] += 1
        phones = self._site.phones
        phones.refer(ring, f"sip:queue-{self._chance.choice(QUEUES)}@127.0.0.1:{phones.trunk_port}")
        self._spawn(3, phones.hang_up, ring.user)
