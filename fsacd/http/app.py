"""The WSGI application: every request passes the same checks in the same order, then one handler of the table.

Order: host, route, token, rate, right, query, body, handler. Cheap checks and the token's check come first, so that a
stranger learns nothing and costs little.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar

import falcon
import orjson
import structlog
from gevent import Timeout
from pydantic import BaseModel, ValidationError

from fsacd.desk.rights import Principal, Verb, may, roles_with, stranger
from fsacd.errors import Forbidden, Refused, Unavailable
from fsacd.http import actions, changes, explain, health, queries, reloads, tags, talks
from fsacd.http import customers as customers_routes
from fsacd.http.access import Access, Token
from fsacd.http.api import ApiSettings, Context, CustomerDesk, Daemon, Metrics, StoredExplanations
from fsacd.http.bodies import Body, Query
from fsacd.http.buckets import Crowd
from fsacd.http.hosts import Hosts
from fsacd.http.openapi import document
from fsacd.http.problem import CONTENT_TYPE, ProblemError, near, sentence, too_many, unknown_host
from fsacd.http.routes import Asked, Raw, Route, Unready, target_of

_log = structlog.get_logger("fsacd.http")

_CLI_AGENT = "fsacd-cli/"
# A request costs the hub about a millisecond, and so do this many items of a list.
_ITEMS_OF_A_REQUEST = 50


def _openapi(_: Asked) -> Raw:
    return Raw("application/json", document(ROUTES))


ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    Route("GET", "/openapi.json", _openapi, Verb.SEE_HEALTH, "This document", None, "health"),
    *queries.ROUTES,
    *explain.ROUTES,
    *actions.ROUTES,
    *talks.ROUTES,
    *reloads.ROUTES,
    *changes.ROUTES,
    *customers_routes.ROUTES,
)


def make_app(
    daemon: Daemon,
    settings: ApiSettings,
    metrics: Metrics,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    explanations: StoredExplanations | None = None,
    access: Access | None = None,
    customers: CustomerDesk | None = None,
) -> falcon.App[falcon.Request, falcon.Response]:
    """The application, ready for a server. `clock` is monotonic, `wall` Unix time.

    Without a database there are no `explanations` and no `customers`. `access` knows the tokens; the server uses the
    same object to decide whom to let in. Without it, the tokens of the settings hold for ever.
    """
    context = Context(daemon, settings, metrics, clock, wall, explanations, customers)
    if access is None:
        access = Access(settings.tokens, rate=settings.rate, burst=settings.burst, clock=clock)
    app = falcon.App(middleware=[_Hosts(settings)])
    # A truncated or malformed query string is refused: its meaning is not guessed.
    app.req_options.keep_blank_qs_values = True
    app.req_options.strip_url_path_trailing_slash = False
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(ProblemError, _on_problem)
    app.add_error_handler(Forbidden, _on_forbidden)
    app.add_error_handler(Refused, _on_refused)
    app.add_error_handler(Unavailable, _on_unavailable)
    app.add_error_handler(Exception, _on_fault)
    by_path: dict[str, list[Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, []).append(route)
    for path, routes in by_path.items():
        app.add_route(path, _Resource(routes, context, access))
    return app


class _Hosts:
    """Refuses requests under a foreign name, so that a web page cannot reach us by pointing its own name here."""

    def __init__(self, settings: ApiSettings) -> None:
        self._hosts = Hosts(settings.host, settings.allowed_hosts)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Content-Type-Options", "nosniff")
        # Host is absent only in HTTP/1.0, which no browser speaks. A proxy's headers for the name (X-Forwarded-Host,
        # Forwarded) are ignored: anybody can write them.
        host = req.env.get("HTTP_HOST")
        if host is not None and not self._hosts.answers(host):
            raise unknown_host()


class _Resource:
    """All methods of one path. falcon finds the responders by their names."""

    def __init__(self, routes: Sequence[Route], context: Context, access: Access) -> None:
        self._context = context
        self._access = access
        for route in routes:
            responder = self._responder(route)
            setattr(self, f"on_{route.method.lower()}", responder)
            if route.method == "GET":
                self.on_head = responder
        methods = {route.method for route in routes}
        self._allow = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    def on_options(self, req: falcon.Request, resp: falcon.Response, **_params: str) -> None:
        """Tell which methods the path takes, the same list that the answer 405 has."""
        self._take(req)
        resp.set_header("Allow", self._allow)
        resp.status = falcon.HTTP_204

    def _responder(self, route: Route) -> Callable[..., None]:
        def respond(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
            who = self._admit(route, req, params)
            query = _query(route.query, req)
            body = _body(route.body, req, self._context.settings.body_limit) if route.method == "POST" else Body()
            asked = Asked(self._context, who, params, body, query)
            limit_s = self._context.settings.answer_deadline_s
            with Timeout(limit_s, Unavailable(f"The daemon did not answer within {limit_s:g} s; try again.")):
                tag = tags.tag_of(asked, route.shows)
                if tag is not None and tags.is_known(req, tag):
                    resp.status = falcon.HTTP_304
                    resp.set_header("ETag", f'W/"{tag}"')
                    return
                answer = route.handler(asked)
            self._charge(req, answer)
            _write(resp, answer)
            if tag is not None:
                resp.set_header("ETag", f'W/"{tag}"')
            if route.method == "POST":
                _log.info("api action", by=asked.by, path=req.path)

        return respond

    def _admit(self, route: Route, req: falcon.Request, params: Mapping[str, str]) -> Principal:
        # Tokens are read even where none is needed: a scraper that shows one does not share the strangers' bucket.
        token = self._take(req) if route.limited else self._access.identify(req.auth)
        now_s = self._context.wall()
        who = stranger(open_metrics=self._context.settings.open_metrics)
        expired = token is not None and token.principal.expired(now_s)
        # An expired token does not stop requests that need none: health is no secret.
        if token is not None and not expired:
            who = replace(token.principal, subject=_subject(req, token), verbs=token.principal.verbs | who.verbs)
        refusal = may(who, route.verb, target_of(params, self._agent_of), now_s)
        if refusal is None:
            return who
        if token is None or expired:
            raise _unauthorized(given=req.auth is not None, expired=expired, none_configured=self._access.empty)
        raise _forbidden(refusal, None if route.verb in who.verbs else route.verb)

    def _agent_of(self, talk_id: str) -> str:
        return talks.agent_of(self._context.daemon.look(), talk_id)

    def _charge(self, req: falcon.Request, answer: BaseModel | Raw | Unready) -> None:
        """Count the work of a long list: so many items cost the calls as much as one request does."""
        requests = answer.items / _ITEMS_OF_A_REQUEST if isinstance(answer, Raw) else 0.0
        token = self._access.identify(req.auth) if requests > 1.0 else None
        if token is not None:
            self._access.charge(token, requests - 1.0)

    def _take(self, req: falcon.Request) -> Token | None:
        """Count the request in the bucket of whoever asks; raises the problem 429 when it is empty."""
        who = self._access.identify(req.auth)
        crowd = Crowd.of(req.path, authorization=req.auth is not None)
        # Requests for health are not counted here (`Route.limited`), so a request with such a path is of another kind.
        wait_s = self._access.admit(who, Crowd.NAMELESS if crowd is Crowd.HEALTH else crowd)
        if wait_s > 0.0:
            raise too_many(wait_s)
        return who


def _subject(req: falcon.Request, token: Token) -> str:
    # The token says who asks. Of the User-Agent only the way is taken: the rest would be an unproven claim.
    way = "cli" if (req.user_agent or "").startswith(_CLI_AGENT) else "api"
    return f"{way}:{token.name}"


def _forbidden(refusal: str, verb: Verb | None = None) -> ProblemError:
    # The answer names the least role that has the missing right.
    scope = "" if verb is None else f', scope="{roles_with(verb)[0]}"'
    challenge = f'Bearer realm="fsacd", error="insufficient_scope"{scope}'
    return ProblemError(HTTPStatus.FORBIDDEN, "right", sentence(refusal), headers={"WWW-Authenticate": challenge})


def _unauthorized(*, given: bool, expired: bool, none_configured: bool) -> ProblemError:
    if none_configured:
        detail = "No token is configured, so nobody may ask; add one under api.tokens in the configuration."
    elif expired:
        detail = "This token has expired; api.tokens in the configuration says when."
    elif given:
        detail = "The Authorization header holds no token that is known here."
    else:
        detail = "This needs a token, in the header 'Authorization: Bearer TOKEN'."
    challenge = 'Bearer realm="fsacd"' + (', error="invalid_token"' if given else "")
    return ProblemError(HTTPStatus.UNAUTHORIZED, "token", detail, headers={"WWW-Authenticate": challenge})


_Model = TypeVar("_Model", bound=BaseModel)


def _query(model: type[Query], req: falcon.Request) -> Query:
    return _validated(model, dict(req.params), "query")


def _body(model: type[Body], req: falcon.Request, limit: int) -> Body:
    """Read and check the body; no body at all means all defaults."""
    # The server has limited the size already; the application does it again because another server may carry it.
    data = req.bounded_stream.read(limit + 1)
    if len(data) > limit:
        detail = f"The body is larger than the limit of {limit} bytes."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-size", detail)
    if not data:
        return _validated(model, {}, "body")
    if (req.content_type or "").partition(";")[0].strip().lower() != "application/json":
        detail = "The body must be JSON, with the header 'Content-Type: application/json'."
        headers = {"Accept": "application/json"}
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content-type", detail, headers=headers)
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        detail = f"The body is not JSON: {error}."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "json", detail) from None
    if not isinstance(content, dict):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "body", "The body must be a JSON object.")
    twice = _doubled(data)
    if twice is not None:
        detail = f"The body says {twice[:64]!r} twice; which of the two is meant?"
        raise ProblemError(HTTPStatus.BAD_REQUEST, "json", detail)
    return _validated(model, content, "body")


class _DoubledError(Exception):
    """A name stands twice in one JSON object."""


def _doubled(data: bytes) -> str | None:
    """A name that some object in this JSON holds twice; orjson would take the last, another reader the first."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        for name, value in found:
            if name in whole:
                raise _DoubledError(name)
            whole[name] = value
        return whole

    try:
        json.loads(data, object_pairs_hook=pairs)
    except _DoubledError as error:
        return str(error)
    except RecursionError:  # nested deeper than any body that we take; the model's error is the better answer
        return None
    return None


def _validated(model: type[_Model], content: dict[str, Any], where: str) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_sentence(model, dict(fault)) for fault in error.errors(include_url=False, include_input=False)]
        detail = f"The {where} was refused: {'; '.join(problems[:5])}."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, where, detail, more={"problems": problems}) from None


def _sentence(model: type[BaseModel], fault: dict[str, Any]) -> str:
    # For a mapping pydantic gives the place of the fault as "[key]"; the name itself is clearer.
    field = ".".join(str(part)[:64] for part in fault["loc"] if part != "[key]") or "it"
    if fault["type"] == "extra_forbidden":
        matches = near(field, model.model_fields)
        return f"{field}: unknown field" + (f", did you mean {matches[0]!r}?" if matches else "")
    message = str(fault["msg"]).removeprefix("Input ")
    return f"{field}: {message[:1].lower()}{message[1:]}"


def _write(resp: falcon.Response, answer: BaseModel | Raw | Unready) -> None:
    match answer:
        case Raw(content_type=content_type, content=content):
            resp.content_type = content_type
            resp.data = content
        case Unready(document=doc):
            resp.status = falcon.HTTP_503
            resp.data = doc.model_dump_json().encode()
        case _:
            resp.data = answer.model_dump_json().encode()


def _on_problem(_req: falcon.Request, resp: falcon.Response, error: ProblemError, _params: dict[str, Any]) -> None:
    resp.status = f"{int(error.status)} {error.status.phrase}"
    resp.content_type = CONTENT_TYPE
    for name, value in error.headers.items():
        resp.set_header(name, value)
    resp.data = error.body()


def _on_http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]) -> None:
    """What falcon itself refuses: an unknown path, a wrong method, a malformed header."""
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {req.path[:200]!r}; /openapi.json lists what there is."
        problem = ProblemError(status, "unknown-path", detail)
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{req.path[:200]!r} does not take {req.method}; it takes {headers.get('Allow', 'nothing')}."
        problem = ProblemError(status, "method", detail, headers=headers)
    else:
        problem = ProblemError(status, "request", error.description or error.title, headers=headers)
    _on_problem(req, resp, problem, params)


def _on_forbidden(req: falcon.Request, resp: falcon.Response, error: Forbidden, params: dict[str, Any]) -> None:
    _on_problem(req, resp, _forbidden(str(error)), params)


def _on_refused(req: falcon.Request, resp: falcon.Response, error: Refused, params: dict[str, Any]) -> None:
    more = {"problems": list(error.problems)} if error.problems else None
    _on_problem(req, resp, ProblemError(HTTPStatus.CONFLICT, "refused", sentence(str(error)), more=more), params)


def _on_unavailable(req: falcon.Request, resp: falcon.Response, error: Unavailable, params: dict[str, Any]) -> None:
    headers = {"Retry-After": "1"}
    problem = ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", sentence(str(error)), headers=headers)
    _on_problem(req, resp, problem, params)


def _on_fault(req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]) -> None:
    """A fault of ours: the log gets everything, the client nothing that could help an attacker."""
    _log.error("the API failed at a request", path=req.path, method=req.method, exc_info=error)
    detail = "The daemon failed at this request; its log says why."
    _on_problem(req, resp, ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "fault", detail), params)
