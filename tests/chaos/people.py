"""The people of a schedule: the simulated call centre's, with agents who hang up at once; it notes how calls ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from fsacd.core.rules import AgentRules, PhoneRules, Rules, Service
from fsacd.sim import causes
from fsacd.sim.agenda import MS, SECOND
from fsacd.sim.callcentre import AgentPhone, CallCentre, Customer
from fsacd.sim.channel import Channel
from fsacd.sim.phones import Caller, Line
from fsacd.sim.switch import Switch
from fsacd.sim.workload import LINES, PLAN, VIP_PREFIX, Plan, Worker
from fsacd.testing import agent, queue, rules_of

# The share of agents who put the receiver down as soon as they have taken it up, and how soon (ms): while the bridge is
# being made, or just after.
NERVOUS = 0.2
NERVOUS_MS = ((0, 60), (0, 300))
# The share of talks in which the agent's phone holds the caller by itself, how soon, and for how long (s).
HOLDS = 0.3
HOLDS_AFTER_S, HOLDS_FOR_S = (0.2, 3), (0.2, 3)
# Every second agent's leg ends when their phone has been silent for so long, and in how many talks it falls silent.
SILENT_MS = 2_000
FALLS_SILENT = 0.05
FALLS_SILENT_AFTER_S = (0, 4)
# A talk that is shorter than this was none: the caller is put back.
TALK_MS = 1_000
MOST_PATIENT_S = 200
NO_LONGER_S = (9, 11)
# The extension in which callers are on hold, and how an order to go into a room begins; who talks again has not been in
# another one since.
HOLD, INTO_ROOM = "fsacd_hold", "m:^:conference:fsacd-"
# From a BYE on one side to the BYE on the other.
BYE_MS = 200


def plan_of(workers: int, calls_per_s: float) -> Plan:
    """A small centre in which more calls come than can be taken."""
    return replace(
        PLAN,
        workers=PLAN.workers[:workers],
        lines=LINES,
        calls_per_s=calls_per_s,
        patience_s=40,
        least_patience_s=5,
        talk_s=(3, 9),
        pick_up_s=(0.3, 4),
        login_s=(0.3, 2),
        work_before_break_s=(15, 60),
        break_s=(3, 10),
        before_private_call_s=(10, 40),
        most_callers=60,
        wrap_up_s=1,
    )


def rules_for(plan: Plan) -> Rules:
    """The daemon's rules that fit it."""
    names = sorted({line.queue for line in plan.lines})
    workers = [_agent(worker) for worker in plan.workers]
    return rules_of(*(queue(name, ring_timeout_ms=6_000) for name in names), *workers)


def _agent(worker: Worker) -> AgentRules:
    services = [(name, Service(rank=rank)) for rank, name in enumerate(worker.queues, 1)]
    phone = PhoneRules(media_timeout_ms=SILENT_MS if int(worker.agent_id) % 2 else 0)
    return replace(agent(worker.agent_id, *services, skills=dict(worker.skills)), phone=phone)


@dataclass(slots=True)
class Ring:
    """One ring of an agent's phone, as the agent saw it."""

    agent_id: str
    uuid: str
    call_id: str
    began_us: int


class Hand(AgentPhone):
    """An agent, who may be nervous."""

    centre: Floor

    def __init__(self, centre: CallCentre, worker: Worker, port: int) -> None:
        super().__init__(centre, worker, port)
        self.seen: set[Line] = set()  # that have talked

    def _may_hold(self, line: Line) -> None:
        dice = Random(f"hold {line.uuid}")
        if dice.random() < HOLDS:
            after_s = dice.uniform(*HOLDS_AFTER_S)
            self.centre.switch.agenda.after(after_s * SECOND, line.hold)
            after_s += dice.uniform(*HOLDS_FOR_S)
            self.centre.switch.agenda.after(after_s * SECOND, lambda: line.hold(off=True))

    def invited(self, line: Line) -> None:
        variables = line.variables
        call_id, now_us = variables.get("fsacd_call", ""), line.switch.agenda.now_us
        self.centre.rings.append(Ring(self.worker.agent_id, line.uuid, call_id, now_us))
        super().invited(line)

    def _pick_up(self, line: Line) -> None:
        super()._pick_up(line)
        if self._line is line and self.centre.chance.random() < NERVOUS:
            soon_ms = self.centre.chance.uniform(*self.centre.chance.choice(NERVOUS_MS))
            self.centre.switch.agenda.after(soon_ms * MS, line.hang_up)

    def talking(self, line: Line) -> None:
        super().talking(line)
        if line not in self.seen:
            self.seen.add(line)
            self._may_hold(line)
        if self.centre.chance.random() < FALLS_SILENT:
            self.centre.soon(FALLS_SILENT_AFTER_S, line.fall_silent)
        # Two agents whose caller has gone do not talk for ever.
        self.centre.soon(NO_LONGER_S, line.hang_up)

    def ended(self, line: Line, cause: str) -> None:
        self.centre.talk_ended_us[line.variables.get("fsacd_call", "")] = line.switch.agenda.now_us
        super().ended(line, cause)
        if cause == causes.MEDIA_TIMEOUT:
            self.centre.soon(
                self.centre.plan.break_s, self._return
            )  # they are not ready, whether they had a break or not


@dataclass(slots=True)
class Person(Customer):
    """A caller, who knows how their call ended."""

    number: str = ""
    line: Line | None = None
    began_talk_us: int = 0
    bridged_us: int = 0

    def answered(self, line: Line) -> None:
        self.line = line
        Customer.answered(self, line)
        # Now and then one has more patience than the schedule has time, and asks for what nobody can do.
        line.switch.agenda.after(MOST_PATIENT_S * SECOND, lambda: self._give_up(line))

    def talking(self, line: Line) -> None:
        assert line.session is not None
        # Back from hold it is the same talk, or that of the colleague who was asked.
        if not self.began_talk_us or not _still_theirs(line.session.channel):
            self.began_talk_us = line.switch.agenda.now_us
        self.bridged_us = line.switch.agenda.now_us
        Customer.talking(self, line)

    def ended(self, line: Line, cause: str) -> None:
        Customer.ended(self, line, cause)
        channel = line.session.channel if line.session is not None else None
        centre = self.centre
        assert isinstance(centre, Floor)
        if channel is None:
            return
        now_us, call_id = centre.switch.agenda.now_us, channel.variables.get("fsacd_call", "")
        talked_us = 0
        if self.began_talk_us:
            # They may have been back in the music since.
            agent_gone_us = centre.talk_ended_us.get(call_id, 0)
            has_been_back = agent_gone_us > self.began_talk_us and not _still_theirs(channel)
            until_us = agent_gone_us if has_been_back else now_us
            talked_us = until_us - self.began_talk_us
        if channel.left:
            return
        where = channel.profile.destination
        centre.ends.append(End(self.number, call_id, cause, where, talked_us // MS, now_us, self.bridged_us))


def _still_theirs(channel: Channel) -> bool:
    """Whether the caller's last talk goes on: on hold, or in a room."""
    return channel.profile.destination.startswith((HOLD, INTO_ROOM))


@dataclass(frozen=True, slots=True)
class End:
    """A caller's call that the switch ended, and not the caller."""

    number: str
    call_id: str
    cause: str
    extension: str
    talked_ms: int  # in the caller's last talk; 0: there was none
    at_us: int
    bridged_us: int  # when they were bridged with somebody last


class Floor(CallCentre):
    """All of them."""

    def __init__(self, switch: Switch, plan: Plan) -> None:
        super().__init__(switch, plan)
        self.rings: list[Ring] = []
        self.ends: list[End] = []
        self.talk_ended_us: dict[str, int] = {}  # by call: when an agent's leg ended last
        self.open = True
        self.agents: list[AgentPhone] = [
            Hand(self, phone.worker, int(phone.address.rpartition(":")[2])) for phone in self.agents
        ]

    def close(self) -> None:
        """Nobody calls any more."""
        self.open = False

    def _arrive(self) -> None:
        if not self.open:
            return
        self._next_caller()
        self.tally.called += 1
        if self.on_the_line >= self.plan.most_callers:
            return
        lines = self.plan.lines
        line = self.chance.choices(lines, [each.share for each in lines])[0]
        vip = self.chance.random() < self.plan.vip_share
        number = f"{VIP_PREFIX if vip else '+4930'}{self.tally.called:06d}"
        self.on_the_line += 1
        self.switch.call(Caller(number, line.number, "Customer"), Person(self, number=number))
