"""Why calls went where they went, from the engine's memory and from history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from fsacd.core.views import RankedAgent, Rejected, WhyNot
from fsacd.desk.rights import Role
from fsacd.errors import Unavailable
from fsacd.store import explanations as explaining
from tests.http.rig import NOW_MS, FakeDaemon, call_view, explanation, serve, snapshot

CALL = "c0ffee00-0000-4000-8000-000000000001"
ENDED = "0ddba11s-0000-4000-8000-000000000003"
PATH = f"/api/v1/calls/{CALL}/explain"


@dataclass
class History:
    """A database that holds these documents, or cannot be asked; it keeps what it was asked."""

    rows: Sequence[Mapping[str, Any]] = ()
    failure: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, call_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        self.asked.append((call_id, limit))
        if self.failure:
            raise Unavailable(self.failure)
        return self.rows


def daemon(*told: Any, offers: int = 1) -> FakeDaemon:
    """A daemon that remembers this of a call which has been offered so often."""
    return FakeDaemon(snapshot(calls=(call_view(CALL, offers=offers),)), explanations=told)


def document(number: int, at: str) -> dict[str, Any]:
    """A decision as history holds it."""
    with serve(daemon(explanation(number))) as rig:
        (told,) = rig.get(PATH).json["decisions"]
    return {**told, "at": at}


def test_a_decision_is_told_with_who_was_eligible_and_who_not() -> None:
    """Keys part by part, and for each other agent of the queue the one reason why not."""
    with serve(daemon(explanation())) as rig:
        reply = rig.get(PATH, Role.READ)
    assert reply.status == 200
    assert reply.json == {
        "call_id": CALL,
        "decisions": [
            {
                "decision": 812,
                "at": "2026-03-01T11:59:55.000Z",
                "queue": "support",
                "chosen": "1001",
                "strategy": "longest_idle",
                "sentence": "1001 was chosen of 2: they have not missed the call.",
                "priority": 2,
                "required_skills": {"german": 3},
                "waited_seconds": 7.5,
                "eligible": [
                    {"agent": "1001", "missed": 0, "let_pass": 0, "rank": 1, "level": 8, "key": [940_000]},
                    {
                        "agent": "1004",
                        "missed": 1,
                        "let_pass": 1,
                        "rank": 1,
                        "level": 8,
                        "key": [900_000.5, "-infinity"],
                    },
                ],
                "eligible_total": 2,
                "not_rung": [
                    {"agent": "1002", "why": "talking", "detail": "c0ffee11"},
                    {"agent": "1003", "why": "skill", "detail": "german 2, needs 3"},
                ],
                "not_rung_total": 2,
                "reasons": {"skill": 1, "talking": 1},
                "candidates": None,
                "shown": None,
                "contact_id": "",
            }
        ],
        "waiting": None,
        "note": "",
    }


def test_every_reason_can_be_told() -> None:
    """The API knows all the reasons that the engine has, in its order."""
    rejected = tuple(Rejected(str(place), why) for place, why in enumerate(WhyNot))
    with serve(daemon(explanation(rejected=rejected))) as rig:
        (told,) = rig.get(PATH).json["decisions"]
    assert [agent["why"] for agent in told["not_rung"]] == [str(why) for why in WhyNot]
    assert list(told["reasons"].items()) == [(str(why), 1) for why in WhyNot]


def test_a_waiting_call_is_told_why_it_waits() -> None:
    """The last explanation of a call that waits stands apart from the decisions before."""
    waits = explanation(None, at_ms=NOW_MS, eligible=(), sentence="Nobody is eligible.")
    with serve(daemon(explanation(), waits)) as rig:
        told = rig.get(PATH).json
    assert [decision["decision"] for decision in told["decisions"]] == [812]
    assert [told["waiting"][name] for name in ("decision", "chosen", "eligible", "sentence")] == [
        None, None, [], "Nobody is eligible.",
    ]  # fmt: skip


def test_a_live_call_without_decisions_is_no_error() -> None:
    """A call that has just come has nothing to explain yet."""
    with serve(daemon(offers=0)) as rig:
        assert rig.get(PATH).json == {"call_id": CALL, "decisions": [], "waiting": None, "note": ""}


@pytest.mark.parametrize(("query", "expected"), [("?limit=2", [2, 3]), ("?limit=50", [1, 2, 3])])
def test_the_latest_decisions_are_told(query: str, expected: list[int]) -> None:
    """`limit` leaves out the oldest."""
    told = [explanation(number, at_ms=NOW_MS - 10_000 + number) for number in (1, 2, 3)]
    with serve(daemon(*told, offers=3)) as rig:
        decisions = rig.get(PATH + query).json["decisions"]
    assert [decision["decision"] for decision in decisions] == expected


def test_of_a_large_queue_so_many_agents_are_told() -> None:
    """`agents` cuts both lists; the totals and the reasons count all."""
    eligible = tuple(RankedAgent(f"e{n:04}", 0, 1, 0, ()) for n in range(150))
    rejected = tuple(Rejected(f"r{n:04}", WhyNot.LOGGED_OUT) for n in range(2_000))
    with serve(daemon(explanation(eligible=eligible, rejected=rejected))) as rig:
        (usual,) = rig.get(PATH).json["decisions"]
        (few,) = rig.get(f"{PATH}?agents=3").json["decisions"]
    assert [len(usual["eligible"]), len(usual["not_rung"])] == [100, 100]
    assert [agent["agent"] for agent in few["eligible"]] == ["e0000", "e0001", "e0002"]
    assert [few["eligible_total"], few["not_rung_total"], few["reasons"]] == [150, 2_000, {"logged_out": 2_000}]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=51", "?agents=0", "?agents=251", "?limt=1"])
def test_a_wrong_query_is_refused(query: str) -> None:
    """422, as everywhere."""
    with serve(daemon(explanation())) as rig:
        assert rig.get(PATH + query).status == 422


def test_what_is_remembered_whole_needs_no_database() -> None:
    """A live call of which every decision is remembered is explained from memory alone."""
    history = History(failure="it is down")
    with serve(daemon(explanation()), stored=history) as rig:
        assert [rig.get(PATH).json["note"], history.asked] == ["", []]


def test_forgotten_decisions_come_from_history() -> None:
    """What both know is told once; the whole is in the order of time."""
    rows = [document(700, "2026-03-01T11:58:00.000Z"), document(812, "2026-03-01T11:59:55.400Z")]
    history = History(rows)
    with serve(daemon(explanation(), offers=2), stored=history) as rig:
        told = rig.get(f"{PATH}?agents=1").json
    assert [(each["decision"], len(each["eligible"])) for each in told["decisions"]] == [(700, 1), (812, 1)]
    assert (told["note"], history.asked) == ("", [(CALL, 20)])


def test_what_history_keeps_is_what_the_api_shows() -> None:
    """The same decision reads the same from memory and from the database."""
    fake = daemon(explanation())
    row = json.loads(orjson.dumps(explaining.document(explanation(), fake.wall_ms)))
    with serve(fake, stored=History([row])) as rig:
        remembered = rig.get(PATH).json["decisions"]
        fake.explanations = ()
        assert rig.get(PATH).json["decisions"] == remembered


def test_a_decision_that_the_version_before_has_kept_reads_the_same() -> None:
    """History holds it under the names of then; those who ask find it under the old ones and the new."""
    fake = daemon(explanation())
    row = json.loads(orjson.dumps(explaining.document(explanation(), fake.wall_ms)))
    for eligible in row["eligible"]:
        del eligible["missed"]
    fake.explanations = ()
    with serve(fake, stored=History([row])) as rig:
        told = rig.get(PATH).json
    (shown,) = told["decisions"]
    assert [(one["missed"], one["let_pass"]) for one in shown["eligible"]] == [(0, 0), (1, 1)]
    assert told["note"] == ""


def test_the_same_number_of_another_daemon_is_another_decision() -> None:
    """Each daemon counts anew, so number and time together tell decisions apart."""
    history = History([document(812, "2026-03-01T10:00:00.000Z")])
    with serve(daemon(explanation(), offers=2), stored=history) as rig:
        told = rig.get(PATH).json["decisions"]
    assert [each["at"] for each in told] == ["2026-03-01T10:00:00.000Z", "2026-03-01T11:59:55.000Z"]


def test_a_call_that_has_ended_is_explained_by_its_whole_id() -> None:
    """The engine's memory and history both know calls that are gone."""
    history = History([document(5, "2026-03-01T10:00:00.000Z")])
    with serve(FakeDaemon(explanations=(explanation(call_id=ENDED),)), stored=history) as rig:
        both = rig.get(f"/api/v1/calls/{ENDED}/explain").json
        rig.daemon.explanations = ()
        stored = rig.get(f"/api/v1/calls/{ENDED}/explain").json
    assert [each["decision"] for each in both["decisions"]] == [5, 812]
    assert ([each["decision"] for each in stored["decisions"]], stored["call_id"]) == ([5], ENDED)
    assert history.asked == [(ENDED, 20), (ENDED, 20)]


@pytest.mark.parametrize(
    ("history", "note"),
    [
        (None, "Older decisions may be missing, because there is no database."),
        (
            History(failure="the database is down"),
            "Older decisions may be missing, because the database is down.",
        ),
        (
            History([{"decision": 1}]),
            "Older decisions may be missing, because history holds some of them in a form unknown here.",
        ),
    ],
)
def test_what_may_be_missing_is_said(history: History | None, note: str) -> None:
    """What is remembered is told all the same, with a note."""
    with serve(daemon(explanation(), offers=2), stored=history) as rig:
        told = rig.get(PATH).json
    assert ([each["decision"] for each in told["decisions"]], told["note"]) == ([812], note)


@pytest.mark.parametrize("at", ["yesterday", "", 5, None])
def test_history_that_nobody_can_read_stops_nothing(at: Any) -> None:
    """A row without a proper time is left out and said."""
    row = {**document(5, "2026-03-01T10:00:00.000Z"), "at": at}
    with serve(daemon(explanation(), offers=2), stored=History([row])) as rig:
        reply = rig.get(PATH)
    assert (reply.status, len(reply.json["decisions"]), bool(reply.json["note"])) == (200, 1, True)


@pytest.mark.parametrize(
    ("history", "status", "detail"),
    [
        (None, 404, f"There is no call '{ENDED}'."),
        (History(), 404, f"There is no call '{ENDED}'."),
        (
            History(failure="the database does not answer"),
            503,
            f"There is no live call '{ENDED}'; the database does not answer.",
        ),
    ],
)
def test_a_call_that_nobody_knows(history: History | None, status: int, detail: str) -> None:
    """404; but 503 when only the database could have known it and cannot be asked."""
    with serve(FakeDaemon(explanations=()), stored=history) as rig:
        reply = rig.get(f"/api/v1/calls/{ENDED}/explain")
    assert (reply.status, reply.json["detail"]) == (status, detail)


def test_a_short_or_ambiguous_id_is_told_so() -> None:
    """As for every route of a call."""
    with serve() as rig:
        assert [rig.get(f"/api/v1/calls/{prefix}/explain").status for prefix in ("c0f", "c0ffee")] == [400, 409]
