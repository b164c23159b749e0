"""Who has which skill at which level, as bits of one number each: all who can take a call are found at once.

Python's whole numbers are sets here: with 10,000 agents, to meet or join two of them takes C code 0.2 µs. So nothing is
kept for a requirement. To find those who meet one costs the same whether it was asked for before or not, and however
many are in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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

    def number(self, agent_id: str, skills: SkillLevels) -> int:
        """The agent's number from now on. They must have none yet."""
        if self._free:
            number = self._free.pop()
            self.ids[number] = agent_id
        else:
            number = len(self.ids)
            self.ids.append(agent_id)
        self._known[agent_id] = number, skills
        for skill, level in skills:
            levels = self._levels.setdefault(skill, {})
            levels[level] = levels.get(level, 0) | 1 << number
        return number

    def forget(self, agent_id: str) -> None:
        """The agent's skills have changed, or they are gone: the number is free. Nobody may hold their bit any more."""
        number, skills = self._known.pop(agent_id)
        self._free.append(number)
        for skill, level in skills:
            levels = self._levels[skill]
            levels[level] ^= 1 << number
            if not levels[level]:
                del levels[level]
                if not levels:
                    del self._levels[skill]

    def fitting(self, required: SkillLevels) -> int:
        """All who have the required skills, as `skills.fit` decides."""
        fitting = EVERYBODY
        for skill, minimum in required:
            enough = 0
            for level, agents in self._levels.get(skill, {}).items():
                if level >= minimum and level:
                    enough |= agents
            fitting &= enough
        return fitting

    def by_level(self, required: SkillLevels, fitting: int) -> Iterator[tuple[int, int]]:
        """Those of `fitting` by the lowest of their levels in what is required, from the highest on, and that level.

        `fitting` must be of agents who fit. Without a requirement everybody's level is 0.
        """
        if not required:
            yield 0, fitting
            return
        skills = [self._levels[skill] for skill, _ in required]
        at_least = [0] * len(skills)
        for level in sorted(set().union(*skills), reverse=True):
            here = fitting
            for place, levels in enumerate(skills):
                at_least[place] |= levels.get(level, 0)
                here &= at_least[place]
            if here:
                yield level, here
                fitting ^= here
                if not fitting:
                    return

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


def numbers(agents: int) -> Iterator[int]:
    """The places of the bits of a set that is not negative, in order."""
    # In text a bit is found by C code; shifting would make a number as long as the set for each of them.
    bits = bin(agents)[:1:-1]
    place = bits.find("1")
    while place >= 0:
        yield place
        place = bits.find("1", place + 1)
