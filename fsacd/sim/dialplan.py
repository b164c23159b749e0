"""The XML dialplan: the subset that fsacd's own dialplan and a call centre's entry points need, read from its files.

What an operator installs on a real switch is what the model runs, so the two cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from fsacd.sim.channel import App

if TYPE_CHECKING:
    from fsacd.sim.session import Session
    from fsacd.sim.switch import Switch

_GROUP = re.compile(r"\$(\d)")
_PREPROCESS = re.compile(r"\$\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an extension with what to do when it holds and when it does not."""

    field: str
    expression: str
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

    def read(self, path: Path, settings: Mapping[str, str] | None = None) -> None:
        """Add the contexts of a file. `settings` stand for `$${...}`. Raises DialplanError."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DialplanError(f"the dialplan {path} cannot be read: {error.strerror}") from error
        self.add(text, settings, str(path))

    def add(self, text: str, settings: Mapping[str, str] | None = None, origin: str = "the dialplan") -> None:
        """Add the contexts of an XML text. Raises DialplanError."""
        known = dict(settings or {})
        try:
            root = ElementTree.fromstring(text)  # noqa: S314  our own file, not a stranger's
        except ElementTree.ParseError as error:
            raise DialplanError(f"{origin} is no XML: {error}") from error
        for step in root.iter("X-PRE-PROCESS"):
            name, _, value = step.get("data", "").partition("=")
            if step.get("cmd") == "set":
                known.setdefault(name, value)
        for context in [root] if root.tag == "context" else root.iter("context"):
            extensions = self.contexts.setdefault(context.get("name", "default"), [])
            extensions += [_extension(item, known) for item in context.iter("extension")]

    def hunt(self, switch: Switch, session: Session) -> list[App] | None:
        """The apps for the leg's destination, or None when no extension takes it."""
        apps: list[App] = []
        for extension in self.contexts.get(session.channel.profile.context, ()):
            matched = _try(extension, switch, session, apps)
            if matched and not extension.goes_on:
                break
        return apps or None


class Inline:
    """The dialplan "inline": the destination itself lists the apps."""

    def hunt(self, _switch: Switch, session: Session) -> list[App] | None:
        """`app:data,app:data`, or with `m:X:` another separator than the comma."""
        text, separator = session.channel.profile.destination, ","
        if text.startswith("m:") and text[3:4] == ":":
            separator, text = text[2], text[4:]
        apps = [App(*item.split(":", 1)) for item in text.split(separator) if item]
        return apps or None


def _extension(item: ElementTree.Element, settings: Mapping[str, str]) -> Extension:
    return Extension(
        name=item.get("name", ""),
        goes_on=item.get("continue") == "true",
        conditions=tuple(_condition(each, settings) for each in item.findall("condition")),
    )


def _condition(item: ElementTree.Element, settings: Mapping[str, str]) -> Condition:
    def text(value: str) -> str:
        return _PREPROCESS.sub(lambda hit: settings.get(hit[1], ""), value)

    def apps(tag: str) -> tuple[tuple[App, bool], ...]:
        return tuple(
            (App(each.get("application", ""), text(each.get("data", "") or (each.text or ""))), each.get("inline") == "true")
            for each in item.findall(tag)
        )

    return Condition(
        field=text(item.get("field", "")),
        expression=text(item.get("expression", "")),
        on_break=item.get("break", "on-false"),
        actions=apps("action"),
        anti_actions=apps("anti-action"),
    )


def _try(extension: Extension, switch: Switch, session: Session, apps: list[App]) -> bool:
    """Test an extension's conditions one by one; true if its actions were taken."""
    matched = not extension.conditions
    for condition in extension.conditions:
        # A condition without a field always holds.
        value = _field(condition.field, switch, session) if condition.field else ""
        match = re.search(condition.expression if condition.field else "", value)
        chosen = condition.actions if match else condition.anti_actions
        groups = (match.group(), *match.groups("")) if match else ("",)
        for app, inline in chosen:
            filled = App(app.name, _GROUP.sub(lambda hit: _group(groups, int(hit[1])), app.data))
            if inline:
                _run_inline(filled, switch, session)
            else:
                apps.append(filled)
        matched = matched or bool(match) or bool(chosen)
        stop = {"on-false": not match, "on-true": bool(match), "always": True}.get(condition.on_break, False)
        if stop:
            return bool(match) or bool(chosen)
    return matched


def _group(groups: tuple[str, ...], number: int) -> str:
    return groups[number] if number < len(groups) else ""


def _run_inline(app: App, switch: Switch, session: Session) -> None:
    if app.name in {"set", "export"}:
        name, _, value = switch.expand(app.data, session).partition("=")
        session.channel.set(name, value)
    elif app.name == "unset":
        session.channel.set(app.data, None)


def _field(field: str, switch: Switch, session: Session) -> str:
    if "${" in field:
        return switch.expand(field, session)
    profile = session.channel.profile
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
