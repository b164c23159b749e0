"""`fsacd check FILE`: everything that is wrong with a configuration, or a summary of it in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from fsacd.config.centre import QueueSettings
from fsacd.config.installed import notes_on_installed
from fsacd.config.model import Config
from fsacd.config.plugins import Loader
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import load
from fsacd.core.reach import within
from fsacd.process.quoting import shown

GOOD: Final = 0
WRONG: Final = 2
_NAMED: Final = 8


def check(
    path: Path | str,
    *,
    plugins: Loader,
    environ: Mapping[str, str] | None = None,
    installed: Iterable[Path] = (),
    beforehand: Callable[[Config], Iterable[str]] = lambda _config: (),
) -> tuple[int, str]:
    """Check a file for the command line, and what is `installed` for a switch on this machine, in these directories.

    `beforehand` says what a reload of the file would do to calls and agents.

    Returns:
        The exit code (0 good, 2 wrong) and what to print: one line for each problem, or a summary.
    """
    try:
        config = load(Path(path), plugins=plugins, environ=environ)
    except ConfigErrors as errors:
        count = len(errors.problems)
        return WRONG, f"{errors}\n{path}: {count} problem{'s' if count > 1 else ''}"
    told = [*notes(config), *notes_on_installed(installed)]
    return GOOD, "\n".join(
        [
            f"{path}: good. {summary(config)}",
            *(f"{path}: note: {note}" for note in told),
            *(f"{path}: {line}" for line in beforehand(config)),
        ]
    )


def summary(config: Config) -> str:
    """Say in a few sentences what a configuration describes, without secrets."""
    switches = ", ".join(f"{name} at {switch.host}:{switch.port}" for name, switch in config.switches.items())
    customers = f", {_count(len(config.customers), 'customer')}" if config.customers else ""
    return (
        f"{_count(len(config.switches), 'switch', 'switches')} ({switches}), "
        f"{_count(len(config.queues), 'queue')}, {_count(len(config.agents), 'agent')}{customers}. "
        f"The API listens on {config.api.listen} with {_count(len(config.api.tokens), 'token')}; "
        f"{'history goes to PostgreSQL' if config.store is not None else 'no history is kept'}."
    )


def notes(config: Config) -> Iterator[str]:
    """Say which settings are allowed but are probably mistakes."""
    served = {queue for agent in config.agents.values() for queue in agent.queues}
    unserved = [name for name in config.queues if name not in served]
    if unserved:
        yield f"no agent serves {_some(unserved)}"
    idle = [agent_id for agent_id, agent in config.agents.items() if not agent.queues]
    if idle:
        yield f"no queue is served by {_some(idle, 'agent')}"
    queues = {name: config.queue(name) for name in config.queues}
    required = {name: _required_at_last(queue) for name, queue in queues.items()}
    able = {
        name
        for agent in config.agents.values()
        for name in agent.queues
        if all(agent.skills.get(skill, 0) >= level for skill, level in required[name].items())
    }
    unable = [name for name in config.queues if name in served and name not in able]
    if unable:
        yield f"no agent has the skills that are required by {_some(unable)}"
    yield from _notes_of_routing(config, queues)
    yield from _notes_of_reach(config)
    if not config.api.tokens:
        yield "without a token in api.tokens nobody can use the API or the fsacd commands that need it"


def _required_at_last(queue: QueueSettings) -> dict[str, int]:
    """Give the skills that a call requires when every step has been taken."""
    required = dict(queue.required_skills)
    for step in queue.steps:
        required = {
            skill: min(level, step.lower.get(skill, level))
            for skill, level in required.items()
            if skill not in step.drop
        }
    return required


def _notes_of_routing(config: Config, queues: Mapping[str, QueueSettings]) -> Iterator[str]:
    backed = {name for agent in config.agents.values() for name, service in agent.queues.items() if service.backup}
    opened = {name for name, queue in queues.items() if any(step.backup for step in queue.steps)}
    if backed - opened:
        yield f"backup agents never help: no step opens {_some(sorted(backed - opened))} to them"
    if opened - backed:
        yield f"a step opens {_some(sorted(opened - backed))} to backup agents, and there are none"
    used = {queue.hours for queue in queues.values()}
    unused = [name for name in config.hours if name not in used]
    if unused:
        yield f"no queue has the hours {', '.join(unused[:_NAMED])}"
    never = [name for name, hours in config.hours.items() if name in used and not hours.ever_open()]
    if never:
        yield f"never open: the hours {', '.join(never[:_NAMED])}"
    sticky = {queue.sticky.agent for queue in queues.values() if queue.sticky is not None}
    if sticky <= {"last"} and any(customer.agent for customer in config.customers.values()):
        yield "no queue has sticky: named or named_or_last, so a customer's own agent does not come first"


def _notes_of_reach(config: Config) -> Iterator[str]:
    """Agents whose phones register at one of several switches: whether these share registrations, no file says."""
    if len(config.switches) == 1:
        return
    agents = map(config.agent_rules, config.agents)
    bound = [agent.agent_id for agent in agents if within(agent.contact, agent.switches, stands=agent.standing_leg)]
    if bound:
        contact = config.agent_rules(bound[0]).contact
        yield (
            f"calls on other switches than their own do not ring {_some(bound, 'agent')}: a switch looks up a contact "
            f"like {shown(contact)} among the phones that have registered there. If the switches share their "
            f"registrations, write switch: [{', '.join(config.switches)}]; else a contact that each of them can dial, "
            "like sofia/internal/1001@192.0.2.10 or sofia/gateway/NAME/NUMBER"
        )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _some(names: list[str], kind: str = "queue") -> str:
    text = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{kind}{'s' if len(names) > 1 else ''} {text}"
