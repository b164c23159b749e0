"""Who has which skill at which level, as bits of one number each: all who can take a call are found at once.

Python's whole numbers are sets here: with 10,000 agents, to meet or join two of them takes C code 0.2 µs. So nothing is
kept for a requirement. To find those who meet one costs the same whether it was asked for before or not, and however
many are in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import or_

from fsacd.core.rules import SkillLevels

# All agents: a negative number has a bit for everybody.
EVERYBODY = -1


class Skilled:
    """Gives each agent a number, which is the place of their bit, and knows the skills of those who have one."""

    def __init__(self) -> None:
        self.ids: list[str] = []  # by number; of a free number, whose it was
        self._free: list[int] = []
        self._known: dict[str, tuple[int, SkillLevels]] = {}
        self._levels: dict[str, dict[int, int]] = {}  # skill → level → who has it at exactly this level
        self._sums: dict[int, int] = {}  # who knows so much, all their levels added up
        # By skill, at place n, who has it at level n + 1 or above: made when a call asks, dropped when skills change.
        self._at_least: dict[str, list[int]] = {}

    def number(self, agents: Sequence[tuple[str, SkillLevels]]) -> list[tuple[str, int]]:
        """The numbers of these agents (id, skills) from now on. They must have none yet."""
        numbered: list[tuple[str, int]] = []
        bits: dict[SkillLevels, int] = {}
        for agent_id, skills in agents:
            if self._free:
                number = self._free.pop()
                self.ids[number] = agent_id
            else:
                number = len(self.ids)
                self.ids.append(agent_id)
            self._known[agent_id] = number, skills
            bits[skills] = bits.get(skills, 0) | 1 << number
            numbered.append((agent_id, number))
        for skills, who in bits.items():
            self._change(skills, who)
        return numbered

    def forget(self, agent_ids: Iterable[str]) -> None:
        """Their skills have changed, or they are gone: the numbers are free. Nobody may hold their bits any more."""
        bits: dict[SkillLevels, int] = {}
        for agent_id in agent_ids:
            number, skills = self._known.pop(agent_id)
            self._free.append(number)
            bits[skills] = bits.get(skills, 0) | 1 << number
        for skills, who in bits.items():
            self._change(skills, who)

    def _change(self, skills: SkillLevels, bit: int) -> None:
        """Some have these skills who had none, or have none any more."""
        known = 0
        for skill, level in skills:
            known += level
            levels = self._levels.setdefault(skill, {})
            _flip(levels, level, bit)
            if not levels:
                del self._levels[skill]
            if self._at_least:
                self._at_least.pop(skill, None)
        _flip(self._sums, known, bit)

    def fitting(self, required: SkillLevels) -> int:
        """All who have the required skills, as `skills.fit` decides."""
        fitting = EVERYBODY
        for skill, minimum in required:
            at_least = self._at_least.get(skill) or self._add_up(skill)
            fitting &= at_least[max(minimum, 1) - 1] if minimum <= len(at_least) else 0
        return fitting

    def _add_up(self, skill: str) -> list[int]:
        levels = self._levels.get(skill)
        if not levels:
            return []  # which is not kept: calls may require what nobody has ever heard of
        steps = range(max(levels), 0, -1)
        self._at_least[skill] = list(accumulate((levels.get(level, 0) for level in steps), or_))[::-1]
        return self._at_least[skill]

    def by_level(self, required: SkillLevels, agents: int) -> Iterator[tuple[int, int]]:
        """Those of these agents who fit, lazily, by the lowest of their levels in what is required: (level, bits).

        The highest level is the first. Without a requirement everybody fits at level 0.
        """
        if not required:
            yield 0, agents
            return
        skills = []
        for skill, minimum in required:
            at_least = self._at_least.get(skill) or self._add_up(skill)
            if minimum > len(at_least):
                return
            skills.append(at_least)
        found = 0
        if len(skills) == 1:  # the usual case, in half the time
            at_least, (_, minimum) = skills[0], required[0]
            for level in range(len(at_least), max(minimum, 1) - 1, -1):
                here = agents & at_least[level - 1]
                if here != found:
                    yield level, here ^ found
                    found = here
            return
        for level in range(min(map(len, skills)), 0, -1):
            here = agents
            for at_least, (_, minimum) in zip(skills, required, strict=True):
                here &= at_least[max(level, minimum) - 1]
            if here != found:
                yield level, here ^ found
                found = here

    def by_sum(self, required: SkillLevels, fitting: int) -> Iterator[int]:
        """Those of `fitting`, who fit, by the sum of their levels in what is required, from the highest on.

        Without a requirement it is the sum of all their levels.
        """
        sums = {0: fitting} if required else self._sums
        for skill, _ in required:
            longer: dict[int, int] = {}
            for level, having in self._levels[skill].items():
                for known, agents in sums.items():
                    both = agents & having
                    if both:
                        longer[known + level] = longer.get(known + level, 0) | both
            sums = longer
        for known in sorted(sums, reverse=True):
            here = sums[known] & fitting
            if here:
                yield here

    def levels(self, required: SkillLevels, agents: Iterable[int]) -> dict[int, int]:
        """By number, the lowest level of each of these agents, who fit, in what is required."""
        fitting = 0
        for number in agents:
            fitting |= 1 << number
        return {number: level for level, here in self.by_level(required, fitting) for number in numbers(here)}

    def check(self, agent_id: str, number: int, skills: SkillLevels) -> None:
        """Prove that the agent's number and bits are right."""
        assert self._known[agent_id] == (number, skills), f"{agent_id}'s skills differ from the index"
        assert self.ids[number] == agent_id, f"{agent_id} has another's number"
        had = {(s, level) for s, levels in self._levels.items() for level, who in levels.items() if who >> number & 1}
        assert had == set(skills), f"{agent_id}'s skills differ from the index"
        assert self._sums[sum(level for _, level in skills)] >> number & 1, f"{agent_id}'s sum differs from the index"
        for skill, at_least in self._at_least.items():
            mine = dict(skills).get(skill, 0)
            assert sum(who >> number & 1 for who in at_least) == mine, f"{agent_id}'s {skill} differs from the index"


def _flip(sets: dict[int, int], place: int, bit: int) -> None:
    left = sets.get(place, 0) ^ bit
    if left:
        sets[place] = left
    else:
        del sets[place]


def numbers(agents: int) -> Iterator[int]:
    """The places of the bits of a set that is not negative, in order."""
    # In text a bit is found by C code; shifting would make a number as long as the set for each of them.
    bits = bin(agents)[:1:-1]
    place = bits.find("1")
    while place >= 0:
        yield place
        place = bits.find("1", place + 1)
