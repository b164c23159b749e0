"""Compares engine and switch: the engine is told what it has missed, and what differs is repaired."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final

import gevent
import structlog

from fsacd.core.events import CallReturned, TalkFound
from fsacd.core.views import CallView, Underway
from fsacd.esl import differences, heirs, missed, standing, strangers, talks, translate
from fsacd.esl.codec import Message
from fsacd.esl.deciding import Deciding
from fsacd.esl.differences import Absence, Difference, Finding
from fsacd.esl.outside import OutsideCalls
from fsacd.esl.pipeline import Pipeline, Round
from fsacd.esl.switch_clock import SwitchClock
from fsacd.esl.wire import Wire
from fsacd.log.setup import seldom
from fsacd.process.monotonic import monotonic_ms

log = structlog.get_logger(__name__)

# The switch's list of legs may show one this late: then it is read once more.
LIST_LAG_S: Final = 1.0
_ANSWER_S: Final = 5.0
# The time for all of catching up, when a link has come up. What a slow switch leaves open is found by the comparing
# that follows, and callers announce themselves.
_CATCH_UP_S: Final = 2.0
_MOST_STRANGERS: Final = 5_000
# The time for a look at a switch that another daemon serves, or that this one has just taken: no renewal of the fence
# can be sent meanwhile.
_LOOK_ON_S: Final = 1.0
_OVER: Final = (Difference.CALL_WITHOUT_LEG, Difference.BRIDGE_UNHEARD)
_RECOVERY_LOOK_S: Final = 0.2
# The longest wait, however many legs the switch goes on recovering: the recovered callers want to be served.
_LONGEST_RECOVERY_S: Final = 60.0
_PHONES_TOLD_S: Final = 0.05


class Reconciler:
    """Compares the engine with one switch.

    `clock` is the switch's clock; `is_ours` says whether to act on the findings.

    `on_repair` is told the kind of each difference that was repaired.
    """

    def __init__(
        self,
        name: str,
        runtime: Deciding,
        reader: translate.Reader,
        outside: OutsideCalls | None,
        asker: Pipeline,
        recovery_wait_ms: int,
        *,
        clock: Callable[[], SwitchClock],
        set_clock: Callable[[SwitchClock], None],
        is_ours: Callable[[], bool],
        act: Callable[[Wire], None],
        on_repair: Callable[[str], None],
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._reader = reader
        self._outside = outside
        self._pipeline = asker
        self._recovery_wait_s = recovery_wait_ms / 1000
        self._clock = clock
        self._set_clock = set_clock
        self._is_ours = is_ours
        self._act = act
        self.on_repair = on_repair

    def catch_up(self, away: Absence) -> None:
        """Events were lost: ask for every leg, and tell what is learned, before anybody is rung."""
        if away.restarted:
            log.warning("the switch has been started anew", switch=self.name)
            self._await_recovery()
        look = Round(self._pipeline, _CATCH_UP_S)
        rows = differences.channels(look)
        if rows is None:
            return  # no answer: the link is probably dead; if not, the comparing finds everything a little later
        for finding in missed.mistaken(self._runtime.underway(), self.name, rows, look, self._talk):
            self._repair(finding)
        underway = self._runtime.underway()
        look.ahead(missed.asked_for(underway, self.name, rows, away))
        found = self._heirs(look, rows, underway)
        found += missed.findings(underway, self.name, rows, look, self._returned, away, self._talk)
        if not away.restarted:
            found += missed.unheard(underway, self.name, rows, look)
            found += talks.findings(underway, self.name, rows, look)
            found += standing.ended(underway, self.name, rows, look)
        found += self._strangers(look, rows, adopt=True)
        for finding in found:
            self._repair(finding)
        self._sweep_outside(look, rows, adopt=True)
        if any(finding.kind is Difference.UNKNOWN_AGENT_LEG for finding in found):
            # These agents are free, and their phones hear of it in a moment; see `OfferEnded.phone_told`.
            gevent.sleep(_PHONES_TOLD_S)
        if found:
            kinds = Counter(str(finding.kind) for finding in found)
            log.info("caught up with the switch", switch=self.name, **kinds)

    def look_on(self, away: Absence) -> None:
        """Another daemon serves the switch: learn which of our calls have ended there, or have come to talk.

        Only questions are asked, and only these ends and talks are told: the rest is the other daemon's.
        """
        look = Round(self._pipeline, _LOOK_ON_S)
        rows = differences.channels(look)
        if rows is None:
            return
        underway = self._runtime.underway()
        look.ahead(missed.asked_for(underway, self.name, rows, away))
        for finding in missed.findings(underway, self.name, rows, look, self._returned, away, self._talk):
            if finding.kind in _OVER and finding.fact is not None:
                self._runtime.post(finding.fact)

    def compare(self) -> bool:
        """Look for differences twice, because the list lags and facts are on their way; repair what differs both times.

        Returns whether all was found to be right.
        """
        first = self._differences()
        if not first:
            return first is not None and not self._awaits_legs()
        gevent.sleep(LIST_LAG_S)
        known = {(finding.kind, finding.leg) for finding in first}
        for finding in self._differences() or ():
            if (finding.kind, finding.leg) in known:
                self._settle(finding)
        return False

    def who_wait(self) -> list[str]:
        """The legs of the callers who wait on this switch, as far as the engine knows."""
        calls = self._runtime.underway().calls
        return [call.leg.uuid for call in calls if call.leg is not None and _waits(call, self.name)]

    def ask_for(self, legs: Collection[str]) -> list[str]:
        """Ask for these legs, whose callers have missed their announcements, and repair what differs.

        Returns the legs whose callers still wait, as far as is known.
        """
        look = Round(self._pipeline, _ANSWER_S)
        underway = self._runtime.underway()
        waiting = [call for call in underway.calls if _is_expected(call, self.name, legs)]
        asked = replace(underway, calls=tuple(waiting), offers=())
        found = list(missed.findings(asked, self.name, {}, look, self._returned, talk=self._talk, silent=True))
        for finding in missed.unchanged(found, underway, self._runtime.underway(), self.name):
            self._settle(finding)
        elsewhere = {finding.leg for finding in found if finding.fact is not None}
        return [call.leg.uuid for call in waiting if call.leg is not None and call.leg.uuid not in elsewhere]

    def _differences(self) -> list[Finding] | None:
        """What differs now; None when the switch had too little time to say."""
        look = Round(self._pipeline, _ANSWER_S)
        rows = differences.channels(look)
        if rows is None:
            return None
        for _ in range(self._sweep_outside(look, rows, adopt=False)):
            self.on_repair(str(Difference.OUTSIDE_CALL))
        underway = self._runtime.underway()
        # Before all others: a call whose leg has gone goes on with the leg that took it over.
        found = self._heirs(look, rows, underway)
        found += missed.findings(underway, self.name, rows, look, self._returned, talk=self._talk)
        found += missed.in_limbo(underway, self.name, rows)
        found += talks.findings(underway, self.name, rows, look)
        found += standing.ended(underway, self.name, rows, look)
        found += self._strangers(look, rows, adopt=False)
        found = missed.unchanged(found, underway, self._runtime.underway(), self.name)
        return found if found or not look.is_over else None

    def _awaits_legs(self) -> bool:
        """Whether the switch may still be making legs of which it has said nothing: it is asked again soon."""
        underway = self._runtime.underway()
        ours = (offer for offer in underway.offers if offer.switch == self.name)
        return any(missed.may_be_in_the_making(offer, underway.now_ms) for offer in ours)

    def _await_recovery(self) -> None:
        """Wait while the switch recovers the calls of before its crash; calls that are missing after that are lost.

        It brings them back one after the other, twelve milliseconds each under load: as long as one more comes within
        `recovery_wait`, the others may still come.
        """
        missing = missed.recoverable(self._runtime.underway(), self.name)
        began = heard = time.monotonic()
        while missing and self._is_ours():
            gone = [
                wire
                for wire, reply in zip(missing, self._pipeline.all(missing), strict=True)
                if differences.is_gone(reply)
            ]
            now = time.monotonic()
            if len(gone) < len(missing):
                missing, heard = gone, now
            if now - heard >= self._recovery_wait_s or now - began >= _LONGEST_RECOVERY_S:
                return
            gevent.sleep(_RECOVERY_LOOK_S)

    def _heirs(self, look: Round, rows: dict[str, differences.Row], underway: Underway) -> list[Finding]:
        legs = heirs.suspected(rows)
        look.ahead([wire for leg in legs if (wire := differences.question(leg)) is not None])
        return list(heirs.findings(underway, self.name, legs, look))

    def _strangers(self, look: Round, rows: dict[str, differences.Row], *, adopt: bool) -> list[Finding]:
        legs = strangers.suspected(self._runtime.underway(), self.name, rows)[:_MOST_STRANGERS]
        look.ahead([wire for leg in legs if (wire := differences.question(leg)) is not None])
        now_ms = monotonic_ms()
        if self._clock().before is None and (newest := strangers.newest_recovered(legs, look)) is not None:
            self._set_clock(self._clock().with_recovered(newest))
        waiting = partial(self._reader.waiting, clock=self._clock(), now_ms=now_ms)
        return strangers.findings(legs, look, waiting, self._talk if adopt else None, self.name)

    def _talk(self, callers: Message, agents: Message) -> TalkFound | None:
        return self._reader.talk(callers, agents, self._clock(), monotonic_ms())

    def _returned(self, leg: Message) -> CallReturned:
        return self._reader.returned(leg, self._clock(), monotonic_ms())

    def _sweep_outside(self, look: Round, rows: dict[str, differences.Row], *, adopt: bool) -> int:
        if self._outside is None:
            return 0
        if adopt:
            self._outside.recall(self._runtime.outside_legs(self.name))
        offers = [leg for offer in self._runtime.underway().offers for leg in offer.live_legs]
        return self._outside.sweep(look, offers, adopt=adopt, rows=rows)

    def _settle(self, finding: Finding) -> None:
        """Repair what surely differs, and tell so."""
        if not self._is_ours():
            return
        kind, name = str(finding.kind), self.name
        seldom(log.warning, kind, "engine and switch differed", group=name, switch=name, what=kind, leg=finding.leg)
        self.on_repair(kind)
        self._repair(finding)

    def _repair(self, finding: Finding) -> None:
        for fact in (finding.fact, finding.then):
            if fact is not None:
                self._runtime.post(fact)
        if finding.remedy is not None:
            self._act(finding.remedy)


def _is_expected(call: CallView, switch: str, legs: Collection[str]) -> bool:
    """Whether this call's caller waits on one of these legs, and should announce themselves."""
    return _waits(call, switch) and call.leg is not None and call.leg.uuid in legs


def _waits(call: CallView, switch: str) -> bool:
    return call.leg is not None and call.leg.switch == switch and call.state in ("waiting", "offered")
