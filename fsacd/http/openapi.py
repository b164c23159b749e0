"""The OpenAPI document, generated from the table of routes and the models, so that it cannot disagree with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fsacd import __version__
from fsacd.desk.rights import Role, roles_with, stranger
from fsacd.http import models as m
from fsacd.http.bodies import NoBody
from fsacd.http.problem import CONTENT_TYPE
from fsacd.http.queries import PREFIX_MIN
from fsacd.http.routes import Route

_REF = "#/components/schemas/{model}"

_PARAMETERS = {
    "agent_id": "The agent's id in the configuration.",
    "queue_name": "The queue's name in the configuration.",
    "customer_id": "The customer's id, like c17.",
    "reload_number": "The reload's number.",
    "call_id": "The call's id, or at least six of its first characters when no other call begins so.",
    "talk_id": "The talk's id, or its call's, of which at least six of the first characters are enough.",
}
_PARAMETER_SCHEMAS: dict[str, dict[str, Any]] = {
    "agent_id": {"type": "string", "minLength": 1},
    "queue_name": {"type": "string", "minLength": 1},
    "call_id": {"type": "string", "minLength": PREFIX_MIN},
    "talk_id": {"type": "string", "minLength": PREFIX_MIN},
    "customer_id": {"type": "string", "pattern": "^c[0-9]{1,18}$"},
    "reload_number": {"type": "string", "pattern": "^[0-9]{1,12}$"},
}


def document(routes: Sequence[Route]) -> bytes:
    """The document as JSON."""
    answers: set[type[BaseModel]] = {route.answer for route in routes if route.answer is not None}
    bodies: set[type[BaseModel]] = {route.body for route in routes if route.body is not NoBody}
    schemas = sorted(answers | bodies | {m.Problem}, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation" if model in bodies else "serialization") for model in schemas],
        ref_template=_REF,
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "fsacd",
            "version": __version__,
            "description": "Queues, agents, calls and customers of the fsacd call distributor.\n\n" + _roles(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2)


def _roles() -> str:
    """What the roles may do, as a list in Markdown."""
    lines = [f"* {role}: " + "; ".join(verb.says for verb in role.own) for role in Role]
    return "A token has a role, and each role may do all that the ones before it may:\n\n" + "\n".join(lines)


def _operation(route: Route) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{route.method.lower()}{route.path.removeprefix('/api/v1')}").strip("_")
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
    }
    operation["x-fsacd-verb"] = str(route.verb)
    if _is_open(route):
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}]
        operation["description"] = _who_may(route)
    if route.body is not NoBody:
        required = any(field.is_required() for field in route.body.model_fields.values())
        operation["requestBody"] = {"required": required, "content": {"application/json": _schema(route.body)}}
    return operation


def _is_open(route: Route) -> bool:
    # The document describes the default; the configuration can close the metrics.
    return route.verb in stranger(open_metrics=True).verbs


def _who_may(route: Route) -> str:
    roles = roles_with(route.verb)
    said = f"Needs the right `{route.verb}`: to {route.verb.says}. "
    said += f"Tokens of the role{'s' if len(roles) > 1 else ''} {', '.join(roles)} have it"
    return said + ("; those of the role agent for their own agents alone." if route.verb in Role.AGENT.own else ".")


def _responses(route: Route) -> dict[str, Any]:
    answer = {route.content_type: _schema(route.answer) if route.answer else {}}
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": answer}}
    if route.shows is not None:
        responses["200"]["headers"] = {"ETag": _TAG}
        responses["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase, "headers": {"ETag": _TAG}}
    codes = set(route.refusals)
    if not _is_open(route):
        codes |= {401, 403}
    if route.limited:
        codes.add(429)
    for code in sorted(codes):
        # Health answers with its own document for 200 and 503 alike.
        own = route.tag == "health" and code == HTTPStatus.SERVICE_UNAVAILABLE and route.answer is not None
        content = answer if own else {CONTENT_TYPE: _schema(m.Problem)}
        responses[str(code)] = {"description": HTTPStatus(code).phrase, "content": content}
    return responses


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name],
            "schema": _PARAMETER_SCHEMAS[name],
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if route.shows is None:
        return []
    known = "The ETag of the document that the asker has. While it holds, the answer is 304, made without the document."
    return [
        {"name": "If-None-Match", "in": "header", "required": False, "description": known, "schema": {"type": "string"}}
    ]


_TAG: dict[str, Any] = {
    "description": "The document's version, weak. It holds until something changes that the document may show; with "
    "durations that run, for a second at most.",
    "schema": {"type": "string"},
}


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    properties = route.query.model_json_schema().get("properties", {})
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]
