"""Turns the switch's faults on and off from outside: one JSON object per line in, one per line out.

`{"fault": "drop"}` breaks every Event Socket connection; `{"fault": "kill", "down_ms": 1500}` is kill -9 and a new
start; `{"fault": "blackhole", "on": true}` swallows every byte; `{"fault": "delay", "ms": 200}` holds events back;
`{"fault": "refuse", "on": true}` turns new connections away; `{"fault": "none"}` asks only for the state.
`{"call": {"number": "...", "destination": "...", "hangs_up_ms": 5000}}` places a call (`"acknowledges": false`: of
nobody who is there to acknowledge its answer),
`{"phone": {"user": "1001", "answers_ms": 300, "talks_ms": 2000}}` connects a scripted phone,
with `holds_ms`, `unholds_ms`, `refers_ms` and `refers_to`, `presses_ms` and `presses` it uses its keys in a talk, and
`"consults": {"number": "...", "destination": "..."}` with `consults_ms` and `hands_over_ms` is an attended transfer
(`fsacd.sim.desk_phones`).
The far end of a leg hangs up by `{"hang_up": "<uuid>"}`, holds by `{"hold": "<uuid>"}` (`"off": true`: no longer),
sends a REFER by `{"refer": "<uuid>", "to": "12345"}` (`"replaces": "<uuid>"`: into the place of that leg), and presses
keys by `{"press": "<uuid>", "keys": "12#"}`.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from gevent import socket
from gevent.server import StreamServer

from fsacd.sim.agenda import MS
from fsacd.sim.desk_phones import DeskPhone
from fsacd.sim.phones import Caller, Line, ScriptedPhone
from fsacd.sim.server import SwitchServer

MAX_LINE_BYTES = 65_536
CONTACT_PORT = 30_000
_TIMES = (
    *("rings_ms", "answers_ms", "rejects_ms", "early_ms", "hangs_up_ms", "talks_ms", "holds_ms", "unholds_ms"),
    *("refers_ms", "presses_ms", "consults_ms", "hands_over_ms"),
)


class ControlError(ValueError):
    """A control line that cannot be understood."""


class ControlServer:
    """Listens for control lines; for tests and demonstrations on loopback only."""

    def __init__(self, server: SwitchServer, host: str = "127.0.0.1", port: int = 0) -> None:
        self._switch_server = server
        self._server = StreamServer((host, port), self._serve)

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect to."""
        host, port = self._server.address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop(timeout=0)

    def _serve(self, client: socket.socket, _address: tuple[str, int]) -> None:
        with client.makefile("rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                client.sendall(orjson.dumps(self._answer(line)) + b"\n")

    def _answer(self, line: bytes) -> dict[str, object]:
        replies: list[dict[str, object]] = []
        try:
            order = _object(orjson.loads(line))
            self._switch_server.do(lambda: replies.append(self.obey(order)))
        except (ControlError, TypeError, orjson.JSONDecodeError) as error:
            return {"ok": False, "error": str(error)}
        return replies[0]

    def obey(self, order: Mapping[str, object]) -> dict[str, object]:
        """Carry out a line and return the state of the faults. Raises ControlError."""
        switch = self._switch_server.switch
        match order:
            case {"fault": str(name)}:
                self._fault(name, order)
            case {"call": {"number": str(number), "destination": str(destination)}}:
                self._call(number, destination, _object(order["call"]))
            case {"phone": {"user": str(user)}}:
                self._phone(user, _object(order["phone"]))
            case {"hang_up": str(uuid)}:
                self._line(uuid).hang_up()
            case {"hold": str(uuid)}:
                self._line(uuid).hold(off=order.get("off") is True)
            case {"refer": str(uuid), "to": str(number)}:
                other = order.get("replaces")
                self._line(uuid).refer(number, self._line(other) if isinstance(other, str) else None)
            case {"press": str(uuid), "keys": str(keys)}:
                self._line(uuid).press(keys)
            case _:
                raise ControlError("neither a fault, a call, a phone, hang_up, hold, refer nor press")
        legs, clients = len(switch.sessions), len(switch.listeners)
        return {"ok": True, "core_uuid": switch.core_uuid, "legs": legs, "clients": clients}

    def _line(self, uuid: str) -> Line:
        session = self._switch_server.switch.locate(uuid)
        if session is None or session.line is None:
            raise ControlError("no such leg")
        return session.line

    def _fault(self, name: str, order: Mapping[str, object]) -> None:
        faults = self._switch_server.switch.faults
        match name:
            case "drop":
                faults.drop_connections()
            case "kill":
                faults.kill(_number(order, "down_ms", 1_500))
            case "blackhole":
                faults.blackhole(order.get("on") is True)
            case "refuse":
                faults.refusing = order.get("on") is True
            case "delay":
                faults.delay_events(_number(order, "ms", 0))
            case "none":
                pass
            case _:
                raise ControlError(f"there is no fault named {name}")

    def _call(self, number: str, destination: str, rest: Mapping[str, object]) -> None:
        switch = self._switch_server.switch
        caller = Caller(
            number,
            destination,
            name=str(rest.get("name", "")),
            context=str(rest.get("context", "public")),
            user=str(rest.get("user", "")),
            realm=str(rest.get("realm", "")),
            acknowledges=rest.get("acknowledges") is not False,
        )
        line = switch.call(caller, ScriptedPhone())
        if "hangs_up_ms" in rest:
            switch.agenda.after(_number(rest, "hangs_up_ms", 0) * MS, line.hang_up)

    def _phone(self, user: str, rest: Mapping[str, object]) -> None:
        switch = self._switch_server.switch
        if rest.get("registered") is False:
            switch.directory[user] = ""
            return
        times = {name: _number(rest, name, 0) for name in _TIMES if name in rest}
        texts = {name: str(rest[name]) for name in ("cause", "refers_to", "presses") if name in rest}
        consults = None
        if "consults" in rest:
            call = _object(rest["consults"])
            consults = Caller(
                str(call.get("number", user)),
                str(call.get("destination", "")),
                context=str(call.get("context", "default")),
                user=user,
            )
        address = f"{user}@127.0.0.1:{CONTACT_PORT}"
        switch.phones[address] = DeskPhone(**times, **texts, switch=switch, consults=consults)  # type: ignore[arg-type]
        switch.directory[user] = f"sofia/internal/{address}"


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ControlError("a control line is a JSON object")
    return value


def _number(order: Mapping[str, object], name: str, default: float) -> float:
    value = order.get(name, default)
    if not isinstance(value, int | float):
        raise ControlError(f"{name} must be a number")
    return value
