"""The language of the golden stories: rules, then lines of a time and a fact; below each, indented, what came of it.

    queue support ring_timeout=20s              any field of QueueRules; targets: queue:x, extension:x, hangup:CAUSE
    queue support strategy=ring_progressive(every=10s) wrap_up=fixed:10s sticky=last:20s:wait
    queue support when_nobody_ready=queue:sales@waiting,after:30s
    step support 20s lower=french:3 backup=yes  any field of Step
    agent 1001 support sales:2+30s german=5     queues (rank 1, or :rank and +delay, `,backup`, `,x3`), then skills
    own 1001 wrap_up=until_ready refused=9s     any field of OwnPauses; not_ready_after=refused:3,unreachable:9
    phone 1001 at=fs1,fs2 contact=user/1001     the switches at which their phones register, and where they are rung
    phone 1001 standing=fs1                      their leg stands there
    phone 1001 silent_for=5s                     their connection is lost when their phone has been silent for so long
    queue_removed queue:sales                   where callers go whose queue is no more
    limits connect=1.5s                         any field of Limits
    tell rings calls                            which outcomes are told from here on (telling.KINDS)
    cancelled legs end                          from here on each cancel is followed at once by the leg's end

    0     switch fs1 connected                  or lost, restarted; `leg 1001 stands`: see `story_legs`
    0     agent 1001 logs_in                    logs_out, ready, not_ready REASON, ends_wrap_up, dials, hangs_up
    0     agent 1001 not_ready_for support mail of one queue alone; `ready_for support`; `says` as `said` has it
    2     call anna queues support priority=1   gone, transferred, returned, left, lost, taken HOW, replaced by
    2     call anna requeue by=cli:root         or hangup, promote, change priority=2, send 1001 for=30s
    3     agent 1001 change support:2 german=5  no_skills, no_queues
    3     queue support closes                  or opens
    3     last_agents +4912=1001                by history; and `forget +4912`
    3     offer anna/1 answered                 rang, connected, not_connected, ended END (after_talk_of 3s, untold)
    3     offer anna/1 talks                    answered and connected
    3     offer anna/1 forks 2                  then `answered on 2`, `ended busy on 1 of 2` (answered, untold)
    5     talk anna/1 1001 holds                resumes, consults 1002, cancels, completes, swaps; or parked, joined …
    9     call anna over                        the caller hangs up, and the agent's leg ends
    9     history 1001 desk calls=2 rings=2s talks=30s     calls to a queue that is theirs alone, one after another
    9     reload agent 1001 sales; without queue support      or `amend`: the engine is told only what differs
    9     show                                  the calls and agents as the engine shows them; or of one: show anna
    9     explain anna                          each decision about the call, and why it still waits
    20    wait                                  nothing happens but time

Times are seconds. In the outcome `>` is a command, `.` a record, `!` a refusal, `=` a view; `@t` is the time of a
deadline that came due before the line's own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from fsacd.core import events as e
from fsacd.core import offer
from fsacd.core import records as r
from fsacd.core.amending import differing
from fsacd.core.commands import CancelOffer, RingAgent
from fsacd.core.rules import Limits
from fsacd.core.show.parts import whole
from fsacd.core.views import Step
from fsacd.testing import Driver
from tests.core.breaking import PLUGINS
from tests.core.story_legs import leg_fact, switch_fact
from tests.core.story_rules import Book, StoryError, agent_entries, levels, milliseconds, noted_visit, pairs, said
from tests.core.story_talks import offer_id_of, talk_fact
from tests.core.telling import EVERYTHING, KINDS, tell_explanation, tell_one, tell_snapshot, tell_step
from tests.core.telling_commands import Names

OUTCOME_INDENT = "          "
BY = "test"


def retell(text: str, *, amends: bool = False) -> str:
    """The same story with the outcome that the engine gives now.

    `amends`: at a reload the engine is told what differs, not the whole rules.
    """
    teller = _Teller(amends=amends)
    told: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            continue  # an outcome, told anew
        told.append(line)
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0][0].isdigit():
            told.extend(OUTCOME_INDENT + outcome for outcome in teller.tell(milliseconds(words[0]), words[1:]))
        else:
            teller.take(words)
    return "\n".join(told) + "\n"


class _Teller:
    def __init__(self, *, amends: bool) -> None:
        self._amends = amends
        self._book = Book({}, {}, Limits())
        self._names = Names()
        self._aloud = EVERYTHING
        self._legs_end = False
        self._driver: Driver | None = None

    @property
    def driver(self) -> Driver:
        if self._driver is None:
            self._rules = self._book.rules()
            self._driver = Driver(self._rules, PLUGINS)
        return self._driver

    def take(self, words: list[str]) -> None:
        """A line without a time: a rule, or how the story is told."""
        match words:
            case ["tell", *kinds]:
                if unknown := frozenset(kinds) - KINDS:
                    raise StoryError(f"not to be told: {' '.join(sorted(unknown))}")
                self._aloud = frozenset(kinds)
            case ["cancelled", "legs", "end"]:
                self._legs_end = True
            case _ if self._driver is not None:
                raise StoryError(f"the story has begun, rules change by reload: {' '.join(words)}")
            case _:
                self._book.take(words)

    def tell(self, at_ms: int, words: list[str]) -> Iterator[str]:
        yield from self._pass(at_ms, at_ms)
        match words:
            case ["wait"]:
                pass
            case [("show" | "explain") as verb, *subject]:
                yield from self._view(at_ms, verb, subject)
            case ["history", agent_id, queue, *settings]:
                yield from self._history(at_ms, agent_id, queue, pairs(settings))
            case [("reload" | "amend") as verb, *rest]:
                for part in " ".join(rest).split(";"):
                    if part.strip():
                        self._book.take(part.split())
                yield from self._reload(amends=self._amends or verb == "amend")
            case ["offer", name, "talks"]:
                yield from self._facts(at_ms, f"offer {name} answered", f"offer {name} connected")
            case ["call", call_id, "over"]:
                offers = self.driver.engine.snapshot(at_ms).offers
                talk = next((o for o in offers if (o.call_id, o.state) == (call_id, "talking")), None)
                yield from self._facts(at_ms, f"call {call_id} gone")
                if talk is not None:
                    yield from self._lines(self.driver.tell(e.OfferEnded(talk.offer_id, e.OfferEnd.HUNG_UP)))
            case ["leg", agent_id, *rest]:
                yield from self._lines(self.driver.tell(leg_fact(agent_id, rest, self.driver.steps)))
            case _:
                yield from self._facts(at_ms, " ".join(words))

    def _reload(self, *, amends: bool) -> Iterator[str]:
        before, rules = self._rules, self._book.rules()
        self._rules = rules
        if not amends:
            yield from self._lines(self.driver.tell(e.RulesChanged(rules)))
            return
        failed = [one.queue for one in self.driver.engine.substituted()]
        event = whole(differing(before, rules, self.driver.engine.edition, failed))
        if event is not None:
            yield from self._lines(self.driver.tell(event))

    def _view(self, at_ms: int, verb: str, subject: list[str]) -> Iterator[str]:
        match verb, subject:
            case ["show", []]:
                yield from tell_snapshot(self.driver.engine.snapshot(at_ms))
            case ["show", [name]]:
                yield from tell_one(self.driver.engine.snapshot(at_ms), name)
            case ["explain", [call_id]]:
                for explanation in self.driver.engine.explain(call_id, at_ms):
                    yield from tell_explanation(explanation)
            case _:
                raise StoryError(f"no view: {verb} {' '.join(subject)}")

    def _facts(self, at_ms: int, *lines: str) -> Iterator[str]:
        for line in lines:
            fact = _fact(at_ms, line.split())
            if isinstance(fact, e.CallQueued):
                self._names.learn(fact.call_id)
            yield from self._lines(self.driver.tell(fact))

    def _history(self, at_ms: int, agent_id: str, queue: str, given: dict[str, str]) -> Iterator[str]:
        """Some calls that the agent has taken before the story begins, from `at_ms` on, back to back."""
        for number in range(int(given.get("calls", "1"))):
            call_id = f"{queue}-{at_ms}-{number}"
            yield from self._facts(at_ms, f"call {call_id} queues {queue}")
            rings = [k.agent_id for k in self.driver.steps[-1].commands if isinstance(k, RingAgent)]
            assert [agent_id] == rings, f"{queue} is not the desk of {agent_id} alone, or they are not ready: {rings}"
            at_ms += milliseconds(given["rings"])
            yield from self._pass(at_ms, at_ms)
            if "talks" in given:
                yield from self.tell(at_ms, ["offer", f"{call_id}/1", "talks"])
                at_ms += milliseconds(given["talks"])
                yield from self._pass(at_ms, at_ms)
                yield from self.tell(at_ms, ["call", call_id, "over"])
                at_ms += milliseconds(given.get("wraps_up", "0"))
                yield from self._pass(at_ms, at_ms)
            else:
                # The agent refuses it, and the caller gives up.
                yield from self._facts(at_ms, f"offer {call_id}/1 ended refused", f"call {call_id} gone")

    def _pass(self, at_ms: int, line_ms: int) -> Iterator[str]:
        """Let the time pass until `at_ms`, the time of the line being `line_ms`."""
        while (due_ms := self.driver.engine.next_deadline_ms()) is not None and due_ms <= at_ms:
            for came_ms, step in self.driver.wait_until(max(due_ms, self.driver.now_ms)):
                prefix = "" if came_ms == line_ms else f"@{came_ms / 1000:g} "
                yield from (prefix + line for line in self._lines(step))
        self.driver.wait_until(at_ms)

    def _lines(self, step: Step) -> Iterator[str]:
        yield from tell_step(step, self._names, self._aloud)
        if self._legs_end:
            for command in step.commands:
                if isinstance(command, CancelOffer):
                    yield from self._lines(self.driver.tell(e.OfferEnded(command.offer_id, e.OfferEnd.CANCELLED)))


def _fact(at_ms: int, words: list[str]) -> e.Event:
    by = next((word.removeprefix("by=") for word in words if word.startswith("by=")), BY)
    match [word for word in words if not word.startswith("by=")]:
        case ["call", call_id, "queues", queue, *settings]:
            return _queued(at_ms, call_id, queue, pairs(settings))
        case ["call", call_id, "found_with", agent_id, "by", name, *settings]:
            return _talk_found(at_ms, call_id, agent_id, name, pairs(settings))
        case ["call", call_id, *rest]:
            return _call_wish(call_id, rest, by) or _call_fact(call_id, rest)
        case ["offer", name, *rest]:
            return _offer_fact(name, rest)
        case ["talk", name, *rest]:
            return talk_fact(offer_id_of(name), rest, by)
        case ["agent", agent_id, *rest]:
            return _agent_fact(agent_id, rest, by)
        case ["queue", queue, ("opens" | "closes") as word]:
            return e.QueueSetOpen(queue, word == "opens", by)
        case ["last_agents", *known]:
            return e.LastAgentsKnown(tuple(pairs(known).items()))
        case ["forget", *numbers]:
            return e.CallersForgotten(tuple(numbers))
        case ["switch", switch, *rest]:
            return switch_fact(switch, rest)
    raise StoryError(f"no fact: {' '.join(words)}")


def _queued(at_ms: int, call_id: str, queue: str, given: dict[str, str]) -> e.CallQueued:
    switch = given.get("switch", "fs1")
    return e.CallQueued(
        call_id,
        queue,
        arrived_ms=milliseconds(given["arrived"]) if "arrived" in given else at_ms,
        leg=None if switch == "none" else e.Leg(switch, given.get("leg", f"leg-{call_id}")),
        priority=int(given["priority"]) if "priority" in given else None,
        head_start_ms=milliseconds(given.get("head_start", "0")),
        required=levels(given.get("requires", "")),
        number=given.get("number", ""),
        variables=tuple(_variable(word) for word in given.get("variables", "").split(",") if word),
        identity=given.get("identity"),
        hidden="hidden" in given,
        name=given.get("name", ""),
        customer=given.get("customer", ""),
        language=given.get("language", ""),
        named_agent=given.get("named_agent", ""),
        joined_after_ms=milliseconds(given.get("joined_after", "0")),
        source=given.get("source", ""),
        number_believed={"yes": True, "no": False}.get(given.get("believed", "")),
        customer_id=int(given.get("customer_id", "0")),
        remembered_as=given.get("remembered_as", ""),
        contact_id={"none": ""}.get(given["contact"], given["contact"]) if "contact" in given else None,
        **noted_visit(given.get("visit", "")),
    )


def _variable(word: str) -> e.LegVariable:
    """`ticket:17`, or `!ticket:17` for one that the dialplan has exported."""
    name, _, value = word.removeprefix("!").partition(":")
    return e.LegVariable(name, value, exported=word.startswith("!"))


def _call_wish(call_id: str, words: list[str], by: str) -> e.Event | None:
    match words:
        case ["requeue"]:
            return e.CallRequeueAsked(call_id, by)
        case ["requeue", queue]:
            return e.CallRequeueAsked(call_id, by, queue)
        case ["hangup"]:
            return e.CallHangupAsked(call_id, by)
        case ["promote"]:
            return e.CallPromoteAsked(call_id, by)
        case ["send", agent_id]:
            return e.CallSendAsked(call_id, agent_id, by)
        case ["send", agent_id, time] if time.startswith("for="):
            return e.CallSendAsked(call_id, agent_id, by, milliseconds(time.removeprefix("for=")))
        case ["change", *settings]:
            given = pairs(settings)
            return e.CallChangeAsked(
                call_id,
                by,
                priority=int(given["priority"]) if "priority" in given else None,
                required=levels(given["requires"]) if "requires" in given else None,
                head_start_ms=milliseconds(given["head_start"]) if "head_start" in given else None,
            )
    return None


def _call_fact(call_id: str, words: list[str]) -> e.Event:
    match words:
        case ["gone", leg] if leg.startswith("leg="):
            return e.CallerGone(call_id, "NORMAL_CLEARING", leg=e.Leg("fs1", leg.removeprefix("leg=")))
        case ["gone", *cause]:
            why = " ".join(cause) or "NORMAL_CLEARING"
            return e.CallerGone(call_id, why, found=why == r.ENDED_UNSEEN)
        case ["transferred"]:
            return e.CallerGone(call_id, "ATTENDED_TRANSFER", transferred=True)
        case ["returned"]:
            return e.CallReturned(call_id)
        case ["returned", at] if at.startswith("at="):
            return e.CallReturned(call_id, at_ms=milliseconds(at.removeprefix("at=")))
        case ["taken", how, *rest] if how in {one.value for one in e.Taken}:
            where = " ".join(word for word in rest if word != "found")
            return e.CallerTaken(e.Leg("fs1", f"leg-{call_id}"), e.Taken(how), where, found="found" in rest)
        case ["replaced", "by", leg, *rest] if rest in ([], ["who", "talks"]):
            old, new = (e.Leg("fs1", f"leg-{name}") for name in (call_id, leg))
            return e.CallerReplaced(old, new, talks=bool(rest))
        case ["left", "into", queue]:
            return e.CallLeft(call_id, into=queue)
        case ["left", *found]:
            return e.CallLeft(call_id, found=found == ["found"])
        case ["lost", *cause]:
            return e.CallLost(call_id, " ".join(cause))
    raise StoryError(f"no fact about a call: {' '.join(words)}")


def _talk_found(at_ms: int, call_id: str, agent_id: str, name: str, given: dict[str, str]) -> e.TalkFound:
    """`call anna found_with 1001 by theirs/1 rang=… answered=… connected=…`: whose ring, and when it was what."""
    queued = _queued(at_ms, call_id, given.get("queue", "support"), given)
    rang_ms, answered_ms, connected_ms = (milliseconds(given[name]) for name in ("rang", "answered", "connected"))
    muted = given.get("muted") == "yes"
    return e.TalkFound(queued, offer_id_of(name), agent_id, rang_ms, answered_ms, connected_ms, "", muted)


def _leg(offer_id: str, phone: str) -> str:
    return offer.legs_of(offer_id, offer.MOST_LEGS)[int(phone) - 1]


def _offer_fact(name: str, words: list[str]) -> e.Event:
    offer_id = offer_id_of(name)
    match words:
        case ["forks", count]:
            return e.OfferForked(offer_id, int(count))
        case ["unheard"]:
            return e.OfferUnheard(offer_id)
        case ["rang"]:
            return e.OfferRang(offer_id)
        case ["answered"]:
            return e.OfferAnswered(offer_id, "fs1")
        case ["answered", "on", phone]:
            return e.OfferAnswered(offer_id, "fs1", _leg(offer_id, phone))
        case ["ended", end, "on", phone, "of", count, *how]:
            legs = (_leg(offer_id, phone), int(count))
            return e.OfferEnded(offer_id, e.OfferEnd(end), "", "answered" in how, 0, "untold" not in how, *legs)
        case ["connected", *settings]:
            return e.OfferConnected(offer_id, pairs(settings).get("contact", ""))
        case ["not_connected", *cause]:
            return e.ConnectFailed(offer_id, " ".join(cause))
        case ["ended", end, "after_talk_of", talk]:
            return e.OfferEnded(offer_id, e.OfferEnd(end), talked_ms=milliseconds(talk))
        case ["ended", end, ("released" | "untold") as how]:
            return e.OfferEnded(offer_id, e.OfferEnd(end), phone_told=how != "untold", by_phone=how != "released")
        case ["ended", end, *cause]:
            return e.OfferEnded(offer_id, e.OfferEnd(end), " ".join(cause))
    raise StoryError(f"no fact about an offer: {' '.join(words)}")


def _agent_fact(agent_id: str, words: list[str], by: str) -> e.Event:
    match words:
        case ["logs_in", *settings]:
            given = pairs(settings)
            return e.AgentLoggedIn(agent_id, by, given.get("contact"), given.get("ready", "yes") == "yes")
        case [("logs_out" | "ready") as word]:
            return e.AgentLoggedOut(agent_id, by) if word == "logs_out" else e.AgentSetReady(agent_id, by)
        case ["ready_for", queue]:
            return e.AgentSetReadyFor(agent_id, by, queue)
        case ["not_ready_for", queue, *reason]:
            return e.AgentSetNotReadyFor(agent_id, by, queue, " ".join(reason))
        case ["not_ready", *reason]:
            return e.AgentSetNotReady(agent_id, by, " ".join(reason))
        case ["ends_wrap_up"]:
            return e.AgentEndedWrapUp(agent_id, by)
        case ["says", *what]:
            return said(agent_id, by, what, offer_id_of)
        case ["change", *entries]:
            skills, queues = agent_entries(entries)
            return e.AgentChangeAsked(agent_id, by, skills, None if queues is None else MappingProxyType(queues))
        case [("dials" | "hangs_up") as word, *rest]:
            # `dials home@fs2`: which call of the agent's own, on which switch. `dials anna/1`: a colleague's offer.
            uuid, _, switch = "".join(rest or ["home"]).partition("@")
            leg = e.Leg(switch or "fs1", offer_id_of(uuid) if "/" in uuid else f"leg-{agent_id}-{uuid}")
            return (e.OutsideCallStarted if word == "dials" else e.OutsideCallEnded)(agent_id, leg)
    raise StoryError(f"no fact about an agent: {' '.join(words)}")
