"""Who is there for a queue's calls: on duty, with which skills, and how late they help.

A queue may say that the delays of its agents hold only while somebody better is there (`no_agent_no_delay`). Agents of
one kind (delay, backup, skills, switches) are counted together, so what is asked costs a look at the kinds, not at the
agents, and a log-in matters only if it is the first of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from fsacd.core import skills
from fsacd.core.agent import Agent, Served
from fsacd.core.reach import reaches
from fsacd.core.rules import SkillLevels

# (delay in ms, backup, skills, switches that can ring them): which agents of one kind are there makes no difference.
_Kind = tuple[int, bool, SkillLevels, tuple[str, ...]]
_NOT_THERE: tuple[tuple[Served, ...], SkillLevels] = ((), ())
# How many requirements a queue remembers the answer for; a bound, not a tuning knob.
_MEMO_LIMIT = 256


class Present:
    """Agents on duty, counted by queue and kind. `changed` are the queues in which a kind has come or gone.

    Only queues that ask are counted: thousands of agents are nearly as many kinds.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._asking: frozenset[str] = frozenset()
        self._kinds: dict[str, dict[_Kind, int]] = {}
        self._counted: dict[str, tuple[tuple[Served, ...], SkillLevels]] = {}
        self._memo: dict[str, dict[tuple[SkillLevels, bool, str], int | None]] = {}

    def let_ask(self, queues: frozenset[str]) -> bool:
        """Count for these queues from now on. True: they are others, and the caller must count every agent anew."""
        if queues == self._asking:
            return False
        self._asking = queues
        for known in (self._kinds, self._counted, self._memo):
            known.clear()
        return True

    def count(self, agent: Agent) -> None:
        """The agent's state, wish, skills or queues may have changed."""
        if not self._asking:
            return
        old = self._counted.get(agent.agent_id, _NOT_THERE)
        new = (agent.serves, agent.rules.skills) if agent.on_duty else _NOT_THERE
        if new[0] is old[0] and new[1] is old[1]:
            return
        self._move(old, new)
        if new is _NOT_THERE:
            self._counted.pop(agent.agent_id, None)
        else:
            self._counted[agent.agent_id] = new

    def count_all(self, agents: Iterable[Agent]) -> None:
        """As `count`, for agents on duty who have other skills or services: in less time for many of a kind."""
        if not self._asking:
            return
        moved: dict[tuple[str, _Kind], int] = {}
        for agent in agents:
            old = self._counted.get(agent.agent_id, _NOT_THERE)
            new = self._counted[agent.agent_id] = (agent.serves, agent.rules.skills)
            for (serves, levels), by in ((old, -1), (new, +1)):
                for served in serves:
                    if served.queue in self._asking:
                        kind = (served.queue, (served.delay_ms, served.backup, levels, served.within))
                        moved[kind] = moved.get(kind, 0) + by
        for (queue, one), by in moved.items():
            if by:
                self._add(queue, one, by)

    def forget(self, agent_id: str) -> None:
        """The agent is no more."""
        self._move(self._counted.pop(agent_id, _NOT_THERE), _NOT_THERE)

    def least_delay_ms(self, queue: str, required: SkillLevels, *, backup: bool, switch: str) -> int | None:
        """The smallest delay of those who could take such a call on this switch, now or later; None if nobody could.

        `backup`: agents who serve the queue as backup could, too.
        """
        memo = self._memo.setdefault(queue, {})
        if (required, backup, switch) not in memo:
            able = (
                delay_ms
                for delay_ms, is_backup, levels, within in self._kinds.get(queue, ())
                if (backup or not is_backup)
                and reaches(within, switch)
                and skills.fit(required, dict(levels)) is not None
            )
            if len(memo) >= _MEMO_LIMIT:
                memo.clear()
            memo[required, backup, switch] = min(able, default=None)
        return memo[required, backup, switch]

    def _move(self, old: tuple[tuple[Served, ...], SkillLevels], new: tuple[tuple[Served, ...], SkillLevels]) -> None:
        for (serves, levels), by in ((old, -1), (new, +1)):
            for served in [served for served in serves if served.queue in self._asking]:
                self._add(served.queue, (served.delay_ms, served.backup, levels, served.within), by)

    def _add(self, queue: str, kind: _Kind, by: int) -> None:
        kinds = self._kinds.setdefault(queue, {})
        count = kinds.pop(kind, 0) + by
        if count:
            kinds[kind] = count
        if count in (0, by):  # the first has come, or the last has gone
            self._memo.pop(queue, None)
            self.changed.add(queue)
        if not kinds:
            del self._kinds[queue]
