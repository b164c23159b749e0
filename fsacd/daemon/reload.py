"""The parts of a reload: reading the file beside the calls, its effects on them, and what needs a restart."""

from __future__ import annotations

from collections.abc import Sequence
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


def would_do(told: Effects) -> str:
    """The answer to a dry run: a sentence on each thing that a reload would do."""
    said = [*told.told, *told.throws_out]
    return "; ".join(["nothing was changed; a reload would do this", *(said or ["nothing to anybody here"])])


def has_done(told: Effects, at_next_start: Sequence[str]) -> str:
    """The answer to a reload: what is in force, what needs a restart, and what became of callers and agents."""
    result = "the new configuration is in force"
    if at_next_start:
        result = f"queues, agents and tokens are in force; changes in {', '.join(at_next_start)} need a restart"
    return "; ".join([result, *told.told, *told.thrown_out])
