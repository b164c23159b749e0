"""A call centre at work on the simulated switch: agents who log in by phone, and callers who lose patience."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fsacd.sim.agenda import SECOND, Timer
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.switch import Switch
from fsacd.sim.workload import OUTSIDE_LINE, PLAN, VIP_PREFIX, Manner, Plan, Worker

# The feature codes of freeswitch/dialplan; a reason digit follows the one for a break.
LOG_IN, LOG_OUT, READY, NOT_READY, END_WRAP_UP = "*31", "*32", "*33", "*34", "*35"
BREAK_REASON = "1"
AGENTS_CONTEXT = "default"
RETRY_S = (2, 4)
# Agents of some manners miss or refuse every third call.
MOOD = 1 / 3
FIRST_PORT = 20_001
# The share of talks that the agent ends; callers end the others.
AGENT_ENDS = 0.6


@dataclass(slots=True)
class Tally:
    """What the people at the phones saw; for reports and for tests."""

    called: int = 0
    engaged: int = 0
    talked: int = 0
    gave_up: int = 0
    rang: int = 0
    refused: int = 0
    logins: int = 0
    codes_refused: int = 0
    private_calls: int = 0


class AgentPhone:
    """An agent and their phone."""

    def __init__(self, centre: CallCentre, worker: Worker, port: int) -> None:
        self.centre = centre
        self.worker = worker
        self.address = f"{worker.agent_id}@127.0.0.1:{port}"
        self.logged_in = False
        self._line: Line | None = None

    def start(self) -> None:
        """The agent comes to work and logs in."""
        self.register(True)
        self.centre.soon(self.centre.plan.login_s, self._log_in)
        if self.worker.manner is Manner.CHATTY:
            self._plan_private_call()

    def register(self, on: bool) -> None:
        """Plug the phone in, or pull the plug."""
        switch = self.centre.switch
        switch.phones[self.address] = self
        switch.directory[self.worker.agent_id] = f"sofia/internal/{self.address}" if on else ""

    def _log_in(self) -> None:
        self.centre.dial(self.worker, LOG_IN, self._logged_in)

    def _logged_in(self, accepted: bool) -> None:
        if not accepted:
            # The daemon is not there yet; the agent tries again until it is.
            self.centre.soon(RETRY_S, self._log_in)
            return
        self.centre.tally.logins += 1
        self.logged_in = True
        self._plan_break()

    def _plan_break(self) -> None:
        self.centre.soon(self.centre.plan.work_before_break_s, self._take_break)

    def _take_break(self) -> None:
        self.centre.dial(self.worker, NOT_READY + BREAK_REASON, lambda _accepted: self._rest())

    def _rest(self) -> None:
        self.centre.soon(self.centre.plan.break_s, self._return)

    def _return(self) -> None:
        def back(accepted: bool) -> None:
            if accepted:
                self._plan_break()
            else:
                self.centre.soon(RETRY_S, self._return)

        self.centre.dial(self.worker, READY, back)

    def _plan_private_call(self) -> None:
        self.centre.soon(self.centre.plan.before_private_call_s, self._call_privately)

    def _call_privately(self) -> None:
        if self._line is not None:
            # The agent talks; they dial as soon as they have a moment.
            self.centre.soon(RETRY_S, self._call_privately)
            return
        self.centre.tally.private_calls += 1
        self._line = self.centre.dial_out(self.worker, self)
        self._plan_private_call()

    # --- what a phone is asked to do ----------------------------------------------------------------------------

    def invited(self, line: Line) -> None:
        """It rings."""
        centre, manner = self.centre, self.worker.manner
        centre.tally.rang += 1
        moody = manner is not Manner.DILIGENT and centre.chance.random() < MOOD
        if self._line is not None:
            line.reject("USER_BUSY")
            return
        if moody and manner is Manner.OFFLINE:
            self.register(False)
            centre.soon(centre.plan.break_s, lambda: self.register(True))
            line.reject("NO_USER_RESPONSE")
            return
        line.ring()
        if moody and manner is Manner.CHOOSY:
            centre.tally.refused += 1
            centre.soon(centre.plan.pick_up_s, lambda: line.reject("CALL_REJECTED"))
        elif not (moody and manner is Manner.FORGETFUL):
            centre.soon(centre.plan.pick_up_s, lambda: self._pick_up(line))

    def _pick_up(self, line: Line) -> None:
        if not line.open:
            return
        if self._line is not None:
            # The agent has dialled out since it began to ring.
            line.reject("USER_BUSY")
            return
        self._line = line
        line.answer()

    def answered(self, line: Line) -> None:
        """A private call is answered: the agent talks."""
        self.centre.soon(self.centre.plan.talk_s, line.hang_up)

    def talking(self, line: Line) -> None:
        """The agent talks with the caller, and is the one who ends it more often than not."""
        if self.centre.chance.random() < AGENT_ENDS:
            self.centre.soon(self.centre.plan.talk_s, line.hang_up)

    def ended(self, line: Line, cause: str) -> None:
        """The agent hangs up."""
        del cause
        if self._line is line:
            self._line = None


@dataclass(slots=True)
class Customer:
    """A caller on the phone."""

    centre: CallCentre
    patience: Timer | None = field(default=None)
    talked: bool = False

    def invited(self, line: Line) -> None:
        """Nobody rings a customer here."""

    def answered(self, line: Line) -> None:
        """The queue has answered: the caller waits until their patience ends."""
        plan = self.centre.plan
        wait_s = plan.least_patience_s + self.centre.chance.expovariate(1 / plan.patience_s)
        self.patience = self.centre.switch.agenda.after(wait_s * SECOND, lambda: self._give_up(line))

    def _give_up(self, line: Line) -> None:
        if line.open and not self.talked:
            self.centre.tally.gave_up += 1
            line.hang_up()

    def talking(self, line: Line) -> None:
        """An agent at last."""
        if self.patience is not None:
            self.patience.cancel()
        if not self.talked:
            self.talked = True
            self.centre.tally.talked += 1
        # Longer than any agent talks: a caller hangs up if the agent does not.
        low_s, high_s = self.centre.plan.talk_s
        self.centre.soon((low_s + 1, high_s + 1), line.hang_up)

    def ended(self, line: Line, cause: str) -> None:
        """The caller is gone."""
        del line, cause
        if self.patience is not None:
            self.patience.cancel()
        self.centre.on_the_line -= 1


class CallCentre:
    """All agents and callers of a plan, driven by the switch's own agenda and chance."""

    def __init__(self, switch: Switch, plan: Plan = PLAN) -> None:
        self.switch = switch
        self.plan = plan
        self.chance = switch.agenda.chance
        self.tally = Tally()
        self.on_the_line = 0
        self.agents = [AgentPhone(self, worker, FIRST_PORT + at) for at, worker in enumerate(plan.workers)]

    def start(self) -> None:
        """Open the doors."""
        for agent in self.agents:
            agent.start()
        self._next_caller()

    def soon(self, range_s: tuple[float, float], deed: Callable[[], None]) -> Timer:
        """Do something after a random time in the range (seconds)."""
        return self.switch.agenda.after(self.chance.uniform(*range_s) * SECOND, deed)

    def _next_caller(self) -> None:
        wait_s = self.chance.expovariate(self.plan.calls_per_s)
        self.switch.agenda.after(wait_s * SECOND, self._arrive)

    def _arrive(self) -> None:
        self._next_caller()
        self.tally.called += 1
        if self.on_the_line >= self.plan.most_callers:
            self.tally.engaged += 1
            return
        lines = self.plan.lines
        line = self.chance.choices(lines, [each.share for each in lines])[0]
        vip = self.chance.random() < self.plan.vip_share
        number = f"{VIP_PREFIX if vip else '+4930'}{self.chance.randrange(10**6):06d}"
        name = self.chance.choice(("Kunde", "Client", "Customer")) + f" {self.chance.randrange(1000)}"
        self.on_the_line += 1
        self.switch.call(Caller(number, line.number, name), Customer(self))

    def dial(self, worker: Worker, code: str, then: Callable[[bool], None]) -> None:
        """An agent dials a feature code; `then` gets whether the tone said yes."""
        self.switch.call(_from_desk(worker, code), _CodeDialler(self, then))

    def dial_out(self, worker: Worker, phone: AgentPhone) -> Line:
        """An agent calls somebody outside."""
        return self.switch.call(_from_desk(worker, f"{OUTSIDE_LINE}30{self.chance.randrange(10**6):06d}"), phone)


def _from_desk(worker: Worker, dials: str) -> Caller:
    return Caller(worker.agent_id, dials, worker.name, AGENTS_CONTEXT, user=worker.agent_id)


class _CodeDialler(ScriptedPhone):
    """A phone on which a feature code was dialled: it listens for the tone, and the line ends by itself."""

    def __init__(self, centre: CallCentre, then: Callable[[bool], None]) -> None:
        super().__init__()
        self._centre = centre
        self._then = then

    def ended(self, line: Line, cause: str) -> None:
        """The tone was the last extension that the leg was in."""
        del cause
        accepted = line.session is not None and line.session.channel.profile.destination == "fsacd_yes"
        if not accepted:
            self._centre.tally.codes_refused += 1
        self._then(accepted)
