"""The XML dialplan: the subset that fsacd's own dialplan and a call centre's entry points need, read from its files.

What an operator installs on a real switch is what the model runs, so the two cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from fsacd.sim.channel import App, Profile
from fsacd.sim.ports import Exchange, Leg

_GROUP = re.compile(r"\$([0-9])")
_PREPROCESS = re.compile(r"\$\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an extension with what to do when it holds and when it does not.

    `tests` are pairs of a field and a pattern; `need` says how many of them must hold: all, any, or xor (just one).
    """

    tests: tuple[tuple[str, str], ...]
    need: str
    on_break: str
    actions: tuple[tuple[App, bool], ...]
    anti_actions: tuple[tuple[App, bool], ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of a context."""

    name: str
    goes_on: bool
    conditions: tuple[Condition, ...]


class DialplanError(ValueError):
    """A dialplan file that the model cannot read; the message names the file."""


class Dialplan:
    """All contexts, in the order in which they were read."""

    def __init__(self) -> None:
        self.contexts: dict[str, list[Extension]] = {}
        # What the files set before the dialplan begins (X-PRE-PROCESS) is a global variable too.
        self.globals: dict[str, str] = {}

    def read(self, path: Path, settings: Mapping[str, str] | None = None, context: str = "default") -> None:
        """Add a file's contexts; what stands in none goes into `context`. `settings` are `$${...}`. DialplanError."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DialplanError(f"the dialplan {path} cannot be read: {error.strerror}") from error
        self.add(text, settings, context, str(path))

    def add(
        self,
        text: str,
        settings: Mapping[str, str] | None = None,
        context: str = "default",
        origin: str = "the dialplan",
    ) -> None:
        """Add the contexts of an XML text, as `read` does. Raises DialplanError."""
        known = dict(settings or {})
        try:
            root = ET.fromstring(text)  # noqa: S314  our own file, not a stranger's
        except ET.ParseError as error:
            raise DialplanError(f"{origin} is no XML: {error}") from error
        for step in root.iter("X-PRE-PROCESS"):
            name, _, value = step.get("data", "").partition("=")
            if step.get("cmd") == "set":
                known.setdefault(name, value)
                self.globals.setdefault(name, value)
        loose = root.findall("extension") if root.tag != "context" else []
        self.contexts.setdefault(context, []).extend(_extension(item, known) for item in loose)
        for each in [root] if root.tag == "context" else root.iter("context"):
            extensions = self.contexts.setdefault(each.get("name", "default"), [])
            extensions += [_extension(item, known) for item in each.iter("extension")]

    def hunt(self, switch: Exchange, session: Leg, profile: Profile) -> list[App] | None:
        """The apps for the profile's destination, or None when no extension takes it."""
        apps: list[App] = []
        for extension in self.contexts.get(profile.context, ()):
            matched = _try(extension, switch, session, profile, apps)
            if matched and not extension.goes_on:
                break
        return apps or None


class Inline:
    """The dialplan "inline": the destination itself lists the apps."""

    def hunt(self, _switch: Exchange, _session: Leg, profile: Profile) -> list[App] | None:
        """`app:data,app:data`, or with `m:X:` another separator than the comma."""
        text, separator = profile.destination, ","
        if text.startswith("m:") and text[3:4] == ":":
            separator, text = text[2], text[4:]
        apps = [App(*item.split(":", 1)) for item in text.split(separator) if item]
        return apps or None


def _extension(item: ET.Element, settings: Mapping[str, str]) -> Extension:
    return Extension(
        name=item.get("name", ""),
        goes_on=item.get("continue") == "true",
        conditions=tuple(_condition(each, settings) for each in item.findall("condition")),
    )


def _condition(item: ET.Element, settings: Mapping[str, str]) -> Condition:
    def text(value: str) -> str:
        return _PREPROCESS.sub(lambda hit: settings.get(hit[1], ""), value)

    def apps(tag: str) -> tuple[tuple[App, bool], ...]:
        found: list[tuple[App, bool]] = []
        for each in item.findall(tag):
            app = App(each.get("application", ""), text(each.get("data", "") or (each.text or "")))
            loop = each.get("loop", "1")
            found += [(app, each.get("inline") == "true")] * (int(loop) if loop.isdigit() else 0)
        return tuple(found)

    # A condition without a field always holds.
    sources = item.findall("regex") if item.get("regex") else [item] if item.get("field") else []
    return Condition(
        tests=tuple((text(each.get("field", "")), text(each.get("expression", ""))) for each in sources),
        need=item.get("regex", "all"),
        on_break=item.get("break", "on-false"),
        actions=apps("action"),
        anti_actions=apps("anti-action"),
    )


def _try(extension: Extension, switch: Exchange, session: Leg, profile: Profile, apps: list[App]) -> bool:
    """Test an extension's conditions one by one; true if the last one tested held or had something to do."""
    matched = False
    for condition in extension.conditions:
        groups = _holds(condition, switch, session, profile)
        match = groups is not None
        chosen = condition.actions if match else condition.anti_actions
        for app, inline in chosen:
            filled = App(app.name, _fill(app.data, groups or ("",)))
            if inline:
                _run_inline(filled, switch, session)
            else:
                apps.append(filled)
        matched = match or bool(chosen)
        stop = {"on-false": not match, "on-true": match, "always": True}.get(condition.on_break, False)
        if stop:
            break
    return matched


def _holds(condition: Condition, switch: Exchange, session: Leg, profile: Profile) -> tuple[str, ...] | None:
    """The groups of the last pattern that matched, or None when the condition does not hold."""
    groups: tuple[str, ...] = ("",)
    hits = 0
    for field, pattern in condition.tests:
        match = re.search(switch.expand(pattern, session), _field(field, switch, session, profile))
        if match:
            hits += 1
            groups = (match.group(), *match.groups(""))
    need = {"any": hits > 0, "xor": hits == 1}
    return groups if need.get(condition.need, hits == len(condition.tests)) else None


def _fill(data: str, groups: tuple[str, ...]) -> str:
    return _GROUP.sub(lambda hit: groups[int(hit[1])] if int(hit[1]) < len(groups) else "", data)


def _run_inline(app: App, switch: Exchange, session: Leg) -> None:
    if app.name in {"set", "export"}:
        name, _, value = switch.expand(app.data, session).partition("=")
        session.channel.set(name, value)
    elif app.name == "unset":
        session.channel.set(app.data, None)


def _field(field: str, switch: Exchange, session: Leg, profile: Profile) -> str:
    if "${" in field:
        return switch.expand(field, session)
    known = {
        "destination_number": profile.destination,
        "caller_id_number": profile.cid_number,
        "caller_id_name": profile.cid_name,
        "username": profile.username,
        "ani": profile.ani,
        "rdnis": profile.rdnis,
        "context": profile.context,
        "network_addr": profile.network_addr,
        "source": profile.source,
        "uuid": session.channel.uuid,
        "chan_name": session.channel.name,
    }
    return known[field] if field in known else session.channel.variables.get(field, "")
