"""What agents say of their talks: wrap-up codes and a note, while they talk, while they wrap up, and for a while after.

A talk whose queue requires a code keeps its agent from the next one until it has one: the agent cannot end the wrap-up
before, and when its time runs out they are not ready (`CODE_MISSING`) until the code is there. Nobody is kept longer
than `Limits.late_codes_ms` after the wrap-up.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from fsacd.core import agent as a
from fsacd.core import choices
from fsacd.core.choices import LONGEST_NOTE, MOST_CODES, Choices
from fsacd.core.events import AgentCodedWrapUp
from fsacd.core.life.told import told_ms
from fsacd.core.life.world import World
from fsacd.core.numbers import identity
from fsacd.core.offer import Offer
from fsacd.core.records import WrapUpEnded

CODE_MISSING: Final = "wrap_up_code_missing"
_KIND: Final = "wrap-up code"


def talk_over(world: World, agent: a.Agent, offer: Offer) -> None:
    """The talk is over: keep of its call what its wrap-up needs, as the call may be forgotten before that ends."""
    work = agent.work.get(offer.offer_id)
    if work is None or (work.said is None and not world.rules.wrap_up_codes):
        return
    call = world.calls.get(offer.call_id)
    said = work.said = work.said or a.Said()
    said.over_ms = told_ms(world, offer.connected_ms)
    said.contact_id = call.contact_id if call is not None else offer.contact_id
    said.number = call.number if call is not None and world.shows(call) else ""


def over(world: World, agent: a.Agent, work: a.Work) -> bool:
    """The agent holds this piece of work no more. Tells of its wrap-up, if it was a talk.

    Returns whether a code that is required is missing.
    """
    said = work.said
    if said is None or said.over_ms is None:
        return False  # no talk came of it, or nobody wants to know
    said.ended_ms = world.now_ms
    agent.wrapped = a.Wrapped(work.offer_id, work.call_id, work.queue, said)
    _tell(world, agent, agent.wrapped)
    return _is_missing(world, work.queue, said)


def refusal(world: World, queue: str, said: a.Said | None) -> str | None:
    """Why a talk's wrap-up cannot end now, or its agent be ready: a code is missing. None: they may."""
    if not _is_missing(world, queue, said):
        return None
    return f"the talk of queue {queue} needs a wrap-up code first: {choices.told(_allowed(world, queue))}"


def refusal_of_last(world: World, agent: a.Agent) -> str | None:
    """The same for the agent's last talk, whose wrap-up is over."""
    last = _last(world, agent)
    return refusal(world, last.queue, last.said) if last is not None else None


def code(world: World, agent: a.Agent, event: AgentCodedWrapUp) -> str | None:
    """Take what the agent says of a talk. Returns why it is refused, or None."""
    if event.codes is None and event.note is None:
        return "nothing was said of the talk: neither a code nor a note"
    meant = _meant(world, agent, event.offer_id)
    if meant is None:
        what = f"no talk {event.offer_id!r}" if event.offer_id else "no talk"
        return f"agent {agent.agent_id} has {what} that a wrap-up code or a note could be set for"
    codes: tuple[str, ...] | None = None
    if event.codes is not None:
        found = _chosen(world, meant.queue, event.codes)
        if isinstance(found, str):
            return found
        codes = found
    if event.note is not None and len(event.note) > LONGEST_NOTE:
        return f"a note has at most {LONGEST_NOTE} characters"
    said = meant.said = meant.said or a.Said()
    now = (said.codes if codes is None else codes, said.note if event.note is None else event.note)
    if now == (said.codes, said.note):
        return None  # said twice
    (said.codes, said.note), said.by = now, event.by
    if isinstance(meant, a.Wrapped):
        said.changes += 1
        _tell(world, agent, meant)
    return None


def forget(world: World, callers: AbstractSet[str]) -> None:
    """Nothing is to be remembered of what was said of talks with these callers."""
    for agent in world.agents.values():
        last = agent.wrapped
        if last is not None and identity(last.said.number) in callers:
            agent.wrapped = None
            world.changed_agents[agent.agent_id] = None


def remembered(world: World) -> list[str]:
    """The numbers of callers of talks of which something may be said still, though their wrap-up is over."""
    return [agent.wrapped.said.number for agent in world.agents.values() if agent.wrapped and agent.wrapped.said.number]


def in_wrap_up(world: World) -> set[str]:
    """The numbers of callers whose talk is being wrapped up."""
    works = (work for agent in world.agents.values() for work in agent.work.values())
    return {work.said.number for work in works if work.said is not None and work.said.number}


def kept(world: World, agent: a.Agent) -> a.Wrapped | None:
    """What a memory has to hold of the agent's last talk: nothing of one of which nothing can be said any more."""
    return _last(world, agent)


def _last(world: World, agent: a.Agent) -> a.Wrapped | None:
    last = agent.wrapped
    if last is None or last.said.ended_ms is None:
        return None
    return last if world.now_ms - last.said.ended_ms < world.rules.limits.late_codes_ms else None


def _meant(world: World, agent: a.Agent, offer_id: str) -> a.Work | a.Wrapped | None:
    for kind in (a.Talking, a.WrappingUp):
        for work in agent.work.values():
            if isinstance(work.state, kind) and offer_id in ("", work.offer_id) and work.call_id:
                return work
    last = _last(world, agent)
    return last if last is not None and offer_id in ("", last.offer_id) else None


def _chosen(world: World, queue: str, given: tuple[str, ...]) -> tuple[str, ...] | str:
    """The ids of these codes, each once; or why one of them cannot be given."""
    allowed = _allowed(world, queue)
    if not allowed:
        return f"there are no wrap-up codes for queue {queue}"
    if not given and _requires(world, queue):
        return choices.refusal(allowed, "", _KIND)
    if len(given) > MOST_CODES:
        return f"a talk has at most {MOST_CODES} wrap-up codes"
    found: dict[str, None] = {}
    for one in given:
        known = choices.find(allowed, one)
        if known is None:
            return choices.refusal(allowed, one, _KIND)
        found[known] = None
    return tuple(found)


def _allowed(world: World, queue: str) -> Choices:
    rules = world.rules.queues.get(queue)
    return choices.among(world.rules.wrap_up_codes, rules.wrap_up_codes if rules is not None else ())


def _requires(world: World, queue: str) -> bool:
    rules = world.rules.queues.get(queue)
    return rules is not None and rules.wrap_up_code_required


def _is_missing(world: World, queue: str, said: a.Said | None) -> bool:
    if not _requires(world, queue) or (said is not None and said.codes):
        return False
    return bool(_allowed(world, queue))


def _tell(world: World, agent: a.Agent, talk: a.Wrapped) -> None:
    said = talk.said
    assert said.over_ms is not None
    assert said.ended_ms is not None
    world.record(
        WrapUpEnded(
            talk.offer_id,
            agent.agent_id,
            talk.call_id,
            talk.queue,
            said.contact_id,
            said.over_ms,
            said.ended_ms,
            said.codes,
            said.note,
            said.by,
            said.number,
            said.changes,
        )
    )
