"""Looks on from where people stand, at their phones, and asks daemon, switch and database; each fault is a sentence."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import gevent
import psycopg
from psycopg.rows import dict_row

from fsacd.journal.files import Directory
from fsacd.journal.recovery import recover
from fsacd.testing import PLUGINS
from tests.chaos.real.faults import Stage
from tests.chaos.real.history import read
from tests.chaos.real.listener import Listener
from tests.chaos.real.people import People
from tests.chaos.real.site import Site
from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.dialog import Dialog

# What is wrong for longer, while somebody serves and nothing is broken, is wrong.
LIMBO_S = 5.0
# A phone may ring so long for somebody who has gone.
FOR_NOBODY_S = 3.0
# Two callers who come this close after each other may have come in any order.
SAME_MOMENT_S = 0.3
# Who has waited undisturbed for so long is next, before everybody who came later.
UNDISTURBED_S = 3.0
# Who has talked for so long has talked; see `limits.settle`.
TALK_S = 0.9
# Two messages that come at one moment may be read in any order.
ENDS_S = 0.02
# Who was there for less than this while somebody listened need not be in the history.
GLIMPSED_S = 1.5
LONG_LOOK_S = 2.0
_OF_A_KIND = 4
# When a caller has hung up, agent and colleague may talk on.
_PAIR = 2
# What the switch does a busy machine may let the daemon see so much later.
EXACT_MS = 1_500


class Judge:
    """`faults` holds what was wrong. `look` is called twice a second, `rung` for every INVITE to an agent."""

    def __init__(self, stage: Stage, people: People, listener: Listener) -> None:
        self._stage = stage
        self._site: Site = stage.site
        self._people = people
        self._listener = listener
        self._began_s = time.time()
        self.faults: list[str] = []
        self._kinds: Counter[str] = Counter()
        self.broken = True  # daemon and switch are kept apart, or nobody has begun to serve
        self._calm_since_s: float | None = None
        self.late: list[tuple[float, float]] = []  # when the daemon may have heard late, or nothing (Unix, s)
        self._blind: list[list[float]] = [[self._began_s, self._began_s]]
        self._sees, self._looked_s = False, self._began_s  # at the last look
        self._odd_since: dict[tuple[str, str], float] = {}
        self._served_by = ""
        self._served_since_s = 0.0
        # The counter of lost callers of each process.
        self.lost: dict[int, float] = {}

    def wrong(self, kind: str, sentence: str) -> None:
        """Note it; of each kind a few are enough."""
        self._kinds[kind] += 1
        if self._kinds[kind] <= _OF_A_KIND:
            self.faults.append(f"{time.time() - self._began_s:.2f} s: {kind}: {sentence}")

    def _calm_for_s(self) -> float:
        return time.time() - self._calm_since_s if self._calm_since_s is not None and not self.broken else 0.0

    # --- at every ring ---

    def rung(self, ring: Dialog) -> None:
        """A phone begins to ring."""
        site = self._site
        for other in site.live():
            if other is not ring and other.user == ring.user:
                gevent.spawn_later(ENDS_S, self._has_ended, ring, other)
        if self._calm_for_s() < FOR_NOBODY_S:
            return
        if any(talk.caller == ring.caller for talk in site.talks()):
            return  # an agent asks a colleague
        caller = site.callers.get(ring.caller)
        if caller is not None and caller.state == "over" and time.time() - caller.over_s > FOR_NOBODY_S:
            self.wrong("ring for nobody", f"{ring.user} is rung for {ring.caller}, who has gone")
        for number in self._undisturbed():
            if caller is None or ring.caller in self._people.referred:
                break
            if site.callers[number].began_s < caller.began_s - SAME_MOMENT_S:
                self.wrong("order", f"{ring.caller} is rung for before {number}, who came earlier and waits")

    def _has_ended(self, ring: Dialog, other: Dialog) -> None:
        crashed_s = self._stage.crashes[-1] if self._stage.crashes else 0.0
        # A phone in a call that a crash of the switch has ended does not know it; see Stage.crashes.
        if other.state != "over" and other.heard_s > crashed_s:
            self.wrong("two offers", f"{ring.user} is rung for {ring.caller}, and has {other.caller} all the same")

    def _undisturbed(self) -> list[str]:
        """Callers who wait, and for whom nothing has happened lately.

        Whoever has talked waits for nobody: if the agent hung up while no daemon was there, music plays until one is.
        """
        since_s = time.time() - UNDISTURBED_S
        rung = self._site.phones.rung
        busy = {ring.caller for ring in rung if ring.state != "over" or ring.over_s > since_s}
        busy |= {ring.caller for ring in rung if ring.answered_s and ring.over_s - ring.answered_s >= TALK_S}
        return [
            number
            for number, caller in self._site.callers.items()
            if caller.state == "talking" and number not in busy and caller.began_s < since_s
        ]

    # --- now and then ---

    def look(self) -> None:
        """Compare."""
        now_s = time.time()
        daemon = self._site.serving()
        # From the last look that saw somebody serve to the next one that does, however long a look takes. One that took
        # long asked a daemon that stood still meanwhile, and was answered after that.
        apart = daemon is None or self.broken
        if self._sees and (apart or now_s - self._looked_s > LONG_LOOK_S):
            self._blind.append([self._looked_s, now_s])
        if apart:
            self._calm_since_s = None
            self._odd_since.clear()
        if not self._sees or daemon is None or self.broken:
            self._blind[-1][1] = now_s
        self._sees, self._looked_s = daemon is not None and not self.broken, now_s
        if daemon is None:
            return
        if self._served_by != daemon.config["instance"]:
            self._served_by, self._served_since_s = daemon.config["instance"], now_s
        try:
            calls, metrics = daemon.get("calls?limit=1000")["calls"], daemon.metrics()
        except (OSError, ValueError):
            return  # it was killed, or stopped, while we asked
        self.lost[daemon.pid] = metrics["fsacd_lost_callers_total"]
        if self.broken:
            return
        self._calm_since_s = self._calm_since_s or now_s
        self._check_order(calls)
        found = set(self._odd(calls))
        for thing in found:
            limit_s = FOR_NOBODY_S if thing[0] == "ring for nobody" else LIMBO_S
            if now_s - self._odd_since.setdefault(thing, now_s) > limit_s:
                self.wrong(*thing)
        self._odd_since = {thing: since for thing, since in self._odd_since.items() if thing in found}

    def _check_order(self, calls: list[dict[str, Any]]) -> None:
        """The callers who do not talk stand in the order of their arrival, as their own phones have it.

        Not those whom an agent's phone has given away: they came anew, at a moment that no phone knows.
        """
        line = [call["number"] for call in calls if call["state"] != "talking"]
        line = [number for number in line if number not in self._people.referred]
        last_s, last = 0.0, ""
        for number in line:
            came_s = self._site.callers[number].began_s
            if came_s < last_s - SAME_MOMENT_S:
                self.wrong("order", f"{number} stands behind {last}, who came {last_s - came_s:.2f} s later")
            last_s, last = max((last_s, last), (came_s, number))

    def _odd(self, calls: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """What phones and daemon see differently at this moment."""
        site, known = self._site, {call["number"]: call for call in calls}
        odd: list[tuple[str, str]] = []
        talking = {talk.caller: talk for talk in site.talks()}
        for number, caller in site.callers.items():
            if caller.state == "talking" and number not in known and not self._is_of_another(talking.get(number)):
                odd.append(("unknown caller", f"{number} is there, and the daemon does not know them"))
        on_phones = Counter(talk.caller for talk in site.talks())
        odd += [
            ("call without a caller", f"{number} has gone, by their phone")
            for number in known
            if not site.there(number) and on_phones[number] < _PAIR
        ]
        at_phones = {(ring.user, ring.caller) for ring in site.live()}
        for ring in site.live():
            agents = _agents(known[ring.caller]) if ring.caller in known else ()
            if ring.state == "ringing" and not site.there(ring.caller):
                odd.append(("ring for nobody", f"{ring.user} is rung for {ring.caller}, who has gone"))
            elif ring.user not in agents and not self._is_of_another(ring):
                odd.append(("unknown leg", f"{ring.user} is {ring.state} for {ring.caller}; the daemon knows nothing"))
        by_daemon = {(agent, number) for number, call in known.items() for agent in _agents(call)}
        odd += [
            ("offer without a leg", f"{agent} has no {number} at their phone")
            for agent, number in by_daemon - at_phones
        ]
        return odd

    def _is_of_another(self, talk: Dialog | None) -> bool:
        """A talk that began under another daemon: whoever has taken over knows that the agent is busy, and no more."""
        return talk is not None and talk.state == "talking" and talk.answered_s < self._served_since_s

    # --- at the end ---

    def conclude_people(self) -> None:
        """Nobody was lost, as the callers themselves see it."""
        crashes = self._stage.crashes
        for number, caller in self._site.callers.items():
            if caller.state == "talking":
                self.wrong("left over", f"{number} waits, and nobody serves them any more")
            if not caller.by_switch or number in self._people.gave_up or not caller.began_s:
                continue
            served = any(_talked_s(ring, caller) >= TALK_S for ring in self._rings_for(number))
            # Also who came while the switch had just started, and nobody had found it yet.
            crashed = any(
                start_s - 1 <= moment_s <= end_s + 1
                for start_s, end_s in zip(crashes[::2], crashes[1::2], strict=True)
                for moment_s in (caller.began_s, caller.over_s)
            )
            if not served and not crashed:
                self.wrong("lost caller", f"{number} was released by the switch, and had talked with nobody")
            if number in self._listener.oracle.ended_on_hold and not crashed:
                self.wrong("lost caller", f"{number} was released by the switch when they were on hold")
        lost = sum(self.lost.values())
        if lost and not crashes:
            self.wrong("lost caller", f"fsacd_lost_callers_total is {lost:g}")

    def _rings_for(self, number: str) -> list[Dialog]:
        return [ring for ring in self._site.phones.rung if ring.caller == number]

    def conclude_switch(self) -> None:
        """No leg is left, and no call."""
        esl = self._site.switch.esl()
        legs = esl.api("show channels")
        esl.close()
        if "\n0 total" not in f"\n{legs}":
            self.wrong("left over", f"legs on the switch: {legs[:500]}")
        daemon = self._site.serving()
        if daemon is None:
            self.wrong("nobody serves", "at the end no daemon serves the switch")
        elif left := daemon.get("calls")["calls"]:
            self.wrong("left over", f"calls of the daemon: {[(call['number'], call['state']) for call in left]}")

    def conclude_history(self, dsn: str) -> Counter[str]:
        """Every caller of whom a daemon can know is in the history exactly once; how often each outcome is."""
        with psycopg.connect(dsn, row_factory=dict_row) as connection:
            rows = connection.execute("SELECT number, outcome, detail FROM calls").fetchall()
            told = read(connection)
        by_number: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_number[row["number"]].append(f"{row['outcome']} ({row['detail']})")
        for number, caller in self._site.callers.items():
            outcomes = by_number.pop(number, [])
            if len(outcomes) > 1 + self._people.referred[number]:
                self.wrong("two outcomes", f"{number}: {', '.join(outcomes)}")
            if not outcomes and caller.began_s and self._must_be_known(caller):
                self.wrong("no outcome", f"{number}, who was there for {caller.over_s - caller.began_s:.1f} s")
        for number in by_number:
            self.wrong("two outcomes", f"{number} is in the history and has never called")
        if not self._stage.crashes and (lost := [row for row in rows if row["outcome"] == "lost"]):
            self.wrong("lost caller", f"the history has {lost}")
        if not self._stage.forgot:
            oracle, complete = self._listener.oracle, not self._stage.crashes
            for kind, sentence in oracle.compare(told, self._unheard_us, EXACT_MS, complete=complete):
                self.wrong(kind, sentence)
        return Counter(row["outcome"] for row in rows)

    def _unheard_us(self, from_us: int, until_us: int) -> int:
        """For how long in this time no daemon heard the switch, or our own listener did not."""
        unheard = [(int(start_s * 1e6), int(end_s * 1e6)) for start_s, end_s in [*self._blind, *self.late]]
        if self._stage.crashes:
            unheard.append((int(self._stage.crashes[0] * 1e6), until_us))
        return sum(max(0, min(until_us, end) - max(from_us, start)) for start, end in unheard)

    def _must_be_known(self, caller: Dialog) -> bool:
        """Whether a daemon listened while the caller was there, and remembered."""
        if self._stage.forgot:
            return False
        seen_s = caller.over_s - caller.began_s
        for start_s, end_s in self._blind:
            seen_s -= max(0.0, min(caller.over_s, end_s + 0.5) - max(caller.began_s, start_s - 0.5))
        return seen_s > GLIMPSED_S

    def conclude_daemon(self, daemon: Daemon) -> None:
        """It is stopped in order, has failed nowhere, and its journal tells the same story each time."""
        code = daemon.stop()
        if code:
            self.wrong("daemon", f"{daemon.config['instance']} ended with exit code {code}")
        for line in daemon.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if "Traceback" in line or '"level":"critical"' in line:
                self.wrong("daemon", f"{daemon.config['instance']} wrote {line[:300]}")
        dumps = [_replayed(Path(daemon.config["journal"]["directory"])) for _ in range(2)]
        if dumps[0] != dumps[1]:
            self.wrong("replay", f"the journal of {daemon.config['instance']} tells two stories")


def _agents(call: dict[str, Any]) -> list[str]:
    """Whose phones ring for this call, or are in it: a colleague who is asked among them."""
    colleague = call["talk"]["colleague"] if call["talk"] is not None else None
    return [*call["agents"], *([colleague] if colleague else ())]


def _talked_s(ring: Dialog, caller: Dialog) -> float:
    """For how long this phone was answered while the caller was there."""
    return min(ring.over_s or caller.over_s, caller.over_s) - ring.answered_s if ring.answered_s else 0.0


def _replayed(place: Path) -> str:
    """What comes of the journal, in one line."""
    directory = Directory(place)
    try:
        found = recover(directory, PLUGINS, "hours")
    finally:
        directory.close()
    if found is None:
        return ""
    found.engine.check()
    return json.dumps(found.engine.dump(), sort_keys=True)
