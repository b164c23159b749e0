"""Turns the engine's views into the API's models: wall-clock times, seconds, numbers for those who may see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from fsacd.caller.customers import called
from fsacd.core.show.look import Look
from fsacd.core.views import AgentView, CallView, Counts, LastTalkView, QueueView, Substituted, TalkView, WorkView
from fsacd.http import models as m
from fsacd.http import work_models as w
from fsacd.process.trouble import shortened

# Five digits or more in a row, as people write them, may be a telephone number wherever they stand.
_LONG_NUMBER = re.compile(r"\+?\d(?:[ ()/.\-]{0,2}\d){4,}")


def timestamp(wall_ms: int) -> str:
    """Unix time in milliseconds as RFC 3339 in UTC."""
    text = datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds(ms: int) -> float:
    """Milliseconds as seconds, never negative, even if a clock was read a moment too early."""
    return max(0, ms) / 1000


def well_formed(text: str) -> str:
    """Text from a caller as valid Unicode: half a surrogate pair, which no JSON can carry, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def redacted(text: str, digits: int) -> str:
    """The text with every long number in it cut to its last digits."""

    def cut(match: re.Match[str]) -> str:
        plain = re.sub(r"\D", "", match.group())
        if len(plain) <= digits:
            return match.group()
        return "***" + (plain[-digits:] if digits else "")

    return _LONG_NUMBER.sub(cut, text)


@dataclass(frozen=True, slots=True)
class Presenter:
    """The engine as one reader may see it. `digits`: how many digits of a number a reader without the right sees."""

    look: Look
    wall_ms: Callable[[int], int]
    reveal: bool
    digits: int

    def at(self, engine_ms: int) -> str:
        """A moment of the engine's clock as RFC 3339."""
        return timestamp(self.wall_ms(engine_ms))

    def _caller_text(self, text: str) -> str:
        text = well_formed(text)
        return text if self.reveal else redacted(text, self.digits)

    def call(self, view: CallView) -> m.Call:
        """One call."""
        return m.Call(
            id=view.call_id,
            contact_id=view.contact_id,
            queue=view.queue,
            state=cast("m.CallStateName", view.state),  # pydantic checks it at run time
            position=view.position,
            priority=view.priority,
            head_start_seconds=seconds(view.head_start_ms),
            arrived_at=self.at(view.arrived_ms),
            waited_seconds=seconds(view.waited_ms),
            talked_seconds=seconds(view.talked_ms),
            waiting_since_at=None if view.waits_since_ms is None else self.at(view.waits_since_ms),
            talking_since_at=None if view.talks_since_ms is None else self.at(view.talks_since_ms),
            number=self._caller_text(view.number),
            number_believed=view.number_believed,
            # Switches often repeat the number as the name, and some sites use it as the customer's key.
            name=self._caller_text(view.name),
            customer=self._caller_text(view.customer),
            customer_id=called(view.customer_id) if view.customer_id else None,
            language=well_formed(view.language),
            required_skills=dict(view.required),
            reserved_for=view.reserved_for,
            agents=list(view.agent_ids),
            offers=view.offers,
            resumes=view.resumes,
            switch=view.leg.switch if view.leg else None,
            leg_uuid=view.leg.uuid if view.leg else None,
            talk=None if view.talk is None else self.talk(view.talk),
        )

    def talk(self, view: TalkView) -> w.Talk:
        """The talk of a call."""
        return w.Talk(
            id=view.talk_id,
            agent=view.agent_id,
            shape=cast("w.TalkShapeName", view.shape),  # as above
            shape_since_at=self.at(view.since_ms),
            becoming=view.becoming,
            colleague=view.third or None,
            number=self._caller_text(view.number) or None,
            queue=well_formed(view.queue) or None,
            muted=view.muted,
            held_by_phone=view.phone_holds,
        )

    def agent(self, view: AgentView) -> m.Agent:
        """One agent."""
        resting = dict(view.not_ready_for)
        return m.Agent(
            id=view.agent_id,
            name=well_formed(view.name),
            presence=cast("m.PresenceName", view.presence),  # pydantic checks it at run time, as the next ones
            presence_reason=well_formed(view.presence_reason),
            presence_since_at=self.at(view.presence_since_ms),
            work=[self._work(work) for work in view.work],
            room=view.room,
            standing_leg=cast("m.StandingLeg", view.standing_leg) if view.standing_leg else None,
            last_talk=None if view.last_talk is None else self._last_talk(view.last_talk),
            state=cast("m.AgentStateName", view.state),
            reason=well_formed(view.reason),
            since_at=self.at(view.since_ms),
            state_seconds=seconds(self.look.now_ms - view.since_ms),
            until_at=None if view.until_ms is None else self.at(view.until_ms),
            then=well_formed(view.then),
            # A contact may be an agent's private telephone.
            contact=self._caller_text(view.contact),
            queues=[
                m.Service(
                    queue=name,
                    rank=service.rank,
                    delay_seconds=seconds(service.delay_ms),
                    backup=service.backup,
                    weight=service.weight,
                    ready=name not in resting,
                    reason=well_formed(resting.get(name, "")),
                )
                for name, service in view.queues
            ],
            skills=dict(view.skills),
            call_id=view.call_id,
            caller=self._caller_text(view.caller),
        )

    def _work(self, view: WorkView) -> w.Work:
        return w.Work(
            offer_id=view.offer_id,
            call_id=view.call_id,
            queue=view.queue,
            channel=view.channel,
            weight=view.weight,
            state=cast("w.WorkStateName", view.state),
            since_at=self.at(view.since_ms),
            until_at=None if view.until_ms is None else self.at(view.until_ms),
            caller=self._caller_text(view.caller),
            codes=list(view.codes),
        )

    def _last_talk(self, view: LastTalkView) -> w.LastTalk:
        return w.LastTalk(
            offer_id=view.offer_id,
            call_id=view.call_id,
            queue=view.queue,
            ended_at=self.at(view.ended_ms),
            codes=list(view.codes),
        )

    def queue(self, view: QueueView) -> m.Queue:
        """One queue."""
        return m.Queue(
            name=view.name,
            waiting=view.waiting,
            offered=view.offered,
            talking=view.talking,
            oldest_wait_seconds=None if view.oldest_wait_ms is None else seconds(view.oldest_wait_ms),
            agents_logged_in=view.agents_logged_in,
            agents_not_ready=view.agents_not_ready,
            agents_ready=view.agents_ready,
            open=view.is_open,
            estimated_wait_seconds=None if view.estimated_wait_ms is None else seconds(view.estimated_wait_ms),
            strategy=view.strategy,
            call_order=view.call_order,
            substituted=[self._substituted(one) for one in view.substituted],
            answered=view.answered,
            abandoned=view.abandoned,
        )

    def _substituted(self, one: Substituted) -> m.Substituted:
        return m.Substituted(
            kind=cast("m.PostName", one.post),  # pydantic checks it at run time
            plugin=one.plugin,
            by=one.by or "the usual order",
            why=well_formed(shortened(one.why)),
            failures=one.failures,
            since_at=self.at(one.since_ms),
            again_at=self.at(one.again_ms),
        )

    def call_states(self, counts: Counts) -> dict[m.CallStateName, int]:
        """How many calls are in each state, those with none included."""
        states: tuple[m.CallStateName, ...] = ("waiting", "offered", "connecting", "talking")
        return {state: counts.calls.get(state, 0) for state in states}

    def agent_states(self, counts: Counts) -> dict[m.AgentStateName, int]:
        """How many agents are in each state."""
        return {cast("m.AgentStateName", state): count for state, count in sorted(counts.agents.items())}
