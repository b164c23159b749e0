"""Puts another configuration in force: worked out in parts, while calls go on, and then changed in one go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from fsacd.caller.recognition import Recognition
from fsacd.caller.timetable import Timetable
from fsacd.config.effects import Effects, effects
from fsacd.core.amending import differing
from fsacd.core.events import RulesAmended
from fsacd.core.show.parts import InParts
from fsacd.daemon.guarding import Guard
from fsacd.daemon.in_force import InForce
from fsacd.daemon.plugging import CurrentPlugins
from fsacd.daemon.reading import Current
from fsacd.daemon.wiring import HistoryParts
from fsacd.errors import FsacdError
from fsacd.esl.carried import Carried
from fsacd.esl.features import Desk
from fsacd.esl.phones import Phones
from fsacd.log import setup as logs
from fsacd.metrics.exposition import Metrics
from fsacd.runtime.loop import Runtime
from fsacd.runtime.memory import keep_memory

log = structlog.get_logger(__name__)

# From so many changed things on, those that have come are exempt from garbage collection, as they were at the start.
_MANY: Final = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be put in force. An event of None: the engine's rules are the same."""

    new: Current
    event: RulesAmended | None
    phones: Phones | None


@dataclass(slots=True)
class Parts:
    """The parts of the daemon that take a configuration, and the one that is in force."""

    current: Current
    plugins: CurrentPlugins
    runtime: Runtime
    metrics: Metrics
    timetable: Timetable
    guard: Guard
    desk: Desk
    recognition: Recognition
    carried: Carried
    history: HistoryParts | None

    def begin(self) -> None:
        """Take what is in force from the start on."""
        config = self.current.config
        self.metrics.set_rules(config.rules)
        self._recognise(config)
        self._tell_of_agents(config)

    def prepare(self, new: Current) -> InParts[Prepared]:
        """Work out what the change needs, in parts: facts may be handled meanwhile."""
        config, before = new.config, self.current.config
        event = yield from differing(before.rules, config.rules, self.runtime.edition, self._anew(new))
        if event is not None:
            yield from self.runtime.prepare(event)
        phones = None if config.members is before.members else (yield from self.desk.phones_of(config.members))
        return Prepared(new, event, phones)

    def _anew(self, new: Current) -> list[str]:
        """The queues whose plugins are others now, or have failed: they have their chance at each reload."""
        others = (
            new.catalogue.others_than(self.current.catalogue) if new.catalogue is not self.current.catalogue else ()
        )
        failed = {one.queue for one in self.runtime.substituted()}
        return [
            name
            for name, queue in new.config.rules.queues.items()
            if name in failed or queue.strategy in others or queue.call_order in others
        ]

    def effects(self, new: Current) -> Effects:
        """What the change would do to the callers and agents of the moment."""
        rules = new.config.rules
        calls, agents = self.runtime.look().beyond(rules.queues, rules.agents)
        return effects(rules, calls, agents)

    def change(self, prepared: Prepared) -> None:
        """Put this configuration in force. Nothing here yields."""
        new, before = prepared.new, self.current.config
        config = new.config
        self.plugins.catalogue = new.catalogue
        if prepared.event is not None:
            try:
                self.runtime.ask(prepared.event)
            except FsacdError:
                self.plugins.catalogue = self.current.catalogue
                raise
        if config.rules.queues is not before.rules.queues:
            self.metrics.set_rules(config.rules)
        self.timetable.replace(config.hours, config.rules.renamed())
        self.guard.configure(config, prepared.phones)
        self.current = new
        self._recognise(config, before)
        self._tell_of_agents(config)

    def settle(self, before: Current) -> InParts[None]:
        """Do what can wait until the change is made, in parts."""
        if self.current.config.places is not before.config.places:
            yield from self.guard.look_around()
        if self.current.changed >= _MANY:
            keep_memory()

    def _tell_of_agents(self, config: InForce) -> None:
        """Give figures by agent, or not: in explanations, in the log, in reports."""
        self.runtime.agent_figures = config.agent_figures
        logs.show_agents(config.agent_figures)
        if self.history is not None:
            self.history.show_agents(config.agent_figures)

    def _recognise(self, config: InForce, before: InForce | None = None) -> None:
        self.recognition.believes_unmarked = config.believes_unmarked
        self.recognition.may_see = config.may_see
        self.carried.replace(config.agent_variables)
        if self.recognition.limit != config.customers_limit:
            self.recognition.limit = config.customers_limit
            if self.history is not None:
                self.history.customer_feed.read_anew()
        if before is not None and config.customers is before.customers:
            return
        left_out = self.recognition.take_configured(config.customers, config.customers_refused)
        if left_out:
            log.warning("customers", what=left_out)
