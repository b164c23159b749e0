"""Where users have registered: several devices each, and the events that tell of it (sofia_reg.c)."""

from __future__ import annotations

from fsacd.sim.agenda import SECOND
from fsacd.sim.switch import Switch

LASTS_S = 3_600


def register(switch: Switch, user: str, address: str, profile: str = "internal") -> None:
    """A phone registers, or does so again: `address` is USER@HOST:PORT, where it wants to be rung."""
    endpoint = _endpoint(address, profile)
    if endpoint not in switch.registered(user):
        _write(switch, user, [*switch.registered(user), endpoint])
    host = switch.globals["domain"]
    about = {
        "profile-name": profile,
        "from-user": user,
        "from-host": host,
        "presence-hosts": "n/a",
        **_device(user, address),
        "status": "Registered(UDP)",
        "expires": str(LASTS_S),
        "to-user": user,
        "to-host": host,
        "username": user,
        "realm": host,
        "sip_auth_username": user,
        "sip_auth_realm": host,
        "user_name": user,
        "domain_name": host,
    }
    _tell(switch, "register", about)


def unregister(switch: Switch, user: str, address: str, profile: str = "internal") -> None:
    """The phone says goodbye."""
    if _forget(switch, user, address, profile):
        host = switch.globals["domain"]
        about = {"profile-name": profile, "username": user, "from-user": user, "from-host": host, "realm": host}
        _tell(switch, "unregister", about | _device(user, address) | {"expires": "0"})


def expire(switch: Switch, user: str, address: str, profile: str = "internal") -> None:
    """Nothing was heard of the phone for too long. Its user stands in another header here."""
    if _forget(switch, user, address, profile):
        host = switch.globals["domain"]
        about = {"profile-name": profile, "user": user, "username": user, "host": host, "realm": host}
        expires = str(switch.agenda.wall_us // SECOND)
        _tell(switch, "expire", about | _device(user, address) | {"expires": expires})


def _device(user: str, address: str) -> dict[str, str]:
    host, _, port = address.partition("@")[2].partition(":")
    return {
        "contact": f'"" <sip:{address}>',
        "call-id": f"reg-{user}-{port}@{host}",
        "rpid": "unknown",
        "network-ip": host,
        "network-port": port,
        "user-agent": "unknown",
    }


def _endpoint(address: str, profile: str) -> str:
    return f"sofia/{profile}/sip:{address}"


def _forget(switch: Switch, user: str, address: str, profile: str) -> bool:
    known, endpoint = switch.registered(user), _endpoint(address, profile)
    if endpoint not in known:
        return False
    _write(switch, user, [each for each in known if each != endpoint])
    return True


def _write(switch: Switch, user: str, endpoints: list[str]) -> None:
    switch.directory[user] = ",".join(endpoints)


def _tell(switch: Switch, what: str, about: dict[str, str]) -> None:
    switch.fire("CUSTOM", None, {"Event-Subclass": f"sofia::{what}", **about})
