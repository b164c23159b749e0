"""Telephones to the millisecond: a small SIP user agent that plays the scripts of the simulated switch's phones.

SIPp waits in steps of its scenario; where two switches are compared, a phone must do the same thing at the same moment
on both. This one speaks just as much SIP as a phone on loopback needs.
A test can also play the phones by hand: `rung` shows who is rung for whom, `answer` and `refuse` do something about it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import quote

import gevent
from gevent import socket

from fsacd.sim.phones import ScriptedPhone
from tests.e2e.rig.dialog import SO_TIMESTAMPNS, USER, Dialog, Message, address_of, kernel_time_s
from tests.e2e.rig.repeating import Repeating

STATUS = {
    "USER_BUSY": "486 Busy Here",
    "CALL_REJECTED": "603 Decline",
    "NO_USER_RESPONSE": "480 Temporarily Unavailable",
    "UNALLOCATED_NUMBER": "404 Not Found",
    "NORMAL_TEMPORARY_FAILURE": "503 Service Unavailable",
    "REDIRECTION_TO_NEW_DESTINATION": "302 Moved Temporarily",
}
_ANCILLARY_BYTES = 64
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n"
_SIGNAL = re.compile(r"^Signal=(.)", re.MULTILINE)
# The least that the kernel lets a socket hold: what comes beyond it is dropped at once.
_DEAF_BYTES = 1


class Telephones:
    """All phones and callers of a test on one UDP port. `scripts` says by user what a phone does when it is rung.

    One without a script rings until the test does something.
    """

    def __init__(self, trunk_port: int) -> None:
        self.scripts: dict[str, ScriptedPhone] = {}
        # Every ring of every phone, in the order of the INVITEs.
        self.rung: list[Dialog] = []
        # Told of every ring, at once; must not wait.
        self.on_ring: Callable[[Dialog], object] = lambda _ring: None
        # By user, what their phone did, one entry for each time that it was rung.
        self.acts: dict[str, list[dict[str, float]]] = {}
        # How long a phone that has fallen silent waits before it says so. Many at once would else take from the switch
        # the processor that, anywhere but here, it need not share with them.
        self.pause_s = 0.0
        # Given a list: every datagram that the switch sends to a phone, not to a caller. `says`: lines of each answer.
        self.heard: list[str] | None = None
        self.says: tuple[str, ...] = ()
        # Given a list: the keys of which the switch tells a phone or caller by SIP INFO.
        self.pressed: list[str] | None = None
        self.trunk_port = trunk_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        # Takes everybody's sound and reads none: a closed port would cost the kernel an error for each packet.
        self._deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DEAF_BYTES)
        self._deaf.bind(("127.0.0.1", 0))
        self._sdp = _SDP.format(self._deaf.getsockname()[1])
        # By user, what their phone offers where it has ears of its own (`tones`).
        self.offers: dict[str, str] = {}
        self._dialogs: dict[str, Dialog] = {}
        self._branches = 0
        self._calls = 0
        # When the message that is being read came to the kernel.
        self._came_s = 0.0
        self._repeating = Repeating(self._socket.sendto)
        self._reader = gevent.spawn(self._read)

    def stop(self) -> None:
        """Go silent."""
        self._reader.kill()
        self._repeating.stop()
        for dialog in self._dialogs.values():
            gevent.killall(dialog.timers)
        self._socket.close()
        self._deaf.close()

    # --- what a test does -----------------------------------------------------------------------------------------

    def call(
        self,
        number: str,
        dials: str,
        *,
        as_whom: str = "",
        more: tuple[str, ...] = (),
        replaces: str = "",
        sound: str = "",
    ) -> Dialog:
        """A caller calls; they answer a BYE and hang up by `hang_up`.

        `as_whom` is the From where it shows another one than `number`; `more` are further lines of the INVITE;
        `replaces` is another call's, which this one shall replace, as `dialog.replaces` writes it; `sound` is what this
        line offers, if not what the user's phone does.
        """
        self._calls += 1
        call_id = f"{number}-{self._calls}@{self.port}"
        dialog = Dialog(number, call_id, f"{as_whom or f'<sip:{number}@127.0.0.1:{self.port}>'};tag=c{self._calls}")
        dialog.target = f"sip:{dials}@127.0.0.1:{self.trunk_port}"
        dialog.far, dialog.own = f"<{dialog.target}>", sound
        self._dialogs[call_id] = dialog
        dialog.sequence = 1
        if replaces:
            more = (*more, f"Replaces: {replaces}")
        dialog.branch = self._request(dialog, "INVITE", 1, self._offer(dialog), more=more)
        return dialog

    def answer(self, dialog: Dialog) -> None:
        """The phone that rings answers."""
        assert dialog.state == "ringing" and dialog.invite is not None, f"{dialog.user} does not ring"
        dialog.state = "talking"
        dialog.answered_s = time.time()
        self._reply(dialog.invite, "200 OK", address_of(dialog.target), dialog.near, self._offer(dialog))

    def refuse(self, dialog: Dialog, cause: str = "CALL_REJECTED") -> None:
        """The phone that rings refuses."""
        assert dialog.state == "ringing" and dialog.invite is not None, f"{dialog.user} does not ring"
        self._over(dialog)
        self._reply(dialog.invite, STATUS[cause], address_of(dialog.target), dialog.near)

    def divert(self, dialog: Dialog, to: str) -> None:
        """The phone that rings sends the switch to this number at itself."""
        assert dialog.state == "ringing" and dialog.invite is not None, f"{dialog.user} does not ring"
        self._over(dialog)
        status = STATUS["REDIRECTION_TO_NEW_DESTINATION"]
        self._reply(dialog.invite, status, address_of(dialog.target), dialog.near, contact=to)

    def hang_up(self, user: str) -> None:
        """The phone that talks hangs up; one that does not talk has nothing to hang up."""
        for dialog in self._dialogs.values():
            if dialog.user == user and dialog.state == "talking":
                self.end(dialog)

    def latest(self, user: str, *states: str) -> Dialog | None:
        """This user's latest call that is in one of the states; without states their latest."""
        found = [each for each in self._dialogs.values() if each.user == user and (not states or each.state in states)]
        return found[-1] if found else None

    def hold(self, dialog: Dialog, *, off: bool = False) -> None:
        """The phone puts the call on hold by a re-INVITE, or takes it back."""
        dialog.sequence += 1
        offer = self._offer(dialog)
        self._request(dialog, "INVITE", dialog.sequence, offer if off else f"{offer}a=sendonly\r\n")

    def end(self, dialog: Dialog) -> None:
        """The phone hangs up this call."""
        self._over(dialog)
        dialog.sequence += 1
        self._request(dialog, "BYE", dialog.sequence)

    def refer(self, dialog: Dialog, target: str, replaces: str = "") -> None:
        """The phone asks the switch to send whom it talks with to the address `target`, blindly or attended.

        `replaces` is another call's, as `dialog.replaces` writes it.
        """
        parameter = f"?Replaces={quote(replaces, safe='')}" if replaces else ""
        dialog.sequence += 1
        self._request(dialog, "REFER", dialog.sequence, more=(f"Refer-To: <{target}{parameter}>",))

    def press(self, dialog: Dialog, digit: str) -> None:
        """The phone sends a key by SIP INFO."""
        dialog.sequence += 1
        self._request(
            dialog, "INFO", dialog.sequence, f"Signal={digit}\r\nDuration=160\r\n", kind="application/dtmf-relay"
        )

    def switch_died(self) -> None:
        """No ring survives a crash of the switch, and no message ends it: as a phone's own timer would, end it now."""
        self._repeating.stop()
        for dialog in self._dialogs.values():
            if dialog.state in {"calling", "ringing"}:
                self._over(dialog, by_switch=True)

    def forget(self, *users: str) -> None:
        """Keep nothing of the calls of these users that are over: a long series has many."""
        ended = [call_id for call_id, each in self._dialogs.items() if each.user in users and each.state == "over"]
        for call_id in ended:
            del self._dialogs[call_id]
        self.rung[:] = [ring for ring in self.rung if ring.user not in users or ring.state != "over"]

    def forget_unheard(self, since_s: float) -> None:
        """End the talks of which the switch has not said a word since then: it has not recovered them."""
        for dialog in self._dialogs.values():
            if dialog.state == "talking" and dialog.heard_s < since_s:
                self._over(dialog, by_switch=True)

    def _offer(self, dialog: Dialog) -> str:
        return dialog.own or self.offers.get(dialog.user, self._sdp)

    # --- the wire ---------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while True:
            raw, ancillary, _, address = self._socket.recvmsg(65_536, _ANCILLARY_BYTES)
            self._came_s = kernel_time_s(ancillary)
            if raw.strip():
                message = Message.read(raw)
                if message.start.startswith("SIP/2.0 "):
                    self._response(message)
                else:
                    self._asked(message, address)

    def _request(
        self,
        dialog: Dialog,
        method: str,
        number: int,
        body: str = "",
        branch: str = "",
        more: tuple[str, ...] = (),
        kind: str = "application/sdp",
    ) -> str:
        self._branches += 1
        branch = branch or f"z9hG4bK{self.port}n{self._branches}"
        here = f"127.0.0.1:{self.port}"
        lines = [
            f"{method} {dialog.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch={branch}",
            f"From: {dialog.near}",
            f"To: {dialog.far}",
            f"Call-ID: {dialog.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{dialog.user}@{here}>",
            "Max-Forwards: 70",
            *more,
        ]
        until = None if method == "ACK" else f"{number} {method}"
        self._send(dialog.call_id, lines, body, address_of(dialog.target), kind, until=until)
        return branch

    def _send(
        self,
        call_id: str,
        lines: list[str],
        body: str,
        to: tuple[str, int],
        kind: str = "application/sdp",
        *,
        until: str | None = None,
    ) -> None:
        if body:
            lines = [*lines, f"Content-Type: {kind}"]
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()
        if until is None:
            self._socket.sendto(data, to)
        else:
            self._repeating.say(data, to, (call_id, until))

    def _reply(
        self,
        message: Message,
        status: str,
        address: tuple[str, int],
        to: str = "",
        body: str = "",
        *,
        contact: str = "",
    ) -> None:
        headers = message.headers
        asked = USER.search(message.start)
        contact = contact or (asked[1] if asked else "x")
        lines = [
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in message.vias),
            f"From: {headers['from']}",
            f"To: {to or headers['to']}",
            f"Call-ID: {headers['call-id']}",
            f"CSeq: {headers['cseq']}",
            f"Contact: <sip:{contact}@127.0.0.1:{self.port}>",
            *self.says,
        ]
        number, method = headers["cseq"].split()
        until = f"{number} ACK" if method == "INVITE" and not status.startswith("1") else None
        self._send(message.call_id, lines, body, address, until=until)

    # --- a caller ---------------------------------------------------------------------------------------------------

    def _response(self, message: Message) -> None:
        dialog = self._dialogs.get(message.call_id)
        status = int(message.start.split()[1])
        if status >= 200 or message.headers["cseq"].endswith("INVITE"):
            self._repeating.heard((message.call_id, message.headers["cseq"]))
        if dialog is not None and status >= 200 and message.headers["cseq"].endswith("REFER"):
            dialog.referred.append(message.start.removeprefix("SIP/2.0 "))
        if dialog is None or status < 200 or not message.headers["cseq"].endswith("INVITE"):
            return
        dialog.far = message.headers["to"]
        # A refusal is acknowledged inside the transaction of the INVITE.
        refused = status >= 300
        if not refused:
            dialog.target = message.uri("contact")
        number = int(message.headers["cseq"].split()[0])
        self._request(dialog, "ACK", number, branch=dialog.branch if refused else "")
        dialog.heard_s = self._came_s
        if dialog.state == "calling":
            dialog.began_s = self._came_s
            if refused:
                self._over(dialog, by_switch=True)
            else:
                dialog.state, dialog.answered, dialog.sound = "talking", True, message.body

    # --- a phone ----------------------------------------------------------------------------------------------------

    def _asked(self, message: Message, address: tuple[str, int]) -> None:
        method = message.start.split()[0]
        dialog = self._dialogs.get(message.call_id)
        if dialog is not None:
            dialog.heard_s = self._came_s
        if self.heard is not None and (dialog is None or dialog.invite is not None):
            self.heard.append(message.raw)
        if method == "ACK":
            self._repeating.heard((message.call_id, message.headers["cseq"]))
        elif method == "INVITE":
            self._invited(message, dialog, address)
        elif method == "CANCEL":
            invite = None
            if dialog is not None and dialog.state == "ringing":
                self._over(dialog, by_switch=True)
                dialog.cancelled_s, dialog.reason = self._came_s, message.headers.get("reason", "")
                invite = dialog
            gevent.spawn_later(self.pause_s, self._cancelled, message, invite, address)
        elif method in {"BYE", "UPDATE", "INFO", "OPTIONS", "NOTIFY"}:
            self._reply(message, "200 OK", address)
            if method == "INFO" and self.pressed is not None:
                self.pressed += _SIGNAL.findall(message.body)
            if method == "NOTIFY" and dialog is not None:
                dialog.referred.append(message.body.strip().removeprefix("SIP/2.0 "))
            if method == "BYE" and dialog is not None:
                self._over(dialog, by_switch=True, at_s=self._came_s)

    def _invited(self, message: Message, dialog: Dialog | None, address: tuple[str, int]) -> None:
        if dialog is None:
            self._ring(message, address)
        elif dialog.state == "ringing":
            self._reply(message, "100 Trying", address)  # ours was not read
        elif dialog.state == "talking":
            self._reply(message, "200 OK", address, body=self._offer(dialog))
        elif dialog.state == "over":
            # A switch that comes back from a crash asks for a call that has ended meanwhile.
            self._reply(message, "481 Call/Transaction Does Not Exist", address)

    def _ring(self, message: Message, address: tuple[str, int]) -> None:
        found = USER.search(message.start)
        user = found[1] if found else ""
        script = self.scripts.get(user, _WAITS)
        near = f"{message.headers['to']};tag=a{len(self._dialogs)}"
        dialog = Dialog(user, message.call_id, near, message.headers["from"], message.uri("contact"), message, script)
        dialog.state = "ringing"
        dialog.began_s = dialog.heard_s = self._came_s
        self._dialogs[message.call_id] = dialog
        self.rung.append(dialog)
        self.on_ring(dialog)
        self._reply(message, "100 Trying", address)
        self.acts.setdefault(user, []).append(dialog.acts)
        self._later(dialog, "rings_ms", "180 Ringing", "ringing")
        self._later(dialog, "early_ms", "183 Session Progress", "ringing", self._sdp)
        self._later(dialog, "rejects_ms", STATUS[script.cause], "over")
        self._later(dialog, "answers_ms", "200 OK", "talking", self._sdp)

    def _later(self, dialog: Dialog, name: str, status: str, state: str, body: str = "") -> None:
        delay_ms: float | None = getattr(dialog.script, name)
        if delay_ms is None:
            return

        def act() -> None:
            if dialog.state == "ringing" and dialog.invite is not None:
                if state == "over":
                    self._over(dialog)
                dialog.state = state
                dialog.acts[name] = time.monotonic()
                self._reply(dialog.invite, status, address_of(dialog.target), dialog.near, body)

        dialog.timers.append(gevent.spawn_later(delay_ms / 1_000, act))

    def _cancelled(self, message: Message, dialog: Dialog | None, address: tuple[str, int]) -> None:
        self._reply(message, "200 OK", address)
        if dialog is not None and dialog.invite is not None:
            self._reply(dialog.invite, "487 Request Terminated", address, dialog.near)

    @staticmethod
    def _over(dialog: Dialog, *, by_switch: bool = False, at_s: float | None = None) -> None:
        if dialog.state != "over":
            dialog.state, dialog.by_switch = "over", by_switch
            dialog.over_s = time.time() if at_s is None else at_s


_WAITS = ScriptedPhone(rings_ms=0)
