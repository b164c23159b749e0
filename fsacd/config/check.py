"""`fsacd check FILE`: everything that is wrong with a configuration, or a few lines about what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fsacd.config.model import Config
from fsacd.config.plugins import Loader, no_plugins
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import load

GOOD: Final = 0
WRONG: Final = 2
_NAMED: Final = 8


def check(
    path: Path | str, *, plugins: Loader = no_plugins, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Check a file for the command line.

    Returns:
        The exit code (0 good, 2 wrong) and what to print: one line for each problem, or a summary.
    """
    try:
        config = load(Path(path), plugins=plugins, environ=environ)
    except ConfigErrors as errors:
        count = len(errors.problems)
        return WRONG, f"{errors}\n{path}: {count} problem{'s' if count > 1 else ''}"
    return GOOD, "\n".join([f"{path}: good. {summary(config)}", *(f"{path}: note: {note}" for note in notes(config))])


def summary(config: Config) -> str:
    """Say in a few sentences what a configuration describes; no secret is in it."""
    switches = ", ".join(f"{name} at {switch.host}:{switch.port}" for name, switch in config.switches.items())
    return (
        f"{_count(len(config.switches), 'switch', 'switches')} ({switches}), "
        f"{_count(len(config.queues), 'queue')}, {_count(len(config.agents), 'agent')}. "
        f"The API listens on {config.api.listen} with {_count(len(config.api.tokens), 'token')}; "
        f"{'history goes to PostgreSQL' if config.store is not None else 'no history is kept'}."
    )


def notes(config: Config) -> Iterator[str]:
    """Say what is allowed but seldom meant."""
    served = {queue for agent in config.agents.values() for queue in agent.queues}
    unserved = [name for name in config.queues if name not in served]
    if unserved:
        yield f"no agent serves {_some(unserved)}"
    idle = [agent_id for agent_id, agent in config.agents.items() if not agent.queues]
    if idle:
        yield f"no queue is served by {_some(idle, 'agent')}"
    required = {name: config.queue(name).required_skills for name in config.queues}
    able = {
        name
        for agent in config.agents.values()
        for name in agent.queues
        if all(agent.skills.get(skill, 0) >= level for skill, level in required[name].items())
    }
    unable = [name for name in config.queues if name in served and name not in able]
    if unable:
        yield f"no agent has the skills that are required by {_some(unable)}"
    if not config.api.tokens:
        yield "without a token in api.tokens nobody can use the API or the fsacd commands that need it"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _some(names: list[str], kind: str = "queue") -> str:
    text = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{kind}{'s' if len(names) > 1 else ''} {text}"
