"""Call control of one switch: its link, translated both ways. When it may act is said by `service`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import structlog

from fsacd.core.commands import (
    AskBridged,
    AskConnected,
    CancelOffer,
    Command,
    Connect,
    RingAgent,
    RingNumber,
    RingStandingLeg,
    SendCall,
)
from fsacd.core.events import (
    CallerGone,
    CallerTaken,
    CallLeft,
    CallQueued,
    CallReturned,
    ConnectFailed,
    Event,
    Leg,
    OfferConnected,
    OfferEnd,
    OfferEnded,
    OutsideCallEnded,
)
from fsacd.esl import devices, encoder, features, orders, quality, referred, shapes, standing, translate
from fsacd.esl.acknowledging import Acknowledging
from fsacd.esl.announced import NOTHING
from fsacd.esl.attendance import Attendance
from fsacd.esl.carried import Carried
from fsacd.esl.codec import Message
from fsacd.esl.deciding import Deciding
from fsacd.esl.lateness import Lateness
from fsacd.esl.link import Down, LinkSettings, LinkState, LinkStats, SwitchLink, Up
from fsacd.esl.outside import EVENTS, FILTERS, OutsideCalls
from fsacd.esl.ringer import Ringer
from fsacd.esl.service import Service
from fsacd.esl.settings import RequireAck
from fsacd.esl.terms import VARIABLE, Terms
from fsacd.esl.wire import Outcome, Reply, Wire
from fsacd.log.repeats import kind_of
from fsacd.log.setup import seldom
from fsacd.process.monotonic import monotonic_ms
from fsacd.process.trouble import Trouble, shortened
from fsacd.runtime import watched

log = structlog.get_logger(__name__)

# A trouble that lies this long ago is not reported any more.
_LATELY_S = 60.0
# The first version of the dialplan that has a tone for each reason.
_TONES_SINCE = 3
# Q.850 102: with this cause FreeSWITCH itself ends a call that nobody acknowledges.
_NOT_ACKNOWLEDGED = "RECOVERY_ON_TIMER_EXPIRE"


class CallControl:
    """Carries the engine's commands to one switch and its facts to the engine.

    `respect_outside_calls`: also follow agents' outside calls, which fsacd did not connect. `instance`: our name at the
    fence. `on_repair` is told the kind of each difference that was repaired, `on_unacknowledged` of each call whose
    caller has not acknowledged our answer. `carried` reads the callers' variables that go along to agents' legs.
    """

    def __init__(
        self,
        name: str,
        settings: LinkSettings,
        runtime: Deciding,
        lease_ms: int,
        desk: features.Desk,
        *,
        respect_outside_calls: bool = True,
        instance: str = "fsacd",
        on_repair: Callable[[str], None] | None = None,
        on_unacknowledged: Callable[[], object] = lambda: None,
        carried: Carried = NOTHING,
    ) -> None:
        self.name = name
        self.terms = Terms(name)
        self._runtime = runtime
        self._desk = desk
        self._lateness = Lateness()
        self._reader = translate.Reader(name, self._warn, settings.require_ack is not RequireAck.NEVER, carried)
        self._acknowledging = Acknowledging(
            name,
            self._submit,
            self._acknowledged,
            on_unacknowledged,
            trusting=settings.require_ack is RequireAck.STRANGERS,
            end=lambda leg: self._act(encoder.uuid_kill(leg.uuid, _NOT_ACKNOWLEDGED), _nobody),
        )
        self._attendance = Attendance()
        self._ringer = Ringer(self._submit, self._act, self._on_reply, runtime.post)
        self._music, self._silent_s = "", -math.inf  # which music could not be played, and when the switch said so
        outside = respect_outside_calls
        self._outside = OutsideCalls(name, desk.phones, runtime.post, runtime.is_offer) if outside else None
        self._link = SwitchLink(
            name,
            settings,
            self._on_event,
            self._on_state,
            events=(*translate.EVENTS, *referred.EVENTS, *(EVENTS if respect_outside_calls else ())),
            subclasses=(*translate.SUBCLASSES, *devices.SUBCLASSES),
            filters=(
                *quality.heard(translate.FILTERS, callers=settings.measure_callers),
                *referred.FILTERS,
                *(FILTERS if respect_outside_calls else ()),
            ),
        )
        self._service = Service(
            name,
            settings,
            instance,
            lease_ms,
            runtime,
            self._reader,
            self._outside,
            self._attendance,
            submit=self._submit,
            act=lambda wire: self._act(wire, _nobody),
            renew_link=self._renew_link,
            on_repair=on_repair or (lambda _kind: None),
        )

    def remember_outside(self, legs: Iterable[tuple[str, Leg]]) -> None:
        """Take the agents' outside calls of when the daemon before this one ended; before `start`."""
        if self._outside is not None:
            self._outside.remember(legs)
            return
        for agent_id, leg in legs:  # outside calls are not followed any more, so nobody would hear of their end
            self._runtime.post(OutsideCallEnded(agent_id, leg))

    def remember_epoch(self, epoch: int) -> None:
        """Take the epoch of the fence in which the daemon before this one served the switch last; before `start`."""
        self._service.remember_epoch(epoch)

    def start(self) -> None:
        """Begin to connect, and to connect again for ever."""
        self._link.start()

    def retire(self) -> None:
        """Begin no new ring on the switch any more, even if the link has just come up."""
        self._service.retire()

    def stop(self) -> None:
        """Leave the switch alone, to whoever comes next. Calls on it go on."""
        self._service.stop()
        self._link.stop()

    @property
    def in_sync(self) -> bool:
        """Whether this daemon serves the switch."""
        return self._service.in_sync

    def check_fence(self) -> None:
        """To be called before each decision: if this process stood still, another daemon may serve the switch now."""
        self._service.check_fence()

    @property
    def standing_by(self) -> bool:
        """Whether another daemon serves the switch, and this one waits for that daemon's end."""
        return self._service.standing_by

    @property
    def detail(self) -> str:
        """Why it is not in sync."""
        return self._service.detail

    @property
    def since_ms(self) -> int:
        """When `in_sync` last changed."""
        return self._service.since_ms

    def resync(self) -> bool:
        """Compare engine and switch now and repair what differs; False when this daemon does not serve the switch."""
        return self._service.reconcile_now()

    def set_busy(self, *, busy: bool) -> None:
        """Say whether an event would matter at once: if so, the event connection is kept awake."""
        self._link.set_busy(busy)

    def stats(self) -> LinkStats:
        """What the link has counted."""
        return self._link.stats()

    # --- commands out: called within a step, so nothing here blocks or yields ---

    def send(self, command: Command) -> None:
        """Carry out one command of the engine; what comes of it comes back as a fact."""
        try:
            if isinstance(command, RingAgent | RingNumber):
                self._ringer.ring(command)
                return
            *first, last = orders.to_wires(command, self._service.clock.uptime_at(monotonic_ms()))
        except encoder.EncodeError as error:
            self._say(log.warning, "a command has no safe form and was not sent", str(error))
            self._failed(command, Reply(Outcome.NOT_SENT, str(error)))
            return
        if isinstance(command, SendCall):
            self._attendance.excuse(command.leg.uuid)
        asks = isinstance(command, AskBridged)
        for wire in first:
            self._act(wire, partial(self._on_reply, command) if asks else _nobody)
        self._act(last, lambda reply: self._on_reply(command, reply))

    def _submit(self, wire: Wire, on_reply: Callable[[Reply], object], timeout_s: float) -> None:
        self._link.submit(wire, on_reply, timeout_s)

    def _renew_link(self, reason: str) -> None:
        self._link.renew(reason)

    def _act(self, wire: Wire, on_reply: Callable[[Reply], object]) -> None:
        """Send what changes something: never without the fence, and never after its end."""
        left_s = self._service.may_act_for_s()
        if left_s > 0:
            self._link.submit(wire, on_reply, left_s)
        else:
            watched.brief(
                "handler of replies", on_reply, Reply(Outcome.NOT_SENT, f"the switch is not ours now: {self.detail}")
            )

    def _on_reply(self, command: Command, reply: Reply) -> None:
        if reply.outcome in (Outcome.ERR, Outcome.NOT_SENT):
            self._failed(command, reply)
            return
        fact: Event | None = None
        if isinstance(command, AskConnected):
            fact = translate.answer(command, reply.text)
        elif isinstance(command, AskBridged):
            fact = shapes.answer(command, reply.text)
        if fact is not None:
            self._runtime.post(fact)
        # UNCONFIRMED: the switch may have done it. The engine's deadline decides; doing it twice would be worse.

    def _failed(self, command: Command, reply: Reply) -> None:
        why = shortened(reply.text)  # short, because the reason goes into the journal, the history and every page
        match command:
            case RingAgent() | RingNumber():
                end = OfferEnd.NOT_SENT if reply.outcome is Outcome.NOT_SENT else OfferEnd.UNREACHABLE
                self._runtime.post(OfferEnded(command.offer_id, end, why))
            case Connect():
                self._not_connected(command, reply, why)
            case RingStandingLeg(leg):
                self._runtime.post(standing.never(leg, self.name, reply, why))
            case AskConnected():
                # The end of the leg or of the link is told by its own event; if not, the engine's deadline comes.
                pass
            case CancelOffer():
                # The leg may not exist yet, or not any more: the engine repeats the order until it hears of its end.
                pass
            case _:
                # A leg has ended meanwhile, and its hangup says so; or the leg will announce itself again, or a
                # deadline decides.
                self._say(log.info, "the switch did not take a command", why, what=type(command).__name__)

    def _not_connected(self, command: Connect, reply: Reply, why: str) -> None:
        """One of the two legs has gone. If it is the caller's, no further agent shall be rung for them."""
        if reply.outcome is Outcome.NOT_SENT:
            self._runtime.post(ConnectFailed(command.offer_id, why))
            return

        def tell(exists: Reply) -> None:
            if exists.text.strip() == "false":
                self._runtime.post(CallerGone(command.call_id, "no_such_leg"))
            else:
                self._runtime.post(ConnectFailed(command.offer_id, why))

        self._link.submit(encoder.uuid_exists(command.leg.uuid), tell)

    # --- facts in ---

    def _on_event(self, message: Message) -> None:
        if message.subclass:
            self._ringer.devices.heard(message)
        if not self._service.hears():
            return  # another daemon serves this switch; when this one takes over, it asks for what has happened
        now_ms = monotonic_ms()
        if message.subclass:
            self._note_announcement(message)
        elif unwanted := referred.unwanted(message):
            log.warning("a caller's REFER let the switch dial; the leg is ended", switch=self.name, leg=unwanted)
            self._act(encoder.uuid_kill(unwanted, "CALL_REJECTED"), _nobody)
        self._tell(message, now_ms)
        if self._outside is not None and message.name.startswith("CHANNEL_"):
            # After the event's fact about the call: an agent who gives up their own call is free, but not for that
            # call.
            self._outside.hear(message)

    def _note_announcement(self, message: Message) -> None:
        if message.subclass == "fsacd::queued":
            self.terms.entered(message.get(f"variable_{VARIABLE}"))
        elif message.subclass == "fsacd::waiting" and (music := message.get("variable_fsacd_silent")):
            self._music, self._silent_s = music, time.monotonic()

    def _tell(self, message: Message, now_ms: int) -> None:
        if message.name == quality.LAST_EVENT and (figures := quality.measured(message, now_ms)) is not None:
            self._runtime.note(figures)
        fact = self._lateness.noted(self._reader.read(message, self._service.clock, now_ms), message, now_ms)
        if isinstance(fact, OfferEnded):
            fact = self._ringer.follow(message, fact)
        match fact:
            case None:
                pass
            case translate.Feature():
                watched.brief("feature codes", self._serve, fact)
            case translate.Unacknowledged(call, again):
                self._acknowledging.keep(call, again=again)
            case _:
                if isinstance(fact, CallQueued):
                    self._acknowledging.acknowledged(fact)
                elif isinstance(fact, CallLeft | CallerGone):
                    self._acknowledging.forget(fact.leg)
                self._note_attendance(fact, message)
                self._runtime.post(fact)

    def _note_attendance(self, fact: Event, message: Message) -> None:
        match fact:
            case CallQueued(leg=Leg(uuid=leg)) | CallReturned(leg=Leg(uuid=leg)):
                self._attendance.heard(leg, monotonic_ms())
            case CallLeft(leg=Leg(uuid=leg)) | CallerGone(leg=Leg(uuid=leg)) | CallerTaken(leg=Leg(uuid=leg)):
                self._attendance.excuse(leg)
            case OfferConnected():
                # The caller's leg tells of the bridge, or the agent's, which is in no attendance.
                self._attendance.excuse(message.get("Unique-ID"))
            case _:
                pass

    def _acknowledged(self, call: CallQueued) -> None:
        if self._service.hears():
            if call.leg is not None:
                self._attendance.heard(call.leg.uuid, monotonic_ms())
            self._runtime.post(call)

    def _serve(self, feature: translate.Feature) -> None:
        refused = self._desk.serve(feature)
        answer = "fsacd_yes" if refused is None else "fsacd_no"
        if refused is not None and (self.terms.dialplan or 0) >= _TONES_SINCE:
            answer += f"_{refused}"
        self._act(encoder.uuid_transfer(feature.leg.uuid, answer, "fsacd"), _nobody)

    def _on_state(self, state: LinkState) -> None:
        match state:
            case Up():
                self.terms.linked(state.dialplan, state.denied)
                self._ringer.devices.begin(told=not set(devices.SUBCLASSES) & set(state.denied))
                for trouble in self.terms.troubles():
                    log.warning("a switch is older than this daemon", what=trouble.words, detail=trouble.detail)
                self._service.link_up(state)
            case Down(reason):
                self._acknowledging.clear()
                self._ringer.devices.begin(told=False)
                self._say(log.warning, "the link to the switch is down", reason)
                self._service.link_down(reason)
            case _:
                pass

    def _warn(self, sentence: str) -> None:
        self._say(log.warning, "an announcement makes no sense", sentence)

    def _say(self, tell: Callable[..., object], event: str, why: str, **fields: object) -> None:
        """Log a text that the switch can cause, once a minute for each kind."""
        seldom(tell, kind_of(why), event, group=self.name, switch=self.name, why=why, **fields)

    def _silence(self) -> Iterator[Trouble]:
        if time.monotonic() - self._silent_s < _LATELY_S:
            yield Trouble(
                f"Switch {self.name} cannot play the music that waiting callers are to hear; they hear a tone.",
                shortened(f"fsacd_music is {self._music}"),
            )

    def troubles(self) -> Iterator[Trouble]:
        """What is wrong with what the switch has said lately, and music that it cannot play."""
        yield from self._silence()
        stats = self._link.stats()
        if stats.nonsense_ago_s < _LATELY_S:
            yield Trouble(
                f"Switch {self.name} sent what no FreeSWITCH sends; fsacd ends the link each time.", stats.nonsense_why
            )
        if stats.left_out_ago_s < _LATELY_S:
            yield Trouble(
                f"Switch {self.name} sends messages that are too large; fsacd skips them, and learns later "
                "what they say.",
                f"{stats.left_out} since the start",
            )


def _nobody(_reply: Reply) -> None:
    """Nobody waits for this answer."""
