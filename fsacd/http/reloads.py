"""The routes of reloads: one that answers at its end, and one that answers early and can be followed by its number."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from fsacd.desk.rights import Verb
from fsacd.http import bodies as b
from fsacd.http import models as m
from fsacd.http.api import ReloadStatus
from fsacd.http.present import timestamp, well_formed
from fsacd.http.problem import ProblemError, sentence
from fsacd.http.routes import V1, Asked, Route


def shown(reload: ReloadStatus) -> m.ReloadState:
    """A reload without the problems of its file, for all who may look."""
    return m.ReloadState(
        number=reload.number,
        by=reload.by,
        dry_run=reload.dry_run,
        result=reload.result,
        message=well_formed(sentence(reload.message)) if reload.message else "",
        asked_at=timestamp(reload.asked_ms),
        began_at=None if reload.began_ms is None else timestamp(reload.began_ms),
        ended_at=None if reload.ended_ms is None else timestamp(reload.ended_ms),
    )


def _shown_whole(reload: ReloadStatus) -> m.ReloadDetail:
    return m.ReloadDetail(**shown(reload).model_dump(), problems=[well_formed(problem) for problem in reload.problems])


def reload(asked: Asked) -> m.Done:
    """The configuration is read again; a bad one is refused whole and the old one stays."""
    body = cast("b.Reload", asked.body)  # the route below says so
    said = asked.context.daemon.reload(asked.who, dry_run=body.dry_run, even_so=body.even_so)
    return m.Done(message=sentence(said))


def begin(asked: Asked) -> m.ReloadDetail:
    """A reload begins, or waits for its turn; the answer comes at its end, or after `wait_seconds`."""
    body = cast("b.BeginReload", asked.body)  # the route below says so
    # The request's own deadline would come before the answer.
    within_s = min(body.wait_seconds, asked.context.settings.answer_deadline_s / 2)
    begun = asked.context.daemon.begin_reload(asked.who, dry_run=body.dry_run, even_so=body.even_so, within_s=within_s)
    return _shown_whole(begun)


def follow(asked: Asked) -> m.ReloadDetail:
    """How far a reload is, or what came of it."""
    text = asked.params["reload_number"]
    found = None
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        found = asked.context.daemon.reload_of(int(text))
    if found is None:
        detail = "There is no reload of this number; the last fifty since the daemon's start are remembered."
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-reload", detail)
    return _shown_whole(found)


_DIGITS = 12

ROUTES = (
    Route(
        "POST", f"{V1}/reload", reload, Verb.RELOAD,
        "Read the configuration again, and answer at the end; a bad one changes nothing",
        m.Done, "status", body=b.Reload, refusals=(400, 409, 411, 413, 415, 422, 503),
    ),
    Route(
        "POST", f"{V1}/reloads", begin, Verb.RELOAD,
        "Read the configuration again, and answer with the number by which that can be followed",
        m.ReloadDetail, "status", body=b.BeginReload, refusals=(400, 411, 413, 415, 422, 503),
    ),
    Route(
        "GET", f"{V1}/reloads/{{reload_number}}", follow, Verb.RELOAD, "How far a reload is, or what came of it",
        m.ReloadDetail, "status", refusals=(404,),
    ),
)  # fmt: skip
