"""ETags: 304 while nothing has changed that a document may show, and never after that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from fsacd.core.events import AgentLoggedIn, AgentSetNotReady, CallerGone, RulesChanged, SwitchConnected
from fsacd.desk.rights import Role
from fsacd.http.kept import Kept, cut
from fsacd.http.present import Presenter
from fsacd.testing import Driver, agent, queue, queued, rules_of
from tests.core import walks
from tests.core.adversary import Adversary
from tests.http.rig import Reply, Rig, serve
from tests.http.test_with_engine import EngineDaemon

STILL = "durations=false"
PATHS = (
    "agents", "agents?limit=1", "agents?queue=sales", "agents?state=ready", "agents/1002",
    "calls", "calls?queue=support", "calls?offset=1", "calls/anna-000",
)  # fmt: skip


@contextmanager
def centre() -> Iterator[tuple[Rig, Driver]]:
    """Two callers with a number wait for support; 1002 is at work."""
    daemon = EngineDaemon()
    driver = daemon.driver
    driver.tell(SwitchConnected("fs1"))
    driver.tell(AgentLoggedIn("1002", "test"))
    driver.tell(queued("anna-000", "support", number="+493012345678", name="Anna"), at_ms=1_000)
    driver.tell(queued("berta-000", "support", 2_000), at_ms=2_000)
    driver.wait_until(10_000)
    with serve(daemon) as rig:
        yield rig, driver


def still(path: str) -> str:
    """The path of a document without durations that run."""
    return f"/api/v1/{path}{'&' if '?' in path else '?'}{STILL}"


def again(rig: Rig, path: str, before: Reply, role: Role = Role.ADMIN) -> Reply:
    """Ask once more, knowing that answer."""
    return rig.ask("GET", path, role, headers={"If-None-Match": before.headers["etag"]})


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_rendered_again_while_nothing_changes(path: str) -> None:
    """304 without a body and without a look at a view, however much time passes."""
    with centre() as (rig, driver):
        first = rig.get(still(path))
        driver.wait_until(driver.now_ms + 5_000)
        with patch.object(Presenter, "agent", None), patch.object(Presenter, "call", None):
            second = again(rig, still(path), first)
        assert (second.status, second.body) == (304, b"")
        assert second.headers["etag"] == first.headers["etag"]
        assert rig.get(still(path)).body == first.body


@pytest.mark.parametrize("path", [*PATHS, "queues", "queues/support"])
def test_with_durations_a_tag_holds_for_a_second(path: str) -> None:
    """What runs is never older than a second."""
    with centre() as (rig, driver):
        first = rig.get(f"/api/v1/{path}")
        assert again(rig, f"/api/v1/{path}", first).status == 304
        driver.wait_until(driver.now_ms + 1_000)
        second = again(rig, f"/api/v1/{path}", first)
    assert second.status == 200


def test_a_change_ends_a_tag() -> None:
    """Of the agent alone, and of the lists that may show them; a call's document stays."""
    with centre() as (rig, driver):
        paths = [still(path) for path in ("agents/1002", "agents", "agents/1001", "calls/anna-000")]
        before = {path: rig.get(path) for path in paths}
        driver.tell(AgentSetNotReady("1002", "test", "lunch"))
        after = {path: again(rig, path, reply) for path, reply in before.items()}
        assert [after[path].status for path in paths[:3]] == [200, 200, 304]
        assert after[paths[0]].json["reason"] == "lunch"
        assert {one["id"]: one["reason"] for one in after[paths[1]].json["agents"]}["1002"] == "lunch"


def test_a_position_changes_with_the_queue() -> None:
    """Whoever goes on because another has gone is shown there, alone and in lists."""
    with centre() as (rig, driver):
        alone, listed = still("calls/berta-000"), still("calls")
        before = {path: rig.get(path) for path in (alone, listed)}
        assert before[alone].json["position"] == 2
        driver.tell(CallerGone("anna-000"))
        after = {path: again(rig, path, reply) for path, reply in before.items()}
    assert after[alone].json["position"] == 1
    assert [one["position"] for one in after[listed].json["calls"]] == [1]


def test_a_document_that_is_gone_is_no_304() -> None:
    """A known tag does not bring back what has ended, nor a filter whose queue was taken away."""
    with centre() as (rig, driver):
        call, agents = still("calls/anna-000"), still("agents?queue=sales")
        before = rig.get(call), rig.get(agents)
        driver.tell(CallerGone("anna-000"))
        assert again(rig, call, before[0]).status == 404
        assert "etag" not in rig.get(call).headers
        driver.tell(RulesChanged(rules_of(queue("support"), agent("1002", "support"))))
        assert again(rig, agents, before[1]).status == 422


def test_numbers_are_kept_for_those_alone_who_may_see_them() -> None:
    """The same path, by turns: each sees what they may, and nobody has the tag of the others."""
    with centre() as (rig, _):
        for path in (still("calls"), "/api/v1/calls", still("calls/anna-000"), "/api/v1/queues/support"):
            for _ in range(2):
                full, cut_short = rig.get(path, Role.ADMIN), rig.get(path, Role.READ)
                assert b"+493012345678" in full.body
                assert b"12345678" not in cut_short.body and b"***5678" in cut_short.body
                assert again(rig, path, full, Role.READ).status == 200
                assert again(rig, path, full).status == 304


def test_whoever_sets_the_clock_changes_all_moments() -> None:
    """What is kept holds moments by the clock before."""
    with centre() as (rig, _):
        path = still("agents/1002")
        before = rig.get(path)
        real = rig.daemon.wall_ms
        with patch.object(EngineDaemon, "wall_ms", lambda _self, engine_ms: real(engine_ms) + 3_600_000):
            after = again(rig, path, before)
    assert (after.status, after.json["since_at"] == before.json["since_at"]) == (200, False)


def test_no_right_no_304() -> None:
    """A tag is no key."""
    with centre() as (rig, _):
        tag = rig.get(still("agents")).headers["etag"]
        assert rig.ask("GET", still("agents"), None, headers={"If-None-Match": tag}).status == 401


def test_a_304_counts_as_one_request() -> None:
    """A long list that the asker has costs what any request does."""
    with centre() as (rig, driver):
        names = [f"a{number:03}" for number in range(200)]
        driver.tell(RulesChanged(rules_of(queue("support"), queue("sales"), *(agent(one, "support") for one in names))))
        charged: list[float] = []
        with patch("fsacd.http.access.Access.charge", lambda _self, _token, requests: charged.append(requests)):
            first = rig.get(still("agents"))
            assert charged == [3.0]
            assert again(rig, still("agents"), first).status == 304
            assert charged == [3.0]


def test_other_tags_are_no_304() -> None:
    """Of another daemon's life, or nonsense; one of several that are given is enough, and so is a star."""
    with centre() as (rig, _):
        tag = rig.get(still("agents")).headers["etag"]
        assert tag.startswith('W/"here-')
        for known, status in (
            ('W/"there-1-1-1"', 200), ("nonsense", 200), ('"', 200), ("*", 304), (f'"x", {tag}', 304), (tag[2:], 304),
        ):  # fmt: skip
            assert rig.ask("GET", still("agents"), headers={"If-None-Match": known}).status == status


def test_what_ran_follows_from_the_moments() -> None:
    """Without durations that run, a document says since when they do."""
    with centre() as (rig, driver):
        call, whole = rig.get(still("calls/anna-000")).json, rig.get("/api/v1/calls/anna-000").json
        assert (call["waited_seconds"], whole["waited_seconds"]) == (None, 10.0)
        assert call["waiting_since_at"] == call["arrived_at"]
        assert (call["talked_seconds"], call["talking_since_at"]) == (0.0, None)
        assert rig.get(still("agents/1002")).json["state_seconds"] is None
        assert rig.get("/api/v1/agents/1002").json["state_seconds"] == driver.now_ms / 1000


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_is_what_would_be_rendered(seed: int) -> None:
    """On a hostile day, what is answered from what is kept is what a daemon that keeps nothing answers."""
    dice = random.Random(seed)
    adversary = walks.at_work(Adversary(walks.rules_of_chance(dice), proved=False))
    deed = walks.deeds(adversary, dice)
    keeps = EngineDaemon(driver=adversary.driver)
    forgets = EngineDaemon(driver=adversary.driver)
    forgets.changes = lambda: None  # type: ignore[method-assign, assignment, return-value]  # no feed, nothing kept
    tags: dict[tuple[str, Role], Reply] = {}
    with serve(keeps) as kept, serve(forgets) as fresh:
        for _ in range(60):
            deed()
            path = "/api/v1/" + dice.choice(("agents", "calls", "agents/1001", "calls?queue=support", "queues/sales"))
            role = dice.choice((Role.READ, Role.ADMIN))
            wanted = fresh.get(path, role)
            assert kept.get(path, role).body == wanted.body
            path += f"?{STILL}" if "?" not in path else f"&{STILL}"
            if "queues" in path:
                continue
            wanted, before = fresh.get(path, role), tags.get((path, role))
            now = kept.get(path, role) if before is None or "etag" not in before.headers else None
            if now is None:
                assert before is not None
                now = again(kept, path, before, role)
                if now.status == 304:
                    now = before
            assert (now.status, now.body) == (wanted.status, wanted.body)
            tags[path, role] = now


def test_a_piece_is_cut_at_its_figures() -> None:
    """Also where a stranger has written something that looks like a figure."""
    text = rb'{"name":"\"s\":7,","s":1.5,"t":2.0,"skills":{"s":3}}'
    piece = cut(text, s=500, t=None)
    assert piece.filled(2_500) == rb'{"name":"\"s\":7,","s":2.0,"t":2.0,"skills":{"s":3}}'
    assert piece.filled(0) == rb'{"name":"\"s\":7,","s":0.0,"t":2.0,"skills":{"s":3}}'
    assert piece.filled(0, durations=False, first=b"9") == rb'{"name":"\"s\":7,","s":9,"t":2.0,"skills":{"s":3}}'
    assert piece.filled(0, durations=False) == rb'{"name":"\"s\":7,","s":null,"t":2.0,"skills":{"s":3}}'


def test_what_is_kept_is_bounded() -> None:
    """In bytes; what was not asked for for longest goes first."""
    kept = Kept(limit_bytes=10_000)
    piece = cut(b'{"s":' + b"1" * 1_000 + b',"x":0}', s=None)
    for number in range(100):
        kept.put(("call", str(number), True), (1, 0), piece)
        kept.get(("call", "0", True), (1, 0))
        assert 0 < kept.bytes <= 10_000
    assert kept.get(("call", "0", True), (1, 0)) is piece
    assert kept.get(("call", "0", True), (2, 0)) is None
    assert kept.get(("call", "0", False), (1, 0)) is None
    assert kept.get(("call", "50", True), (1, 0)) is None
    before = kept.bytes
    kept.put(("call", "0", True), (2, 0), piece)
    assert kept.bytes == before


def test_what_is_gone_is_not_kept() -> None:
    """However many calls come and go, there is no more of them than there would be of those that are there."""
    kept, live = Kept(), dict[str, None]()
    piece = cut(b'{"s":' + b"1" * 1_000 + b',"x":0}', s=None)

    def is_there(kind: str, key: str) -> bool:
        return kind == "agent" or key in live

    kept.put(("agent", "1001", False), (1, 0), piece)
    one = kept.bytes
    for number in range(1_000):
        live[str(number)] = None
        if len(live) > 20:
            del live[next(iter(live))]
        for reveal in (False, True):
            kept.put(("call", str(number), reveal), (1, 0), piece)
            kept.look_at_oldest(is_there)
        assert kept.bytes <= one * (1 + 2 * 2 * 20)
    assert kept.get(("agent", "1001", False), (1, 0)) is piece, "who is there stays, however long nobody asks"
