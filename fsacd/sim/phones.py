"""The SIP side: phones that are rung and callers who call, as far as the switch sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fsacd.sim import causes, holding, referring
from fsacd.sim.agenda import MS
from fsacd.sim.ports import Exchange, Leg

# A SIP message over loopback, there or back.
TRANSIT_US = (200, 900)
# How long an ACK waits for the leg's thread: not at all during the call's setup, about a frame during a playback.
ACK_NOTICED_US = (*[(0, 200)] * 3, (200, 20 * MS))
# How long a BYE waits for the leg's thread: about a frame.
NOTICED_US = (100, 30 * MS)
FRAME_US = (1 * MS, 20 * MS)


class Phone(Protocol):
    """Someone at the far end of a leg. Every method is called at the moment the message reaches the phone."""

    def invited(self, line: Line) -> None:
        """An INVITE came: ring, answer, refuse or stay silent."""

    def answered(self, line: Line) -> None:
        """The switch answered a call that this phone placed."""

    def talking(self, line: Line) -> None:
        """Sound from another leg can be heard. No SIP message says so; the people at the phones notice it."""

    def ended(self, line: Line, cause: str) -> None:
        """The call is over, whoever ended it."""


class Line:
    """One call as the phone has it. What the phone does here reaches the switch as a SIP message would."""

    def __init__(self, switch: Exchange, phone: Phone) -> None:
        self.switch = switch
        self.phone = phone
        self.session: Leg | None = None
        self.open = True
        self.acknowledges = True
        # The keys that the phone heard, all in a row.
        self.heard = ""

    @property
    def uuid(self) -> str:
        """The leg's channel uuid, "" while there is none."""
        return self.session.channel.uuid if self.session else ""

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the leg in the switch: the phone reads them directly, which saves the model a SIP stack."""
        return self.session.channel.variables if self.session else {}

    def _send(self, deed: str, *args: str | bool) -> None:
        def arrive() -> None:
            if self.session is not None and not self.session.channel.down:
                getattr(self, deed)(self.session, *args)

        self.switch.agenda.after(self.switch.agenda.between(*TRANSIT_US), arrive)

    # --- what the phone does ------------------------------------------------------------------------------------

    def ring(self) -> None:
        """180 Ringing."""
        self._send("_ring")

    def early(self) -> None:
        """183 Session Progress, with sound."""
        self._send("_early")

    def answer(self) -> None:
        """200 OK."""
        self._send("_answer")

    def reject(self, cause: str) -> None:
        """A final refusal, named by the cause that the switch makes of it (USER_BUSY, CALL_REJECTED, ...)."""
        self._send("_refuse", cause)

    def hold(self, *, off: bool = False) -> None:
        """A re-INVITE without sound, or with it again."""
        self._send("_hold", off)

    def hang_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """BYE; or CANCEL of a call that was not answered yet."""
        self._send("_hang_up", cause)

    def fall_silent(self) -> None:
        """No sound any more, and no word of it: a browser has crashed. A leg with `media_timeout` ends after that."""
        self._send("_fall_silent")

    def press(self, digits: str) -> None:
        """DTMF."""
        self._send("_press", digits)

    def refer(self, number: str, replaces: Line | None = None) -> None:
        """REFER: send this phone's partner to the number, or let them replace this phone in another of its calls."""
        other = replaces.session if replaces is not None else None
        self.switch.agenda.after(
            self.switch.agenda.between(*TRANSIT_US), lambda: self._referred(number, replaces is not None, other)
        )

    def _referred(self, number: str, attended: bool, other: Leg | None) -> None:
        if self.session is not None and not self.session.channel.down:
            if attended:
                referring.attended(self.session, other)
            else:
                referring.blind(self.session, number)

    def _ring(self, session: Leg) -> None:
        session.ring_ready()

    def _early(self, session: Leg) -> None:
        session.early_media()

    def _answer(self, session: Leg) -> None:
        session.answer()

    def _refuse(self, session: Leg, cause: str) -> None:
        """FreeSWITCH notes the status. A phone that diverts is invited again, at the address that it has named."""
        variables = session.channel.variables
        if cause == causes.REDIRECTION and variables.get("outbound_redirect_fatal") != "true":
            self.switch.agenda.after(self.switch.agenda.between(*TRANSIT_US), lambda: self.phone.invited(self))
            return
        variables["proto_specific_hangup_cause"] = f"sip:{causes.STATUS.get(cause, 480)}"
        if cause == causes.REDIRECTION:
            variables["sip_redirected_to"] = "<sip:elsewhere@127.0.0.1>"
            cause = causes.REQUESTED_CHAN_UNAVAIL
        self._hang_up(session, cause)

    def _hold(self, session: Leg, off: bool) -> None:
        """The leg's own thread answers a re-INVITE when it comes to it."""

        def notice() -> None:
            if not session.channel.down:
                holding.hold(session, off=off)

        self.switch.agenda.after(self.switch.agenda.between(*NOTICED_US), notice)

    def _hang_up(self, session: Leg, cause: str) -> None:
        """The leg's own thread carries out the hang-up: usually at once, but it may be busy."""
        if session.channel.direction == "inbound" and not session.channel.answered and cause == "NORMAL_CLEARING":
            cause = "ORIGINATOR_CANCEL"
        delay_us = self.switch.agenda.between(*NOTICED_US) if session.channel.answered else 0
        self.switch.agenda.after(delay_us, lambda: session.hangup(cause, by_far_end=True))

    def _fall_silent(self, session: Leg) -> None:
        """The switch counts from the last packet, and looks once in each frame."""
        timeout_ms = session.channel.variables.get("media_timeout", "0")
        if timeout_ms.isdigit() and int(timeout_ms):
            late_us = self.switch.agenda.between(*FRAME_US)
            self.switch.agenda.after(int(timeout_ms) * MS + late_us, lambda: session.hangup(causes.MEDIA_TIMEOUT))

    def _press(self, session: Leg, digits: str) -> None:
        for digit in digits:
            self.switch.digit(session, digit)

    # --- what the switch does -----------------------------------------------------------------------------------

    def leg_ended(self, cause: str, by_far_end: bool) -> None:
        """The leg is hung up: BYE or CANCEL goes out, unless the phone was first."""
        transit_us = 0 if by_far_end else self.switch.agenda.between(*TRANSIT_US)
        self.switch.agenda.after(transit_us, lambda: self._over(cause))

    def _over(self, cause: str) -> None:
        if self.open:
            self.open = False
            self.phone.ended(self, cause)

    def leg_answered(self) -> None:
        """200 OK goes out to the caller."""
        self.switch.agenda.after(self.switch.agenda.between(*TRANSIT_US), self._answered)

    def _answered(self) -> None:
        if self.open and self.acknowledges:
            self._send("_acknowledge")
            self.phone.answered(self)

    def _acknowledge(self, session: Leg) -> None:
        """ACK. FreeSWITCH sets the variables for it when the leg's thread looks, in its next frame at the latest."""
        agenda = self.switch.agenda
        agenda.after(agenda.between(*agenda.chance.choice(ACK_NOTICED_US)), session.acknowledged)

    def keyed(self, digits: str) -> None:
        """DTMF goes out."""

        def hear() -> None:
            self.heard += digits

        self.switch.agenda.after(self.switch.agenda.between(*TRANSIT_US), hear)

    def talk_began(self) -> None:
        """The bridge carries sound."""
        self.switch.agenda.after(self.switch.agenda.between(*TRANSIT_US), self._talking)

    def _talking(self) -> None:
        if self.open:
            self.phone.talking(self)


@dataclass(slots=True)
class ScriptedPhone:
    """A phone that always does the same.

    Times are in milliseconds: `rings_ms` after the INVITE the 180 (None: never), `answers_ms` after the INVITE the 200
    (None: never), `rejects_ms` the refusal with `cause`, `hangs_up_ms` after its 200 the BYE, `talks_ms` after the
    talk began. `silent_ms` after its 200 it sends no sound any more.
    """

    rings_ms: float | None = 1
    answers_ms: float | None = None
    rejects_ms: float | None = None
    cause: str = "USER_BUSY"
    early_ms: float | None = None
    hangs_up_ms: float | None = None
    talks_ms: float | None = None
    silent_ms: float | None = None

    def invited(self, line: Line) -> None:
        """Follow the script."""
        after = line.switch.agenda.after
        if self.rings_ms is not None:
            after(self.rings_ms * MS, line.ring)
        if self.early_ms is not None:
            after(self.early_ms * MS, line.early)
        if self.rejects_ms is not None:
            after(self.rejects_ms * MS, lambda: line.reject(self.cause))
        if self.answers_ms is not None:
            after(self.answers_ms * MS, lambda: self._answer(line))

    def _answer(self, line: Line) -> None:
        line.answer()
        if self.silent_ms is not None:
            line.switch.agenda.after(self.silent_ms * MS, line.fall_silent)
        if self.hangs_up_ms is not None:
            line.switch.agenda.after(self.hangs_up_ms * MS, line.hang_up)

    def answered(self, line: Line) -> None:
        """A call that it placed was answered: it hangs up when its script says so."""
        if self.hangs_up_ms is not None:
            line.switch.agenda.after(self.hangs_up_ms * MS, line.hang_up)

    def talking(self, line: Line) -> None:
        """It talks for as long as its script says, or until the other side hangs up."""
        if self.talks_ms is not None:
            line.switch.agenda.after(self.talks_ms * MS, line.hang_up)

    def ended(self, line: Line, cause: str) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A call that comes in: who, to which extension of which context, with what beside it."""

    number: str
    destination: str
    name: str = ""
    context: str = "public"
    # The user whom SIP digest authentication proved, USER or USER@DOMAIN of the directory; "" for a stranger.
    user: str = ""
    # The realm that the phone claims, where the profile forces the domain; "": its domain.
    realm: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    # Whether the caller is really there: a sender with a forged address never acknowledges an answer.
    acknowledges: bool = True
    # Whether the caller asks to hide their number: `Privacy: id`.
    private: bool = False
