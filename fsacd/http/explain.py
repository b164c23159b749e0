"""The explanations of a call's decisions: from the engine, and from history for those that it has forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import cast

import gevent

from fsacd.core.views import CallView, Explanation, RankedAgent, WhyNot
from fsacd.desk.rights import Verb
from fsacd.errors import Unavailable
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.present import seconds, timestamp, well_formed
from fsacd.http.problem import ProblemError, sentence, unknown
from fsacd.http.queries import find_call
from fsacd.http.routes import V1, Asked, Route

# Decisions' numbers can repeat after a restart; the same number within this time is the same decision.
_SAME_S = 1.0


def explain(asked: Asked) -> m.Explanations:
    """The known decisions about a call, and why it still waits if it does."""
    query = cast("b.ExplainQuery", asked.query)  # the route below says so
    live = _live_call(asked)
    call_id = live.call_id if live else asked.params["call_id"]
    told = asked.context.daemon.explain(call_id)
    made = [each for each in told if each.decision is not None][-query.limit :]
    decisions = [_shown(asked, each, query.agents) for each in made]
    waiting = [_shown(asked, each, query.agents) for each in told[-1:] if each.decision is None]
    why = ""
    # The engine remembers a limited number of decisions; of an ended call nobody knows how many there were.
    if len(decisions) < (query.limit if live is None else min(query.limit, live.offers)):
        stored, why = _stored(asked, call_id, query)
        decisions = _merged(stored, decisions)[-query.limit :]
    if live is None and not decisions and not waiting:
        if why and asked.context.explanations is not None:
            raise Unavailable(f"there is no live call {call_id!r}; {why}")
        raise unknown("call", call_id, ())
    return m.Explanations(
        call_id=call_id,
        decisions=decisions,
        waiting=waiting[0] if waiting else None,
        note=sentence(f"older decisions may be missing, because {why}") if why else "",
    )


def _live_call(asked: Asked) -> CallView | None:
    try:
        return find_call(asked.context.daemon.look(), asked.params["call_id"])
    except ProblemError as problem:
        if problem.status is not HTTPStatus.NOT_FOUND:
            raise
        return None


def _stored(asked: Asked, call_id: str, query: b.ExplainQuery) -> tuple[list[m.Explanation], str]:
    """The decisions in history, and why there may be more."""
    read = asked.context.explanations
    if read is None:
        return [], "there is no database"
    try:
        rows = read(call_id, query.limit)
    except Unavailable as error:
        return [], str(error)
    stored: list[m.Explanation] = []
    for row in rows:
        gevent.sleep(0)
        try:
            whole = m.Explanation.model_validate(row)
            _moment(whole)
        except ValueError:  # pydantic's ValidationError is a ValueError, too
            # Only another version of fsacd, or a person, can have written it.
            return stored, "history holds some of them in a form unknown here"
        stored.append(
            whole.model_copy(
                update={
                    "sentence": sentence(whole.sentence),
                    "eligible": whole.eligible[: query.agents],
                    "not_rung": whole.not_rung[: query.agents],
                }
            )
        )
    return stored, ""


def _merged(stored: Sequence[m.Explanation], remembered: Sequence[m.Explanation]) -> list[m.Explanation]:
    """All decisions, each once, by time."""
    known = {each.decision: _moment(each) for each in remembered}
    older = [each for each in stored if abs(known.get(each.decision, 0.0) - _moment(each)) > _SAME_S]
    return sorted([*older, *remembered], key=lambda each: (each.at, each.decision or 0))


def _moment(told: m.Explanation) -> float:
    return datetime.fromisoformat(told.at).timestamp()


def _shown(asked: Asked, told: Explanation, agents: int) -> m.Explanation:
    """One explanation with at most so many agents of either kind."""
    # A large explanation takes some milliseconds; calls get their turn before the next one.
    gevent.sleep(0)
    reasons = Counter(rejected.why for rejected in told.rejected)
    return m.Explanation(
        decision=told.decision,
        at=timestamp(asked.context.daemon.wall_ms(told.at_ms)),
        queue=told.queue,
        chosen=told.chosen,
        strategy=told.strategy,
        sentence=sentence(well_formed(told.sentence)),
        priority=told.priority,
        required_skills=dict(told.required),
        waited_seconds=seconds(told.waited_ms),
        eligible=[_eligible(each) for each in told.eligible[:agents]],
        eligible_total=len(told.eligible),
        not_rung=[
            m.NotRung(agent=each.agent_id, why=_name(each.why), detail=well_formed(each.detail))
            for each in told.rejected[:agents]
        ],
        not_rung_total=len(told.rejected),
        reasons={_name(why): reasons[why] for why in WhyNot if why in reasons},
        candidates=told.candidates,
        shown=told.shown,
        contact_id=told.contact_id,
    )


def _name(why: WhyNot) -> m.WhyNotName:
    return why.value


def _eligible(agent: RankedAgent) -> m.Eligible:
    return m.Eligible(
        agent=agent.agent_id,
        missed=agent.missed,
        rank=agent.rank,
        level=agent.level,
        key=[_key_part(part) for part in agent.key],
    )


def _key_part(part: float) -> m.KeyPart:
    if part in (float("inf"), float("-inf")):
        return "infinity" if part > 0 else "-infinity"
    return part


ROUTES = (
    Route(
        "GET", f"{V1}/calls/{{call_id}}/explain", explain, Verb.EXPLAIN,
        "Why agents were chosen for a call, why others were not, and why it still waits", m.Explanations, "calls",
        query=b.ExplainQuery, refusals=(400, 404, 409, 422, 503),
    ),
)  # fmt: skip
