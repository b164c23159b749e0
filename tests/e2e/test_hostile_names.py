"""Callers who call themselves something that would hurt a careless daemon, in real INVITEs.

What SIP over UDP cannot carry (line ends, NUL, 64 KiB) is tested at the codec and at the encoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import phones
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.switch import Esl, RealSwitch, await_true

AGENTS = tuple(str(number) for number in range(1001, 1012))
VICTIM_NUMBER = "49300000"
ANSWERED = 'fsacd_calls_answered_total{queue="support"}'
# {victim} is the uuid of a call that is being served meanwhile, {marker} a file that must not come into being.
NAMES = {
    "forged event": "Bob%0AUnique-ID: {victim}%0AEvent-Name: CHANNEL_HANGUP%0AHangup-Cause: NORMAL_CLEARING",
    "forged event, small hex": "Bob%0aUnique-ID: {victim}%0aEvent-Name: CHANNEL_HANGUP",
    "forged end of event": "Bob%0D%0A%0D%0AContent-Length: 0%0A%0AContent-Type: text/disconnect-notice",
    "second command": "Bob%0A%0Aapi uuid_kill {victim}",
    "apostrophe": "Conan O'Brien",
    "lone apostrophe": "'",
    "many apostrophes": "''''''",
    "quoted pairs": r"a\\b\"c\"",
    "comma": "a,execute_on_answer=hangup,park_timeout=0",
    "brace": "a}user/1002,sofia/trunk/x",
    "braces": "{execute_on_answer=hangup}[execute_on_answer=hangup]<execute_on_answer=hangup>",
    "api expansion": "${system(touch {marker})}",
    "late api expansion": "%{system(touch {marker})}",
    "plain variable": "${sip_auth_password}$${password}",
    "enterprise originate": "x:_:user/1002",
    "another leg": "x|user/1002",
    "unload Event Socket": "unload mod_event_socket",
    "reload Event Socket": "RELOAD mod_event_socket now",
    "other separator": "^^:a:b",
    "no argument": "undef",
    "invalid UTF-8": "Bj\udcf6rn \udcff\udc80",
    "right to left": "\u202egnp.exe\u2066",
    "line separators": "a\u2028api uuid_kill {victim}\u2029\x0b\x85b",
    "very long": "A" * 20_000,  # about what one UDP datagram and SIPp carry
    "very long and quoted": "'" * 8_000,
    "markup": "<b>x</b>&lt",
    "nothing": "",
    "ordinary": "Zoë Müller-Łoś",
}
# The numbers that callers claim: what RFC 3261 lets stand in a user part, escaped.
NUMBERS = ("4930%0Aapi", "4930%7D%27%2C", "4930&x=1", "4930$%7Bx%7D")
# What the agent sees of some of them, to the letter. FreeSWITCH itself shows the number where there is no name.
SHOWN = {
    "apostrophe": "Conan O\u2019Brien",
    "ordinary": "Zoë Müller-Łoś",
    "nothing": "49300027",
    "unload Event Socket": "unload mod event socket",
    "no argument": "undef.",
}
# What may be left of a name on an agent's phone: letters of any script, digits, blanks and a few harmless marks.
HARMLESS = re.compile(r"[\w .,\u2019&()+/-]*")


@dataclass
class Place:
    """The switch, the daemon and the agents' SIPp with the INVITEs that it got."""

    switch: RealSwitch
    daemon: Daemon
    agents: phones.Sipp
    directory: Path
    numbers: Iterator[int]

    def call(self, callers: Sequence[tuple[str, str]], queue: str = "support", rate: float = 8) -> phones.Sipp:
        """Place calls by (number, display name as SIP writes it, its quotes included)."""
        place = self.directory / f"callers-{next(self.numbers)}"
        place.mkdir()
        lines = [f"{number};queue-{queue}-c{index};9;0;{name}" for index, (number, name) in enumerate(callers)]
        (place / "callers.csv").write_bytes("\n".join(["SEQUENTIAL", *lines, ""]).encode("utf-8", "surrogateescape"))
        words = ["-inf", "callers.csv", "-r", str(rate), "-m", str(len(callers)), f"127.0.0.1:{self.switch.trunk_port}"]
        return phones._run(place, "caller.xml", words)

    def shown(self) -> list[str]:
        """What the agents' phones showed as From, call by call."""
        text = (self.agents.directory / "messages.txt").read_text(encoding="utf-8", errors="surrogateescape")
        invites = re.findall(r"^INVITE sip:.*?\n\r?\n", text, re.DOTALL | re.MULTILINE)
        # One that was not answered in half a second comes again.
        first = {_header("Call-ID", invite): invite for invite in reversed(invites)}
        return [_header("From", invite) for invite in reversed(first.values())]


def _header(name: str, invite: str) -> str:
    found = re.search(rf"^{name}: (.*?)\r?$", invite, re.MULTILINE)
    assert found is not None, f"every INVITE has the header {name}"
    return found[1]


@pytest.fixture
def place(workplace: Path, switch: RealSwitch) -> Iterator[Place]:
    lines = [f"{AGENTS[0]};100;60000;9", *(f"{user};100;1500;9" for user in AGENTS[1:])]
    phones._write_csv(workplace / "agents", "agents.csv", lines)
    words = ["-inf", "agents.csv", "-infindex", "agents.csv", "0", "-trace_msg", "-message_file", "messages.txt"]
    agents = phones._run(workplace / "agents", "agent_answers.xml", words)
    config: dict[str, Any] = {
        # The dialplan of the test names a customer, too, and the usual display would show that one.
        "defaults": {"wrap_up": "0s", "agent_display": "{name}"},
        "queues": {"support": {}, "vip": {}},
        "log": {"number_digits": 32},
        "agents": {
            user: {
                "contact": f"sofia/trunk/{user}@127.0.0.1:{agents.port}",
                "queues": ["vip" if user == AGENTS[0] else "support"],
                "login_at_start": True,
            }
            for user in AGENTS
        },
    }
    daemon = Daemon(workplace, config, switch.esl_port)
    daemon.start()
    yield Place(switch, daemon, agents, workplace, iter(range(1000)))
    daemon.stop()
    agents.stop()


def test_hostile_names_are_only_names(place: Place, tmp_path: Path) -> None:
    """Each is served like anybody, shown harmlessly, and neither it nor the next twenty calls disturb anything."""
    place.call([(VICTIM_NUMBER, '"Bystander"')], queue="vip")
    await_true(lambda: bystander(place.daemon).get("state") == "talking", 10, "the bystander is served")
    victim = bystander(place.daemon)["leg_uuid"]
    marker = tmp_path / "marker"
    link = place.daemon.get("status")["switches"][0]

    names = [name.replace("{victim}", victim).replace("{marker}", str(marker)) for name in NAMES.values()]
    callers = [(f"4930{index:04}", f'"{name}"') for index, name in enumerate(names, 1)]
    callers += [(number, "") for number in NUMBERS]
    everybody_is_served(place, callers)
    everybody_is_served(place, [(f"4940{index:04}", '"Plain"') for index in range(20)])

    shown = [from_header.rpartition("<sip:") for from_header in place.shown()]
    assert len(shown) == 1 + len(callers) + 20
    by_number = {uri.partition("@")[0]: name.strip().strip('"') for name, _, uri in shown}
    assert [name for name in by_number.values() if not HARMLESS.fullmatch(name)] == []
    assert [number for number in by_number if not re.fullmatch(r"[0-9A-Za-z+.*#-]+", number)] == []
    known = dict(zip(NAMES, (number for number, _ in callers), strict=False))
    for title, expected in SHOWN.items():
        assert by_number[known[title]] == expected, title
    assert not marker.exists(), "a name was run as a command"
    after = place.daemon.get("status")["switches"][0]
    assert (after["connected"], after["reconnects"], after["since_at"]) == (True, link["reconnects"], link["since_at"])
    assert bystander(place.daemon).get("state") == "talking", "a forged event or command hit the bystander"
    nothing_was_injected(place.switch.esl())


def everybody_is_served(place: Place, callers: Sequence[tuple[str, str]]) -> None:
    """Place the calls; each is answered and then released by its agent, and none of them stays behind."""
    before = place.daemon.metrics().get(ANSWERED, 0)
    sipp = place.call(callers)
    sipp.wait(60)
    assert sorted(map(str.strip, sipp.log)) == sorted(f"{number} released" for number, _ in callers)
    assert place.daemon.metrics()[ANSWERED] - before == len(callers)


def bystander(daemon: Daemon) -> dict[str, Any]:
    """The call that is being served meanwhile, or nothing when there is none."""
    calls: list[dict[str, Any]] = daemon.get("calls")["calls"]
    return next((call for call in calls if call["number"] == VICTIM_NUMBER), {})


def nothing_was_injected(esl: Esl) -> None:
    """The bystander's two legs are all there is, and Event Socket is still loaded."""
    assert esl.api("show channels count") == "2 total."
    assert esl.api("module_exists mod_event_socket") == "true"
    esl.close()
