from __future__ import annotations

import re
from typing import Any

import pytest

from fsacd.http.app import ROUTES
from fsacd.http.openapi import document
from tests.http.rig import serve


@pytest.fixture(scope="module")
def described() -> Any:
    with serve() as rig:
        return rig.get("/openapi.json", None).json


def references(node: Any) -> set[str]:
    """Every $ref below a node."""
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if "$ref" in node else set()
    return own.union(*(references(value) for value in node.values()))


def test_every_route_is_described(described: Any) -> None:
    """The document holds the table of routes, no more and no less."""
    operations = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert {(route.method, route.path) for route in ROUTES} == operations


def test_every_reference_leads_somewhere(described: Any) -> None:
    """No schema that is pointed at is missing."""
    names = {reference.removeprefix("#/components/schemas/") for reference in references(described)}
    assert names - set(described["components"]["schemas"]) == set()


def test_every_path_parameter_is_described(described: Any) -> None:
    """Each {name} in a path is a required parameter with a description."""
    for path, methods in described["paths"].items():
        for operation in methods.values():
            inside = {p["name"] for p in operation["parameters"] if p["in"] == "path" and p["required"]}
            assert set(re.findall(r"{(\w+)}", path)) == inside


def test_operations_have_names_of_their_own(described: Any) -> None:
    """Generators make one function of each operation."""
    names = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names) == len(ROUTES)


OPEN = {"/livez", "/readyz", "/metrics", "/openapi.json"}


def test_what_needs_a_token_says_so(described: Any) -> None:
    """Security is stated for each operation, with 401 and 403 where it applies."""
    for route in ROUTES:
        operation = described["paths"][route.path][route.method.lower()]
        assert operation["security"] == ([] if route.path in OPEN else [{"token": []}])
        assert ({"401", "403"} <= set(operation["responses"])) == (route.path not in OPEN)


def test_each_operation_says_its_verb_and_who_has_it(described: Any) -> None:
    """Whoever reads the document sees which role to ask for, and that an agent's token is for that agent alone."""
    reload = described["paths"]["/api/v1/reload"]["post"]
    assert reload["x-fsacd-verb"] == "reload"
    assert reload["description"] == (
        "Needs the right `reload`: to reload the configuration. Tokens of the role admin have it."
    )
    login = described["paths"]["/api/v1/agents/{agent_id}/login"]["post"]
    assert login["description"].endswith(
        "Tokens of the roles agent, supervisor, admin have it; those of the role agent for their own agents alone."
    )
    assert {op["x-fsacd-verb"] for methods in described["paths"].values() for op in methods.values()} == {
        str(route.verb) for route in ROUTES
    }


def test_the_document_explains_the_roles(described: Any) -> None:
    """All four roles stand there with what they add."""
    lines = [line for line in described["info"]["description"].splitlines() if line.startswith("* ")]
    assert [line.split(":")[0] for line in lines] == ["* read", "* agent", "* supervisor", "* admin"]
    assert lines[3] == "* admin: reload the configuration; compare with the switches at once"


def test_query_parameters_carry_their_limits(described: Any) -> None:
    """The page size and its limit can be read from the document."""
    parameters = {p["name"]: p["schema"] for p in described["paths"]["/api/v1/calls"]["get"]["parameters"]}
    assert set(parameters) == {"queue", "state", "limit", "offset", "durations", "If-None-Match"}
    assert (parameters["limit"]["default"], parameters["limit"]["maximum"]) == (1_000, 5_000)


def test_what_has_a_tag_says_so(described: Any) -> None:
    """Agents, calls and queues, alone and listed, can be asked for by the tag that the asker has."""
    paths = {path: methods["get"] for path, methods in described["paths"].items() if "get" in methods}
    tagged = {path for path, operation in paths.items() if "304" in operation["responses"]}
    kinds = {"agents": "agent_id", "calls": "call_id", "queues": "queue_name"}
    assert tagged == {
        path for kind, name in kinds.items() for path in (f"/api/v1/{kind}", f"/api/v1/{kind}/{{{name}}}")
    }
    for path in tagged:
        assert "ETag" in paths[path]["responses"]["200"]["headers"]
        assert "If-None-Match" in {parameter["name"] for parameter in paths[path]["parameters"]}


def test_the_document_is_the_same_each_time() -> None:
    """Two builds of the document do not differ, so that a change of the API can be seen."""
    assert document(ROUTES) == document(ROUTES)


def test_a_field_that_has_another_name_now_is_deprecated(described: Any) -> None:
    """The new one stands beside it, and both are always there."""
    eligible = described["components"]["schemas"]["Eligible"]
    assert eligible["properties"]["let_pass"]["deprecated"] is True
    assert "deprecated" not in eligible["properties"]["missed"]
    assert {"missed", "let_pass"} <= set(eligible["required"])


@pytest.mark.parametrize("body", ["AgentChange", "CallChange"])
def test_a_change_that_changes_nothing_is_not_promised(described: Any, body: str) -> None:
    """Where at least one field is needed, the document says which."""
    schema = described["components"]["schemas"][body]
    with serve() as rig:
        path = {"AgentChange": "agents/1001/change", "CallChange": "calls/c0ffee00/change"}[body]
        assert rig.post(f"/api/v1/{path}", {}).status == 422
        assert rig.post(f"/api/v1/{path}", {schema["anyOf"][0]["required"][0]: None}).status == 422
    assert {name for each in schema["anyOf"] for name in each["required"]} <= set(schema["properties"])


def test_a_call_is_named_by_as_much_of_its_id_as_is_needed(described: Any) -> None:
    """The least length that the server takes stands in the document."""
    parameters = described["paths"]["/api/v1/calls/{call_id}"]["get"]["parameters"]
    least = next(parameter["schema"]["minLength"] for parameter in parameters if parameter["name"] == "call_id")
    with serve() as rig:
        assert rig.get("/api/v1/calls/" + "c0ffee00"[: least - 1]).status == 400
        assert rig.get("/api/v1/calls/" + "c0ffee00"[:least]).status != 400
