"""A link to a switch that a test restarts, cuts off or silences, and what the link tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsacd.esl.codec import Message
from fsacd.esl.link import Down, LinkSettings, LinkState, SwitchLink, Up
from tests.esl.fake_switch import FakeSwitch, Peer, named, reply, response


class Switch:
    """A switch with one process, which a test restarts, cuts off or silences."""

    def __init__(self) -> None:
        self.core_uuid = "core-1"
        self.uptime_s = 5_000_000
        self.echoes = True
        self.answers = True
        self.refuses = ""
        self.dialplan = "2"
        # Events, subclasses and commands that the user has no right to.
        self.denied: set[str] = set()
        self.heard: list[bytes] = []
        self.subscribers: list[Peer] = []
        self.server = FakeSwitch(self.serve)

    def serve(self, peer: Peer) -> None:
        peer.log_in()
        while command := peer.hear():
            self.heard.append(command)
            if self.answers:
                self.answer(peer, command.decode())

    def answer(self, peer: Peer, command: str) -> None:
        answers = {
            "api global_getvar core_uuid": self.core_uuid,
            "api global_getvar hostname": "fs1",
            "api global_getvar fsacd_dialplan": self.dialplan,
            "api uptime s": f"{self.uptime_s}\n",
            "api uptime ms": f"{self.uptime_s * 1000 % 2**32}\n",
        }
        if self.denied & set(command.split()) or (self.refuses and command.startswith(self.refuses)):
            peer.say(reply("-ERR permission denied"))
        elif command.startswith("api "):
            peer.say(response(answers.get(command, f"+OK {command[4:]}").encode()))
        elif command.startswith("sendevent"):
            peer.say(reply("+OK"))
            probe = command.partition("fsacd_probe: ")[2]
            if self.echoes:
                self.fire(named("CUSTOM", **{"Event-Subclass": "fsacd::left", "fsacd_probe": probe}))
        else:
            if command.startswith("event json"):
                self.subscribers.append(peer)
            peer.say(reply("+OK"))

    def fire(self, *events: bytes) -> None:
        for peer in self.subscribers:
            peer.say(*events)

    def cut(self) -> None:
        """End all connections; new ones are taken."""
        self.subscribers.clear()
        for peer in self.server.peers:
            peer.close()


class Rig:
    """A link, its switch, and what the link has told."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.story: list[LinkState | str] = []
        self.link: SwitchLink | None = None

    def start(self, **values: Any) -> SwitchLink:
        options = {key: values.pop(key) for key in ("events", "subclasses", "filters") if key in values}
        settings = LinkSettings(
            **{
                "host": self.switch.server.host,
                "port": self.switch.server.port,
                "password": "secret",
                "reconnect_min_ms": 5,
                "reconnect_max_ms": 20,
                "probe_interval_ms": 0,
                **values,
            }
        )
        self.link = SwitchLink("fs1", settings, self.on_event, self.story.append, chance=lambda: 0.5, **options)
        self.link.start()
        return self.link

    def on_event(self, message: Message) -> None:
        self.story.append(message.name)

    def up(self) -> list[Up]:
        return [state for state in self.story if isinstance(state, Up)]

    def down(self) -> list[str]:
        return [state.reason for state in self.story if isinstance(state, Down)]


@contextmanager
def linked() -> Iterator[Rig]:
    """A switch, and a link that the test starts; both end with the test."""
    rig = Rig()
    with rig.switch.server:
        yield rig
        if rig.link is not None:
            rig.link.stop()
