"""A Hypothesis machine: callers, phones, strangers and operators do anything that SIP lets them, in any order.

Each rule is one deed of the stage, and a pause. Whom it happens to is drawn as a number and chosen among those whom it
can happen to, so that few deeds are idle; what is noted is the deed with its names.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.legs.scene import DEVICES, QUEUES, REGISTERED
from tests.legs.stage import Deed, Stage

WHICH = st.integers(min_value=0, max_value=11)
QUEUE = st.sampled_from(QUEUES)
CAUSES = ("CALL_REJECTED", "USER_BUSY", "NO_USER_RESPONSE", "REDIRECTION_TO_NEW_DESTINATION")
MOST_CALLERS = 8
# So long behind each deed (ms): races in the bridge window, the time in which a talk is none, a ring; and more than two
# announcements.
PAUSES = (0, 5, 30, 60, 200, 700, 1_200, 3_000)
LONG = (6_000, 12_000, 27_000)
OUTAGES = (50, 1_000, 5_000, 12_000)


class LegsMachine(RuleBasedStateMachine):
    """One story; at its end it raises FoundError if anything was wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self._labels = 0

    # --- whom it can happen to ---

    def _new(self) -> str:
        self._labels += 1
        return f"c{self._labels}"

    def _here(self) -> list[str]:
        return [label for label in self.stage.people if self.stage._line(label) is not None]

    def _callers(self) -> list[str]:
        return [label for label in self._here() if self.stage.people[label].queues]

    def _ringing(self) -> list[str]:
        return [label for label in DEVICES if self.stage._rings(label)]

    def _talking(self) -> list[str]:
        return [label for label in DEVICES if self.stage._talk(label) is not None]

    def _room(self) -> bool:
        return self._labels < MOST_CALLERS

    def _do(self, *deed: str, pause: int = 0) -> None:
        for each in (deed, ("wait", str(pause))):
            if not self.stage.judge.faults:  # else the story is over
                self.stage.do(each)

    # --- callers ---

    @precondition(lambda self: self._room())
    @rule(queue=QUEUE, pause=st.sampled_from(PAUSES))
    def call(self, queue: str, pause: int) -> None:
        self._do("call", self._new(), queue, pause=pause)

    @precondition(lambda self: self._here())
    @rule(which=WHICH, what=st.sampled_from(("hang_up", "hang_up", "hold", "unhold")), pause=st.sampled_from(PAUSES))
    def at_a_callers_phone(self, which: int, what: str, pause: int) -> None:
        self._do(what, _chosen(self._here(), which), pause=pause)

    @precondition(lambda self: self._callers() and self._room())
    @rule(which=WHICH, pause=st.sampled_from(PAUSES))
    def replace(self, which: int, pause: int) -> None:
        self._do("replace", self._new(), _chosen(self._callers(), which), pause=pause)

    @precondition(lambda self: self._here())
    @rule(which=WHICH, dials=st.sampled_from(("lab_voicemail", "queue-sales")), pause=st.sampled_from(PAUSES))
    def refer(self, which: int, dials: str, pause: int) -> None:
        self._do("refer", _chosen(self._here(), which), dials, pause=pause)

    # --- strangers and operators ---

    @precondition(lambda self: self._callers() and self._room())
    @rule(which=WHICH, user=st.sampled_from(("", "", "1003")), pause=st.sampled_from(PAUSES))
    def pick(self, which: int, user: str, pause: int) -> None:
        self._do("pick", self._new(), _chosen(self._callers(), which), user, pause=pause)

    @precondition(lambda self: self._callers() and self._room())
    @rule(which=WHICH, pause=st.sampled_from(PAUSES))
    def bridge(self, which: int, pause: int) -> None:
        self._do("bridge", self._new(), _chosen(self._callers(), which), pause=pause)

    @precondition(lambda self: self._callers())
    @rule(which=WHICH, what=st.sampled_from(("park", "unpark", "move")), pause=st.sampled_from((*PAUSES, *LONG)))
    def take_elsewhere(self, which: int, what: str, pause: int) -> None:
        self._do(what, _chosen(self._callers(), which), pause=pause)

    # --- agents' phones ---

    @precondition(lambda self: self._ringing())
    @rule(which=WHICH, pause=st.sampled_from(PAUSES))
    def answer(self, which: int, pause: int) -> None:
        self._do("answer", _chosen(self._ringing(), which), pause=pause)

    @precondition(lambda self: self._ringing())
    @rule(which=WHICH, again=WHICH, pause=st.sampled_from(PAUSES[:3]))
    def answer_two(self, which: int, again: int, pause: int) -> None:
        """Two phones, at the same moment or nearly."""
        self._do("answer", _chosen(self._ringing(), which), pause=pause)
        if self._ringing():
            self._do("answer", _chosen(self._ringing(), again), pause=60)

    @precondition(lambda self: self._ringing())
    @rule(which=WHICH, cause=st.sampled_from(CAUSES), pause=st.sampled_from(PAUSES))
    def refuse(self, which: int, cause: str, pause: int) -> None:
        self._do("refuse", _chosen(self._ringing(), which), cause, pause=pause)

    @precondition(lambda self: self._talking())
    @rule(
        which=WHICH,
        what=st.sampled_from(("agent_hangs_up", "agent_hangs_up", "agent_holds", "agent_unholds")),
        pause=st.sampled_from(PAUSES),
    )
    def at_an_agents_phone(self, which: int, what: str, pause: int) -> None:
        self._do(what, _chosen(self._talking(), which), pause=pause)

    @precondition(lambda self: self._talking())
    @rule(which=WHICH, dials=st.sampled_from(("lab_voicemail", "queue-sales")), pause=st.sampled_from(PAUSES))
    def agent_refers(self, which: int, dials: str, pause: int) -> None:
        self._do("agent_refers", _chosen(self._talking(), which), dials, pause=pause)

    @precondition(lambda self: self._talking() and self._room())
    @rule(which=WHICH, queue=QUEUE, first=st.sampled_from((700, 3_000)), pause=st.sampled_from(PAUSES))
    def agent_consults(self, which: int, queue: str, first: int, pause: int) -> None:
        label, call = _chosen(self._talking(), which), self._new()
        self._do("agent_consults", label, call, queue, pause=first)
        self._do("agent_hands_over", label, call, pause=pause)

    @precondition(lambda self: self._talking() and self._room())
    @rule(which=WHICH, pause=st.sampled_from(PAUSES))
    def agent_moves(self, which: int, pause: int) -> None:
        self._do("agent_moves", _chosen(self._talking(), which), self._new(), pause=pause)

    @rule(label=st.sampled_from(sorted(DEVICES)), what=st.sampled_from(("vanish", "come_back")))
    def plug(self, label: str, what: str) -> None:
        self._do(what, label)

    @rule(
        label=st.sampled_from([label for label, (agent, _, _) in DEVICES.items() if agent in REGISTERED]),
        what=st.sampled_from(("register", "unregister")),
        pause=st.sampled_from(PAUSES[:4]),
    )
    def registration(self, label: str, what: str, pause: int) -> None:
        self._do(what, label, pause=pause)

    # --- the rest ---

    @rule(ms=st.sampled_from((*PAUSES, *LONG)))
    def wait(self, ms: int) -> None:
        self._do("wait", str(ms))

    @rule(what=st.sampled_from(("cut", "kill")), ms=st.sampled_from(OUTAGES), pause=st.sampled_from(PAUSES))
    def outage(self, what: str, ms: int, pause: int) -> None:
        self._do(what, str(ms), pause=pause)

    def teardown(self) -> None:
        stage = self.stage
        try:
            deeds = list(stage.story)
            if not stage.judge.faults:
                stage.finish()
            if stage.judge.faults:
                raise FoundError(deeds, stage.judge.kinds)
        finally:
            stage.close()


class FoundError(Exception):
    """A story that ends badly."""

    def __init__(self, deeds: list[Deed], kinds: frozenset[str]) -> None:
        super().__init__(sorted(kinds))
        self.deeds, self.kinds = deeds, kinds


def found(stories: int, steps: int, *, derandomize: bool) -> FoundError | None:
    """The first of so many stories that ends badly; it is not made shorter: `shrink` does that by deeds, and faster."""
    how = settings(
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(LegsMachine, settings=how)
    except FoundError as story:
        return story
    return None


def _chosen(names: list[str], which: int) -> str:
    return names[which % len(names)]
