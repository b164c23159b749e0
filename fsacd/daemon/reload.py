"""The parts of a reload: reading the file beside the calls, its effects on them, and what needs a restart."""

from __future__ import annotations

from pathlib import Path

from fsacd.config.effects import Effects, effects
from fsacd.config.model import Config
from fsacd.config.problems import ConfigErrors
from fsacd.core.rules import Rules
from fsacd.core.views import Snapshot
from fsacd.daemon.plugging import Reading, read

_AT_START = ("switches", "api", "store", "journal", "log", "lease_ms", "instance", "number_plan")


def read_beside(path: Path) -> Reading | ConfigErrors:
    """The errors as a value: gevent prints a traceback of whatever is raised in a thread of its pool."""
    try:
        return read(path)
    except ConfigErrors as errors:
        return errors


def effects_on(view: Snapshot, rules: Rules) -> Effects:
    """What these rules would do to the callers and agents of the moment."""
    calls = [(call.queue, call.state) for call in view.calls]
    return effects(rules, calls, {agent.agent_id: agent.state for agent in view.agents})


def needs_restart(old: Config, new: Config) -> list[str]:
    """The parts of the configuration that have changed and take effect at the next start only."""
    return [part for part in _AT_START if _at_start(old, part) != _at_start(new, part)]


def _at_start(config: Config, part: str) -> object:
    """The settings of this part of the configuration that take effect at the next start only, without the tokens."""
    return config.api.model_copy(update={"tokens": ()}) if part == "api" else getattr(config, part)
