"""The synthetic call centre's plan: who works there, who calls, and how often. `callcentre` brings it to life.

`configuration` says the same to the daemon, so that the two fit together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

# Below this prefix are the numbers of very important callers; the entry dialplan knows them.
VIP_PREFIX = "+4989555"
VIP_PRIORITY = 10
# What agents dial to reach somebody outside.
OUTSIDE_LINE = "0"


class Manner(StrEnum):
    """How an agent treats a ringing phone."""

    DILIGENT = "diligent"
    FORGETFUL = "forgetful"  # lets every third call ring
    CHOOSY = "choosy"  # refuses every third call
    CHATTY = "chatty"  # has private calls of their own
    OFFLINE = "offline"  # their phone is often not registered


@dataclass(frozen=True, slots=True)
class Worker:
    """An agent: the id is also the SIP user."""

    agent_id: str
    name: str
    queues: tuple[str, ...]
    skills: tuple[tuple[str, int], ...] = ()
    manner: Manner = Manner.DILIGENT


@dataclass(frozen=True, slots=True)
class Line:
    """Something that callers dial: its share of all calls, and what the dialplan makes of it."""

    number: str
    queue: str
    share: float
    skills: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A call centre. Times in seconds; ranges are uniform, waits and patience exponential with the given mean."""

    workers: tuple[Worker, ...]
    lines: tuple[Line, ...]
    calls_per_s: float = 1.0
    vip_share: float = 0.08
    patience_s: float = 75
    least_patience_s: float = 6
    talk_s: tuple[float, float] = (4, 24)
    pick_up_s: tuple[float, float] = (1, 5)
    login_s: tuple[float, float] = (0.3, 5)
    work_before_break_s: tuple[float, float] = (90, 300)
    break_s: tuple[float, float] = (15, 45)
    before_private_call_s: tuple[float, float] = (15, 60)
    # How many callers may be on the line at once: those beyond hear an engaged tone.
    most_callers: int = 300
    wrap_up_s: int = 5
    queue_rules: dict[str, dict[str, object]] = field(default_factory=dict)


LINES = (
    Line("7100", "sales", 0.28),
    Line("7101", "sales", 0.07, "french"),
    Line("7200", "support", 0.33),
    Line("7201", "support", 0.10, "german:5"),
    Line("7300", "billing", 0.22),
)

_NAMES = (
    "Ada",
    "Bern",
    "Cleo",
    "Dora",
    "Emil",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jona",
    "Kaja",
    "Lars",
    "Mira",
    "Nils",
    "Olga",
    "Paul",
    "Quin",
    "Rosa",
    "Sven",
    "Tilda",
    "Udo",
    "Vera",
    "Willi",
    "Xenia",
)
_MANNERS = {
    3: Manner.FORGETFUL,
    5: Manner.CHOOSY,
    8: Manner.CHOOSY,
    13: Manner.CHATTY,
    18: Manner.OFFLINE,
    21: Manner.FORGETFUL,
}
_QUEUES = (("sales", "support"), ("support", "billing"), ("billing", "sales"), ("support",), ("sales",), ("support",))


def _workers() -> tuple[Worker, ...]:
    workers = []
    for index, name in enumerate(_NAMES):
        skills: tuple[tuple[str, int], ...] = ()
        if index % 3 == 0:
            skills += (("german", 4 + index % 7),)
        if index % 4 == 0:
            skills += (("french", 3 + index % 5),)
        manner = _MANNERS.get(index, Manner.DILIGENT)
        workers.append(Worker(str(1001 + index), name, _QUEUES[index % len(_QUEUES)], skills, manner))
    return tuple(workers)


PLAN = Plan(
    workers=_workers(),
    lines=LINES,
    queue_rules={
        "sales": {"ring_timeout": "10s", "priority": 1, "max_length": 60},
        "support": {"ring_timeout": "12s"},
        "billing": {"ring_timeout": "10s", "max_wait": "2m"},
    },
)


def configuration(plan: Plan = PLAN) -> dict[str, object]:
    """The parts `skills`, `defaults`, `queues` and `agents` of a daemon's configuration that fits the plan."""
    skills = sorted({name for worker in plan.workers for name, _ in worker.skills})
    return {
        "skills": skills,
        "defaults": {
            "wrap_up": f"{plan.wrap_up_s}s",
            "hold_back": {"refused": "5s", "busy": "8s", "no_answer": "8s", "unreachable": "15s"},
        },
        "queues": {line.queue: dict(plan.queue_rules.get(line.queue, {})) for line in plan.lines},
        "agents": {
            worker.agent_id: {
                "name": worker.name,
                "queues": {queue: rank for rank, queue in enumerate(worker.queues, 1)},
                "skills": dict(worker.skills),
            }
            for worker in plan.workers
        },
    }


def entry_dialplan(plan: Plan = PLAN, music: str = "local_stream://moh") -> str:
    """What an operator writes around fsacd's own dialplan: the numbers that callers and agents dial, in XML."""
    lines = "\n".join(
        f"""    <extension name="line_{line.number}">
      <condition field="destination_number" expression="^{line.number}$">
        <action application="set" data="fsacd_queue={line.queue}"/>
        <action application="set" data="fsacd_skills={line.skills}"/>
        <action application="transfer" data="fsacd_enter XML fsacd"/>
      </condition>
    </extension>"""
        for line in plan.lines
    )
    vip = VIP_PREFIX.replace("+", r"\+")
    return f"""<include>
  <X-PRE-PROCESS cmd="set" data="fsacd_music={music}"/>
  <X-PRE-PROCESS cmd="set" data="fsacd_fallback_to=nobody XML public"/>
  <context name="public">
    <extension name="vip" continue="true">
      <condition field="caller_id_number" expression="^{vip}">
        <action application="set" data="fsacd_priority={VIP_PRIORITY}"/>
      </condition>
    </extension>
{lines}
    <extension name="nobody">
      <condition field="destination_number" expression="^nobody$">
        <action application="playback" data="tone_stream://%(500,0,300)"/>
        <action application="hangup" data="NORMAL_TEMPORARY_FAILURE"/>
      </condition>
    </extension>
  </context>
  <context name="default">
    <extension name="outside_line">
      <condition field="destination_number" expression="^{OUTSIDE_LINE}\\d+$">
        <action application="answer"/>
        <action application="playback" data="{music}"/>
      </condition>
    </extension>
  </context>
</include>
"""
