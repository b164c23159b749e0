"""The routes by which a talk is held, muted or ended, a colleague is consulted, and the caller is handed over.

Each answers when the engine has taken the wish: the talk then says what it is becoming, and what it is when the switch
has done it.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from fsacd.core import events as e
from fsacd.core.show.look import Look
from fsacd.core.views import CallView
from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.problem import unknown
from fsacd.http.queries import PREFIX_MIN, check_queue, find_agent, find_call
from fsacd.http.routes import V1, Asked, Route


def agent_of(look: Look, talk_id: str) -> str:
    """The agent of a talk, named as `_find` takes it; empty if there is none."""
    call = look.talk(talk_id) or look.call(talk_id)
    if call is None and len(talk_id) >= PREFIX_MIN:
        ids = look.calls_beginning(talk_id)
        call = look.call(ids[0]) if len(ids) == 1 else None
    return call.talk.agent_id if call is not None and call.talk is not None else ""


def _find(asked: Asked) -> CallView:
    """The call in the talk of this id; the id of the call does, too. Raises the problems 404, 400 and 409."""
    look, talk_id = asked.context.daemon.look(), asked.params["talk_id"]
    found = look.talk(talk_id) or find_call(look, talk_id)
    if found.talk is None:
        raise unknown("talk", talk_id, ())
    return found


def _after(asked: Asked, wish: e.TalkWish, call_id: str) -> m.Call:
    asked.ask(wish)
    now = asked.presenter()
    return now.call(find_call(now.look, call_id))


def _changes(verb: e.TalkVerb) -> Callable[[Asked], m.Call]:
    def change(asked: Asked) -> m.Call:
        call = _find(asked)
        assert call.talk is not None
        wish = e.TalkChangeAsked(call.talk.agent_id, call.talk.talk_id, verb, asked.by)
        return _after(asked, wish, call.call_id)

    change.__name__ = f"talk_{verb}".replace("-", "_")
    return change


def talk_consult(asked: Asked) -> m.Call:
    """A third party is rung, and the caller hears music."""
    body = cast("b.Consult", asked.body)  # the route below says so
    call = _find(asked)
    assert call.talk is not None
    kind, target = _whom(asked.context.daemon.look(), body.agent, body.queue, body.number)
    wish = e.TalkConsultAsked(call.talk.agent_id, call.talk.talk_id, target, asked.by, kind)
    return _after(asked, wish, call.call_id)


def _whom(look: Look, agent: str | None, queue: str | None, number: str | None) -> tuple[e.TransferTo, str]:
    """To whom a wish leads, of which one is named. Raises the problem 422."""
    if agent is not None:
        return e.TransferTo.AGENT, find_agent(look, agent, HTTPStatus.UNPROCESSABLE_ENTITY).agent_id
    if queue is not None:
        return e.TransferTo.QUEUE, check_queue(look, queue, HTTPStatus.UNPROCESSABLE_ENTITY)
    assert number is not None
    return e.TransferTo.NUMBER, number


def talk_dtmf(asked: Asked) -> m.Call:
    """Digits go to whoever hears the agent."""
    digits = cast("b.Digits", asked.body).digits  # the route below says so
    call = _find(asked)
    assert call.talk is not None
    count = sum(one not in "wW" for one in digits)
    return _after(
        asked, e.TalkDigitsAsked(call.talk.agent_id, call.talk.talk_id, count, asked.by, digits), call.call_id
    )


def talk_transfer(asked: Asked) -> m.Call:
    """The caller is given away without a word to whoever is next."""
    body = cast("b.Transfer", asked.body)  # the route below says so
    call = _find(asked)
    assert call.talk is not None
    kind, target = _whom(asked.context.daemon.look(), body.agent, body.queue, body.number)
    asked.ask(e.TalkTransferAsked(call.talk.agent_id, call.talk.talk_id, kind, target, asked.by))
    # As it is now; a call that went to a number is none of ours any more.
    now = asked.presenter()
    return now.call(now.look.call(call.call_id) or call)


_TALK = f"{V1}/talks/{{talk_id}}"
_REFUSALS = (400, 404, 409, 411, 413, 415, 422, 503)
_SAYS = {
    e.TalkVerb.HOLD: "Let the caller hear music while the agent does something else",
    e.TalkVerb.RESUME: "Let caller and agent talk again",
    e.TalkVerb.SWAP: "Let the agent talk with the other of caller and third party",
    e.TalkVerb.COMPLETE: "Let caller and third party talk, and the agent leave",
    e.TalkVerb.CANCEL: "Let the third party go, and caller and agent talk again",
    e.TalkVerb.THREE_WAY: "Let caller, agent and third party talk with each other",
    e.TalkVerb.LEAVE: "Leave a talk of three; caller and third party talk on",
    e.TalkVerb.DROP: "Let the third party go from a talk of three",
    e.TalkVerb.MUTE: "Let nobody hear the agent, who hears everybody, until unmuted or the end of the talk",
    e.TalkVerb.UNMUTE: "Let the agent be heard again",
    e.TalkVerb.HANG_UP: "End the agent's part in the talk, as if their phone had hung up",
}

ROUTES = (
    *(
        Route("POST", f"{_TALK}/{verb}", _changes(verb), Verb.HANDLE_TALKS, says, m.Call, "talks", refusals=_REFUSALS)
        for verb, says in _SAYS.items()
    ),
    Route(
        "POST", f"{_TALK}/consult", talk_consult, Verb.HANDLE_TALKS,
        "Ring a colleague, whoever is next in a queue, or a number, to ask them; the caller hears music meanwhile",
        m.Call, "talks", body=b.Consult, refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_TALK}/dtmf", talk_dtmf, Verb.HANDLE_TALKS,
        "Send digits to whoever hears the agent: caller, third party, or both; what they are is written down nowhere",
        m.Call, "talks", body=b.Digits, refusals=_REFUSALS,
    ),
    Route(
        "POST", f"{_TALK}/transfer", talk_transfer, Verb.HANDLE_TALKS,
        "Give the caller away to an agent, a queue or a number, without asking there",
        m.Call, "talks", body=b.Transfer, refusals=_REFUSALS,
    ),
)  # fmt: skip
