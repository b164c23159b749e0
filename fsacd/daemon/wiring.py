"""Translates the configuration into the parts' settings; one function for each part."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from fsacd.caller import timetable
from fsacd.caller.number_plan import NumberPlan
from fsacd.caller.recognition import Recognition
from fsacd.config.forms import domain_in
from fsacd.config.history import StoreSettings as StoreConfig
from fsacd.config.model import Config
from fsacd.config.settings import SwitchSettings
from fsacd.desk.rights import EVERYWHERE, Principal, Role, Scope
from fsacd.esl.features import Member
from fsacd.esl.settings import LinkSettings, RequireAck
from fsacd.http.access import Token
from fsacd.http.api import ApiSettings
from fsacd.http.customer_forms import Terms
from fsacd.journal.journal import Journal
from fsacd.journal.settings import JournalSettings
from fsacd.runtime.loop import Runtime
from fsacd.store.customer_book import CustomerBook
from fsacd.store.customers import CustomerFeed
from fsacd.store.explanations import Explainer
from fsacd.store.last_agents import LastAgents
from fsacd.store.moving import Moving
from fsacd.store.postgres import Store
from fsacd.store.reading import History
from fsacd.store.reporting import Reporting
from fsacd.store.retention import Retention
from fsacd.store.settings import Keep, StoreSettings

log = structlog.get_logger(__name__)


def link_settings(switch: SwitchSettings) -> LinkSettings:
    """How the link to this switch behaves."""
    assert switch.password is not None, "the reader refuses a switch without a password"
    return LinkSettings(
        password=switch.password.get_secret_value(),
        host=switch.host,
        port=switch.port,
        owner=switch.owner,
        user=switch.user or "",
        wake_up_ms=switch.wake_up_ms,
        probe_interval_ms=switch.probe_interval_ms,
        heartbeat_timeout_ms=switch.heartbeat_timeout_ms,
        connect_timeout_ms=switch.connect_timeout_ms,
        command_timeout_ms=switch.command_timeout_ms,
        reconnect_min_ms=switch.reconnect_min_ms,
        reconnect_max_ms=switch.reconnect_max_ms,
        silence_timeout_ms=switch.silence_timeout_ms,
        fence_term_ms=switch.fence_term_ms,
        fence_renewal_ms=switch.fence_renewal_ms,
        recovery_wait_ms=switch.recovery_wait_ms,
        require_ack=RequireAck(switch.require_ack),
        measure_callers=switch.measure_callers,
        reconcile_interval_ms=switch.reconcile_interval_ms,
        pending_limit=switch.pending_limit,
        inbox_limit=switch.inbox_limit,
    )


def tokens(config: Config) -> tuple[Token, ...]:
    """Who may use the API."""
    known = []
    for token in config.api.tokens:
        role, digest = Role(token.role), token.digest()
        if digest is not None:
            # The configuration's reader refuses a token of the role agent without an agent; here it could do nothing.
            scope = Scope(agents=frozenset(token.agent)) if role is Role.AGENT else EVERYWHERE
            known.append(Token(Principal(token.name, role.verbs, scope, token.expires), bytes.fromhex(digest)))
    return tuple(known)


def api_settings(config: Config) -> ApiSettings:
    """How the API behaves and who may use it."""
    api = config.api
    return ApiSettings(
        host=api.listen.host,
        port=api.listen.port,
        tokens=tokens(config),
        allowed_hosts=api.allowed_hosts,
        connection_limit=api.connections,
        per_address=api.connections_per_address,
        open_metrics=api.open_metrics,
        number_digits=config.log.number_digits,
        body_limit=api.body_limit,
        rate=float(api.request_rate),
        burst=float(api.request_burst),
        answer_deadline_s=api.request_timeout_ms / 1000,
    )


def store_settings(store: StoreConfig, plan: NumberPlan) -> StoreSettings:
    """Where history goes."""
    assert store.dsn is not None, "the reader refuses a store without a connection"
    return StoreSettings(
        dsn=store.dsn.get_secret_value(),
        queue_limit=store.queue_limit,
        batch=store.batch,
        retry_min_ms=store.retry_min_ms,
        retry_max_ms=store.retry_max_ms,
        statement_timeout_ms=store.statement_timeout_ms,
        spool=spool_directory(store),
        spool_limit=store.spool.limit,
        plan=plan,
        keep=Keep(
            calls_ms=store.keep.calls_ms,
            decisions_ms=store.keep.decisions_ms,
            changes_ms=store.keep.changes_ms,
            agent_states_ms=store.keep.agent_states_ms,
            visits_ms=store.keep.visits_ms,
        ),
    )


def spool_directory(store: StoreConfig) -> Path | None:
    """The directory where history waits on disk; None: it waits in memory only."""
    return _own_directory(store.spool.directory, "spool")


def _own_directory(given: str | None, name: str) -> Path | None:
    """The configured directory, else one in the state directory that systemd gives the service, if there is one."""
    if given is not None:
        return Path(given)
    # systemd may name several directories, with colons between; the first is the service's own.
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) / name if state else None


def journal_directory(config: Config) -> Path | None:
    """The journal's directory; None: there is no journal."""
    return _own_directory(config.journal.directory, "journal")


def journal(config: Config) -> Journal | None:
    """The journal, in its directory; None if there is none. Raises FsacdError if it cannot be used."""
    directory = journal_directory(config)
    if directory is None:
        log.warning("there is no journal: a restart forgets who waits and who is logged in", why="no journal.directory")
        return None
    settings = JournalSettings(
        directory,
        snapshot_entries=config.journal.snapshot_entries,
        snapshot_s=config.journal.snapshot_interval_ms / 1000,
        plan=config.number_plan.plan(),
    )
    return Journal(settings, hours=timetable.BY)


class HistoryParts:
    """All that reads from and writes to the database, behind the calls."""

    def __init__(
        self,
        settings: StoreSettings,
        runtime: Runtime,
        recognition: Recognition,
        last_agents: int,
        on_customers: Callable[[], None],
    ) -> None:
        self.store = Store(settings, runtime.wall_ms)
        self.explainer = Explainer(runtime.explain_decision, self.store.put_rows, runtime.wall_ms)
        self.sinks = (self.store.put, self.explainer.sink)
        self._reading = History(settings)
        self.explanations = self._reading.explanations
        self.customer_feed = CustomerFeed(settings, recognition, after=on_customers)
        self.customers = CustomerBook(settings, self.customer_feed.wake)
        self._last_agents = LastAgents(settings, runtime.post, last_agents, key_of=recognition.remembered_as)
        self._moving = Moving(settings)
        self._retention = Retention(settings)
        self._reporting = Reporting(settings)

    def show_agents(self, on: bool) -> None:
        """From now on, give figures by agent or not: to reports, and in explanations."""
        self._reading.agent_figures = on
        self._reporting.show_agents(on)

    def start(self) -> None:
        """Begin to connect in the background."""
        self.store.start()
        self.explainer.start()
        self.customer_feed.start()
        self._last_agents.start()
        self._moving.start()
        self._retention.start()
        self._reporting.start()

    def stop(self) -> None:
        """Write for a few seconds what still waits, and end."""
        self._reporting.stop()
        self._retention.stop()
        self._moving.stop()
        self._last_agents.stop()
        self.customer_feed.stop()
        self.explainer.stop()
        self.store.stop()


def history(
    config: Config, runtime: Runtime, recognition: Recognition, on_customers: Callable[[], None]
) -> HistoryParts:
    """History, customers and last agents, in the configured database; `on_customers` is called when they change."""
    assert config.store is not None, "who has no store has no history"
    settings = store_settings(config.store, config.number_plan.plan())
    return HistoryParts(settings, runtime, recognition, config.limits.last_agents, on_customers)


def customer_terms(config: Config) -> Terms:
    """What a customer may refer to: the declared own fields, and the configured skills and agents."""
    skills = config.skills or {skill for agent in config.agents.values() for skill in agent.skills}
    return Terms(config.own_fields(), frozenset(skills), frozenset(config.agents))


def members(config: Config) -> dict[str, Member]:
    """The agents as the desk of the feature codes needs them."""
    domains = config.agent_domains()
    found = {}
    for agent_id, agent in config.agents.items():
        pin = agent.pin.get_secret_value() if agent.pin is not None else None
        contact = config.agent_rules(agent_id).contact
        found[agent_id] = Member(agent_id, contact, pin, domains.get(agent_id, ""), domain_in(contact))
    return found
