"""Random but sensible plays for two switches: who calls, who is rung, what is commanded when, in fsacd's own manner.

A step happens at a time of its own or some milliseconds after a cue: an event of a leg or job, or a command (`SENT`).
In commands `@caller1@` and `@agent1@` stand for a leg's uuid, `@phone1@` for a contact and `@job1@` for a job's uuid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from fsacd.sim.phones import ScriptedPhone

EVENTS = (
    "CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_PARK CHANNEL_UNPARK CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HANGUP "
    "CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_HOLD CHANNEL_UNHOLD "
    "CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE BACKGROUND_JOB PLAYBACK_START PLAYBACK_STOP CALL_UPDATE "
    "CUSTOM fsacd::queued fsacd::waiting fsacd::returned fsacd::left fsacd::held conference::maintenance "
    "sofia::transferor sofia::transferee sofia::replaced"
)


@dataclass(frozen=True)
class Cue:
    """The `nth` event of that name at that leg or job.

    SENT is a command of that name being written, BRIDGED a CHANNEL_BRIDGE with that leg as the second one.
    """

    event: str
    label: str
    nth: int = 1


@dataclass(frozen=True)
class Call:
    """A caller calls; `replaces` is another one, whose call theirs shall replace (INVITE with Replaces)."""

    label: str
    dials: str
    replaces: str = ""


@dataclass(frozen=True)
class Refer:
    """The far end of a leg asks the switch to send whom it talks with to the number, or into the place of a call."""

    label: str
    dials: str
    replaces: str = ""


@dataclass(frozen=True)
class Hold:
    """The far end of a leg that talks puts it on hold (a re-INVITE without sound), or takes it back."""

    label: str
    off: bool = False


@dataclass(frozen=True)
class Press:
    """The far end of a leg that is answered presses keys."""

    label: str
    digits: str


@dataclass(frozen=True)
class HangUp:
    """The far end of a leg hangs up, if it talks."""

    label: str


@dataclass(frozen=True)
class Say:
    """A command is written; `name` lets a cue name it."""

    text: str
    name: str = ""


Deed = Call | Refer | Hold | Press | HangUp | Say


@dataclass(frozen=True)
class Step:
    """What happens, and when."""

    deed: Deed
    cue: Cue | None
    delay_ms: float

    def __str__(self) -> str:
        cue = f"{self.cue.event} of {self.cue.label} #{self.cue.nth} + " if self.cue else ""
        return f"{cue}{self.delay_ms:.0f} ms: {self.deed}"


@dataclass(frozen=True)
class Play:
    """A whole sequence. `phones` has the agents' phones by label, None for an address where nobody listens."""

    name: str
    phase_ms: float
    steps: tuple[Step, ...]
    phones: dict[str, ScriptedPhone | None]
    callers: int

    @property
    def numbers(self) -> dict[str, str]:
        """Label by caller's number."""
        return {self.number(label): label for label in (f"caller{index + 1}" for index in range(self.callers))}

    def number(self, label: str) -> str:
        return f"49{self.name}{label.removeprefix('caller'):0>2}"

    def user(self, label: str) -> str:
        return f"{self.name}{label.removeprefix('agent'):0>2}"

    def uuid(self, label: str) -> str:
        return f"00000000-0000-4000-8000-{self.user(label):0>12}"

    def __str__(self) -> str:
        phones = [f"{label}: {phone}" for label, phone in self.phones.items()]
        return "\n".join([f"phase {self.phase_ms:.0f} ms", *phones, *map(str, self.steps)])


CAUSES = ("", " ORIGINATOR_CANCEL", " LOSE_RACE", " NORMAL_CLEARING", " NO_SUCH_CAUSE", " USER_BUSY")
# Commands that are wrong, or ask without changing anything.
IDLE = (
    "api uuid_exists @caller1@",
    "api uuid_exists @agent1@",
    "api uuid_exists",
    "api uuid_exists nobody",
    "api uuid_getvar @caller1@ fsacd_queue",
    "api uuid_getvar @caller1@ nothing",
    "api uuid_getvar @caller1@",
    "api uuid_setvar @caller1@ note a note with blanks",
    "api uuid_setvar @caller1@ note",
    "api uuid_setvar @caller1@",
    "api uuid_setvar nobody note 1",
    "api uuid_setvar_multi @caller1@ note=1;other=2",
    "api uuid_setvar_multi @caller1@",
    "api uuid_setvar_multi nobody note=1",
    "api uuid_setvar_multi @caller1@ =",
    "api uuid_bridge",
    "api uuid_bridge @caller1@",
    "api uuid_bridge @caller1@ nobody",
    "api uuid_bridge nobody @caller1@",
    "api uuid_kill",
    "api uuid_kill nobody",
    "api uuid_park",
    "api uuid_park nobody",
    "api uuid_break nobody",
    "api uuid_break",
    "api uuid_transfer",
    "api uuid_transfer @caller1@",
    "api uuid_transfer nobody fsacd_back XML fsacd",
    "api uuid_broadcast nobody tone_stream://%(100,0,400) aleg",
    "api uuid_hold nobody",
    "api uuid_answer nobody",
    "api originate",
    "api originate user/1001",
    "api no_such_command",
    "api no_such_command with words",
    "api",
    "api ",
    "no_such_verb",
    "filter",
    "event",
    "event json NO_SUCH_EVENT",
    "nixevent NO_SUCH_EVENT",
    "api hash insert/fsacd_play",
    "api hash select/fsacd_play/nothing",
    "api global_getvar no_such_variable",
    "api echo some words",
    "api sched_del nobody",
    "api sched_transfer +1 nobody fsacd_back XML fsacd",
    "bgapi no_such_command\nJob-UUID: @job9@",
    "bgapi uuid_kill nobody\nJob-UUID: @job9@",
    "bgapi uuid_exists @caller1@\nJob-UUID: @job9@",
)
# What a dial string that leads to no phone makes of an originate.
NOWHERE = (
    "user/1001@lab.fsacd.test",
    "user/9999@lab.fsacd.test",
    "sofia/gateway/none/1001",
    "sofia/nowhere/1001@127.0.0.1",
    "nothing/1001",
    "error/USER_BUSY",
)


@dataclass
class _Author:
    """Writes one play with one set of dice."""

    chance: Random
    steps: list[Step] = field(default_factory=list)
    phones: dict[str, ScriptedPhone | None] = field(default_factory=dict)
    jobs: int = 0

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def add(self, deed: Deed, cue: Cue | None, low_ms: float, high_ms: float | None = None) -> float:
        """Plan a step; its delay is drawn between the two."""
        delay_ms = low_ms if high_ms is None else round(self.chance.uniform(low_ms, high_ms), 1)
        self.steps.append(Step(deed, cue, delay_ms))
        return delay_ms

    def say(self, text: str, cue: Cue | None, low_ms: float, high_ms: float | None = None, name: str = "") -> None:
        self.add(Say(text, name), cue, low_ms, high_ms)

    # --- people -------------------------------------------------------------------------------------------------

    def caller(self, label: str) -> None:
        """A caller arrives, waits, and perhaps loses patience or dials what is not there."""
        dials = self.chance.choice(["queue-support", "queue-support", "queue-sales-p5", "queue-vip-p9-c77"])
        # One after the other, so that the order in which they come, which gives them their names, is sure.
        if label == "caller1":
            self.add(Call(label, dials), None, 20, 200)
        else:
            self.add(Call(label, "nowhere" if self.likely(0.2) else dials), None, 400, 700)
        if self.likely(0.25):
            self.add(HangUp(label), Cue("fsacd::queued", label), 300, 3_500)
        if self.likely(0.15):
            self.say(f"api uuid_break @{label}@", Cue("PLAYBACK_START", label), 100, 1_500)
        if self.likely(0.1):
            self.say(f"api uuid_transfer @{label}@ fsacd_wait XML fsacd", Cue("fsacd::queued", label), 50, 2_000)

    def phone(self) -> ScriptedPhone | None:
        """Most phones answer; the others are busy, refuse, stay silent or are not there."""
        rings_ms = self.chance.choice([1, 1, 40, None])
        early_ms = 60 if self.likely(0.15) else None
        match self.chance.choices(["answers", "refuses", "silent", "absent"], [6, 2, 1, 1])[0]:
            case "answers":
                return ScriptedPhone(rings_ms, round(self.chance.uniform(100, 800)), early_ms=early_ms)
            case "refuses":
                cause = self.chance.choice(["USER_BUSY", "CALL_REJECTED", "NO_USER_RESPONSE", "UNALLOCATED_NUMBER"])
                return ScriptedPhone(rings_ms, None, round(self.chance.uniform(80, 500)), cause, early_ms)
            case "silent":
                return ScriptedPhone(rings_ms, early_ms=early_ms)
            case _:
                return None

    # --- what fsacd would do --------------------------------------------------------------------------------------

    def offer(self, agent: str, caller: str, cue: Cue, low_ms: float, high_ms: float) -> None:
        """Ring a phone for a caller and, when it has answered, connect the two."""
        number = agent.removeprefix("agent")
        self.phones[agent] = self.phone()
        ring = f"ring{number}"
        self.say(self.ring(agent, f"@phone{number}@"), cue, low_ms, high_ms, ring)
        if self.likely(0.1):
            # The same uuid again, while the leg is there or after it has gone.
            self.say(self.ring(agent, f"@phone{number}@"), Cue("SENT", ring), 30, 1_500)
        if self.likely(0.3):
            early = self.likely(0.3)
            kill = f"api uuid_kill @{agent}@{self.chance.choice(CAUSES)}"
            self.say(kill, Cue("SENT", ring), 0 if early else 60, 4 if early else 1_000)
        if self.likely(0.9):
            self.connect(agent, caller)

    def ring(self, agent: str, contact: str) -> str:
        """The command; each has a job of its own."""
        self.jobs += 1
        seconds = self.chance.choice([1, 2, 30])
        variables = [f"origination_uuid=@{agent}@", "fsacd_leg=agent", f"originate_timeout={seconds}"]
        variables += ["ignore_early_media=true"] * self.likely(0.85) + ["hangup_after_bridge=true"] * self.likely(0.85)
        variables += ["park_timeout=2"] * self.likely(0.2)
        return f"bgapi originate {{{','.join(variables)}}}{contact} &park()\nJob-UUID: @job{self.jobs}@"

    def connect(self, agent: str, caller: str) -> None:
        """On the agent's CHANNEL_PARK: the bridge, and then perhaps a leg that dies before it is made."""
        parked, bridge = Cue("CHANNEL_PARK", agent), f"bridge{agent}"
        delay_ms = self.add(
            Say(f"api uuid_bridge @{caller}@ @{agent}@", bridge), parked, 0, self.chance.choice([0, 0, 40, 500])
        )
        if self.likely(0.2):
            self.say(f"api uuid_setvar_multi @{caller}@ note=1;fsacd_agent=1001", parked, max(0.0, delay_ms - 5))
        if self.likely(0.3):
            self.disturb(agent, caller, Cue("SENT", bridge))
        bridged = Cue("BRIDGED", agent)
        if self.likely(0.8):
            after = self.chance.choice(["", "", " lab_fallback:XML:public"])
            self.say(f"api uuid_setvar @{caller}@ transfer_after_bridge{after}", bridged, 0)
        self.end(agent, caller, bridged)

    def disturb(self, agent: str, caller: str, cue: Cue) -> None:
        """Something happens before the bridge is made."""
        leg = self.chance.choice([agent, caller])
        deed = self.chance.choice(["kill", "kill", "hang_up", "hang_up", "transfer", "park", "bridge"])
        match deed:
            case "kill":
                self.say(f"api uuid_kill @{leg}@{self.chance.choice(CAUSES)}", cue, 0, 60)
            case "hang_up":
                self.add(HangUp(leg), cue, 0, 60)
            case "transfer":
                self.say(f"api uuid_transfer @{caller}@ fsacd_back XML fsacd", cue, 0, 60)
            case "park":
                self.say(f"api uuid_park @{leg}@", cue, 0, 60)
            case _:
                self.say(f"api uuid_bridge @{caller}@ @{agent}@", cue, 0, 60)

    def end(self, agent: str, caller: str, cue: Cue) -> None:
        """How the talk ends."""
        ends: list[Deed] = [
            HangUp(agent),
            HangUp(agent),
            HangUp(caller),
            HangUp(caller),
            Say(f"api uuid_kill @{agent}@{self.chance.choice(CAUSES)}"),
            Say(f"api uuid_kill @{caller}@{self.chance.choice(CAUSES)}"),
            Say(f"api uuid_transfer @{caller}@ fsacd_back XML fsacd"),
            Say(f"api uuid_transfer @{caller}@ fsacd_fallback XML fsacd"),
            Say(f"api uuid_transfer @{caller}@ lab_fallback XML public"),
            Say(f"api uuid_transfer @{caller}@ no_such_extension XML fsacd"),
            Say(f"api uuid_transfer @{caller}@ park inline"),
            Say(f"api uuid_transfer @{agent}@ -bleg fsacd_back XML fsacd"),
            Say(f"api uuid_transfer @{caller}@ -both lab_fallback XML public"),
            Say(f"api uuid_park @{caller}@"),
            Say(f"api uuid_park @{agent}@"),
        ]
        self.add(self.chance.choice(ends), cue, 60, 1_500)


def write(seed: str, name: str) -> Play:
    """The play of this seed; `name` is a short number that keeps its legs apart from those of others."""
    author = _Author(Random(seed))
    chance = author.chance
    callers = chance.choice([1, 1, 2])
    for index in range(callers):
        author.caller(f"caller{index + 1}")
    agents = chance.randint(1, 3)
    for index in range(agents):
        caller = f"caller{chance.randint(1, callers)}"
        author.offer(f"agent{index + 1}", caller, Cue("fsacd::queued", caller), 0, chance.choice([5, 400, 1_500]))
    if author.likely(0.3):
        author.jobs += 1
        order = f"bgapi originate {chance.choice(NOWHERE)} &park()\nJob-UUID: @job{author.jobs}@"
        author.say(order, None, 600, 3_000)
    for text in chance.sample(IDLE, chance.randint(2, 6)):
        author.say(text, None, 700, 4_500)
    return Play(name, chance.uniform(0, 1_000), tuple(author.steps), author.phones, callers)
