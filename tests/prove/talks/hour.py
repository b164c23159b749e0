"""A seeded hour of talks, pressed into minutes: history is as long as the phones' own sound says, in each of its parts.

Agents hold their callers by the daemon and by their phones, ask colleagues, talk in threes, and give callers away in
every way. What each caller heard, frame by frame with the kernel's stamps, is what history must say: how long they
talked with whom, and how long they were on hold. Wrap-up is as long as the test has ordered it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
import psycopg
from psycopg.rows import dict_row

from fsacd.store.embedded import EmbeddedPostgres
from tests.e2e.rig.dialog import Dialog
from tests.e2e.rig.switch import RealSwitch, find_freeswitch
from tests.prove.__main__ import NOT_HERE
from tests.prove.talks._centre import Centre, Seat, agents_of
from tests.prove.talks._history import History
from tests.prove.talks._play import Cell, Play
from tests.prove.talks._sound import MUSIC as MUSIC_HZ
from tests.prove.talks._world import MORTALS, MUSIC, State, Who
from tests.prove.talks.series import SEQUENCES

TALKS: Final = 300
SEATS: Final = 10
# Between two steps, and how long an agent wraps up.
_PAUSE_S: Final = (0.3, 2.5)
_WRAPS_UP_S: Final = (0.3, 3.0)
# p99, and no single one by more than the last.
BARS_MS: Final = {"talk": 100.0, "hold": 400.0, "wrap-up": 100.0}
MOST_MS: Final = 1_000.0
Span = tuple[float, float, frozenset[str]]
_OTHERS: Final = frozenset((Who.THIRD, Who.OUTSIDE))


@dataclass
class Truth:
    """By offer, in seconds; and what was done, for whoever wonders about it."""

    talks: dict[str, tuple[float, float]] = field(default_factory=dict)  # all of it, and of that on hold
    ended_s: dict[str, float] = field(default_factory=dict)  # Unix time
    done_s: dict[str, float] = field(default_factory=dict)  # when the agent was through with it (Unix time)
    what: dict[str, str] = field(default_factory=dict)
    plays: int = 0
    wrong: list[str] = field(default_factory=list)


class Hour(Play):
    """A play in which nobody dies before their time, but all of it lasts for a while, and is measured."""

    truth: Truth

    def _begin(self) -> None:
        for line in self.seat.lines.values():
            others = (other.hertz for other in self.seat.lines.values() if other is not line)
            line.follows = (*others, MUSIC_HZ)
            line.begin_anew()
        super()._begin()
        self._rest()

    def _step(self, step: str) -> None:
        super()._step(step)
        self._rest()

    def _rest(self) -> None:
        gevent.sleep(self._chance.uniform(*_PAUSE_S))

    def _parts(self, state: State) -> Who:
        return self._chance.choice(MORTALS[state])

    def _end_wrap_up(self, who: Who, *, ready: bool) -> None:
        """So long after the end of their leg, and not at once."""
        dialog = self.seat.lines[who].dialog
        user = self.seat.user(who)
        if dialog is not None and dialog.state == "over":
            leg = _leg(dialog)
            look = self.centre.look()
            if leg not in self.truth.done_s and look.agents.get(user, {}).get("state") == "wrapping_up":
                until_s = max(dialog.over_s + self._chance.uniform(*_WRAPS_UP_S), time.time())
                gevent.sleep(until_s - time.time())
                self.truth.done_s[leg] = time.time()
                with suppress(OSError):
                    self.seat.ask(f"agents/{user}/end-wrap-up")
        super()._end_wrap_up(who, ready=ready)

    def measure(self) -> None:
        """Work out how long each talk was, from what was heard."""
        seat, joined = self.seat, "colleague" in " ".join(self.cell.steps)
        heard, by_line = self._heard(Who.CALLER), self._heard(Who.LINE)
        gone_s = _over_s(seat.lines[Who.CALLER].dialog)
        agents_over_s = 0.0
        for ring in seat.rings:
            mine = _within(heard, ring.answered_s, ring.over_s)
            if not _leg(ring) or not ring.answered_s:
                continue
            if ring.user == seat.agent:
                agents_over_s = self._agents(ring, mine, gone_s)
            elif ring.user == seat.third:
                # In a talk of three the colleague's begins when the agent has left it.
                since_s = agents_over_s if "three-way" in self.cell.steps else 0.0
                theirs = [span for span in _within(mine, since_s, ring.over_s) if Who.THIRD in span[2]]
                if joined and theirs:
                    asked = _within(by_line, ring.answered_s, ring.over_s)
                    theirs = sorted([*theirs, *(span for span in asked if Who.THIRD in span[2])], key=_began_s)
                if theirs:
                    self._tell(ring, theirs[0][0], theirs[-1][1], 0.0)

    def _agents(self, ring: Dialog, mine: list[Span], gone_s: float) -> float:
        """The agent's talk, and when it was over."""
        spans = [span for span in mine if Who.AGENT in span[2]]
        if not spans:
            return 0.0
        began_s, ended_s = spans[0][0], ring.over_s
        # The caller was given away: they hear somebody else, and the agent no more.
        given = [since for since, _, whom in mine if whom and whom <= _OTHERS and since > spans[-1][0]]
        ended_s = min([ended_s, *given])
        ends = [*(since for since, _, _ in spans[1:]), min(ended_s, gone_s)]
        apart = [(to, next_s) for (_, to, _), next_s in zip(spans, ends, strict=True) if next_s > to]
        # They are on hold where music came in between; on the way from whom they talk with to others it is silent.
        music = [since for since, _, whom in mine if MUSIC in whom]
        holds = [to - since for since, to in apart if any(since <= at <= to for at in music)]
        self._tell(ring, began_s, ended_s, sum(holds))
        return ended_s

    def _tell(self, ring: Dialog, began_s: float, ended_s: float, hold_s: float) -> None:
        leg = _leg(ring)
        self.truth.talks[leg] = ended_s - began_s, max(0.0, hold_s)
        self.truth.ended_s[leg] = ended_s
        self.truth.what[leg] = f"{self.cell.sequence} ({self.seed}, {self.seat.caller}), {ring.user}"

    def _heard(self, who: Who) -> list[Span]:
        """Whom a line heard, from when until when."""
        names, line = {line.hertz: str(name) for name, line in self.seat.lines.items()}, self.seat.lines[who]
        names[MUSIC_HZ] = MUSIC
        until_s, found = _over_s(line.dialog), list[Span]()
        for since_s, tones in reversed(line.heard):
            found.append((since_s, until_s, frozenset(names[tone] for tone in tones)))
            until_s = since_s
        return found[::-1]


def _began_s(span: Span) -> float:
    return span[0]


def _within(spans: list[Span], since_s: float, until_s: float) -> list[Span]:
    cut = [(max(since, since_s), min(to, until_s), whom) for since, to, whom in spans]
    return [span for span in cut if span[1] > span[0]]


def _leg(ring: Dialog) -> str:
    return ring.invite.headers.get("x-fsacd-offer", "") if ring.invite is not None else ""


def _over_s(dialog: Dialog | None) -> float:
    return dialog.over_s if dialog is not None and dialog.state == "over" else time.time()


def _sit(seat: Seat, plan: list[tuple[str, int]], history: History, truth: Truth) -> None:
    while plan:
        sequence, seed = plan.pop()
        steps = SEQUENCES[sequence]
        play = Hour(Cell(sequence, steps, len(steps), Who.NOBODY), seat, seed, False, history)
        play.truth = truth
        truth.plays += 1
        try:
            play.run()
            play.measure()
        except AssertionError as error:
            truth.wrong.append(f"{sequence}, seed {seed}, {seat.caller}: {error}".splitlines()[0])
            print(f"WRONG: {truth.wrong[-1]}", flush=True)
            seat.rescue()


def main(n: int | None) -> int:
    """Three hundred talks, or 30 for each of `n`; prints by how much history differs, and what is beyond the bars."""
    if find_freeswitch() is None:
        return NOT_HERE
    seed = random.SystemRandom().randrange(2**31)
    chance = random.Random(seed)
    count = TALKS if n is None else min(TALKS, 30 * n)
    # A ring that nobody answers takes half a minute, and says nothing of how long a talk is.
    names = [name for name in SEQUENCES if "wait in vain" not in SEQUENCES[name]]
    plan = [(names[number % len(names)], chance.randrange(2**31)) for number in range(count)]
    chance.shuffle(plan)
    print(f"{count} callers, {SEATS} at a time; seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fsacd-e2e-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o711)
        (own := place / "daemon").mkdir(mode=0o700)
        switch = RealSwitch(place / "freeswitch", agents_of(SEATS))
        truth = Truth()
        with EmbeddedPostgres(place / "pg", durable=False) as server:
            switch.start()
            centre = Centre(own, switch, server.dsn, SEATS)
            centre.start()
            try:
                history = History(server.dsn)
                gevent.joinall([gevent.spawn(_sit, seat, plan, history, truth) for seat in centre.seats])
            finally:
                centre.stop()
                switch.stop()
            faults = _judge(server.dsn, truth)
    print("\n".join(f"WRONG: {fault}" for fault in faults) or "all of it is as the phones heard it")
    return 1 if faults or truth.wrong else 0


def _judge(dsn: str, truth: Truth) -> list[str]:
    """Compare, and print the differences; what is wrong, in sentences."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        talks = {row["offer_id"]: row for row in connection.execute("SELECT * FROM talks")}
        wrap_ups = {row["offer_id"]: row for row in connection.execute("SELECT * FROM wrap_ups")}
    off: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for leg, (talk_s, hold_s) in truth.talks.items():
        row, wrap_up = talks.get(leg), wrap_ups.get(leg)
        if row is None:
            continue
        all_ms = row["talked_ms"] + row["held_ms"]
        told = f"{truth.what[leg]}: {talk_s:.3f} s, hold {hold_s:.3f}; told {all_ms} and {row['held_ms']} ms"
        off["talk"].append((all_ms - 1_000 * talk_s, told))
        off["hold"].append((row["held_ms"] - 1_000 * hold_s, told))
        if wrap_up is not None and leg in truth.done_s:
            took_ms, took_s = _took_ms(wrap_up), truth.done_s[leg] - truth.ended_s[leg]
            told = f"{truth.what[leg]}: wrap-up {took_s:.3f} s; told {took_ms:.0f} ms"
            off["wrap-up"].append((took_ms - 1_000 * took_s, told))
    print(f"{truth.plays} callers, {len(talks)} talks and {len(wrap_ups)} wrap-ups in history")
    return [fault for kind in BARS_MS for fault in _spread(kind, off[kind])]


def _took_ms(row: dict[str, Any]) -> float:
    took_ms: float = (row["ended_at"] - row["started_at"]).total_seconds() * 1_000
    return took_ms


def _spread(kind: str, found: list[tuple[float, str]]) -> Iterable[str]:
    if not found:
        yield f"nothing was measured of {kind}"
        return
    ordered = sorted(found, key=lambda one: abs(one[0]))
    p50, p99 = (abs(ordered[min(len(ordered) - 1, len(ordered) * share // 100)][0]) for share in (50, 99))
    most = abs(ordered[-1][0])
    mean = sum(one for one, _ in found) / len(found)
    print(f"{kind:>8}: p50 {p50:.0f} ms, p99 {p99:.0f}, max {most:.0f}, mean {mean:+.0f} of {len(found)}")
    for off_ms, told in ordered[-5:]:
        print(f"          {off_ms:+.0f} ms: {told}")
    if p99 > BARS_MS[kind]:
        yield f"p99 of {kind} is {p99:.0f} ms, beyond {BARS_MS[kind]:.0f}"
    if most > MOST_MS:
        yield f"one {kind} is {most:.0f} ms off"


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
