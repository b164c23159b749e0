"""An agent's phone as the agent uses it: it registers and dials feature codes. Both with digest authentication."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.rig import phones
from tests.e2e.rig.switch import DOMAIN, RealSwitch

YES, NO = "NORMAL_CLEARING", "CALL_REJECTED"  # the causes with which fsacd_yes and fsacd_no release the phone
FORBIDDEN = "FORBIDDEN"
_REGISTER_S = 15.0
_DIAL_S = 30.0


@dataclass(frozen=True)
class Desk:
    """Where phones stand: the switch they belong to and a directory for SIPp's files."""

    switch: RealSwitch
    directory: Path

    def register(self, users: Sequence[str], sip_port: int, domain: str = DOMAIN) -> None:
        """Register the users' phones as reachable at this port. AssertionError when the switch does not take one."""
        lines = [f"{user};{_password(user)};{sip_port};{domain};" for user in users]
        sipp = self._run("register.xml", "phones.csv", lines)
        sipp.wait(_REGISTER_S)
        assert sipp.process.returncode == 0, (sipp.directory / "errors.txt").read_text(errors="replace")[-2000:]

    def dial(
        self, user: str, code: str, *, pin: str = "", claims: str = "", password: str = "", domain: str = DOMAIN
    ) -> str:
        """Dial a code and listen to the end: YES, NO or FORBIDDEN. A pin is one digit, typed four times.

        `claims` is whom the phone's From names; the user themselves unless it says otherwise. `domain` is the realm in
        which the phone answers the challenge.
        """
        assert len(set(pin)) <= 1, "the scenario types one digit four times"
        line = f"{user};{_password(user, password)};{code};{pin[:1]};{claims or user};9;{domain};"
        sipp = self._run("feature_code.xml", "phones.csv", [line])
        sipp.wait(_DIAL_S)
        logged = [words for words in map(str.split, sipp.log) if words[:2] == [user, code]]
        assert len(logged) == 1, f"the call to {code} did not end as it should: {sipp.log}"
        return logged[0][2]

    def _run(self, scenario: str, csv: str, lines: Sequence[str]) -> phones.Sipp:
        place = Path(tempfile.mkdtemp(dir=self.directory))
        phones._write_csv(place, csv, lines)
        target = f"127.0.0.1:{self.switch.agent_port}"
        return phones._run(place, scenario, ["-inf", csv, "-m", str(len(lines)), target])


def _password(user: str, password: str = "") -> str:
    return f"[authentication username={user} password={password or f'pw{user}'}]"
