"""What the configuration accepts, every part can work with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsacd.caller.number_plan import PLAIN
from fsacd.config import forms
from fsacd.config.history import StoreSettings
from fsacd.config.model import Config
from fsacd.core import contact
from fsacd.core.commands import ConfirmTalk, EndCall, RingAgent, SendCall
from fsacd.core.events import Leg
from fsacd.core.rules import ToExtension
from fsacd.daemon import wiring
from fsacd.esl.orders import to_wires
from fsacd.store.settings import Keep

CALL = "11111111-2222-4333-8444-555555555555"
LEG = Leg("fs1", "aaaaaaaa-2222-4333-8444-555555555555")

names = st.from_regex(re.compile(forms.NAME.pattern, re.ASCII), fullmatch=True)
extensions = st.from_regex(re.compile(forms.EXTENSION.pattern, re.ASCII), fullmatch=True)
contacts = st.from_regex(contact.ONE_PHONE, fullmatch=True).filter(forms.contact_is_safe)


@given(names, names, contacts)
def test_every_agent_and_queue_of_a_configuration_can_be_rung(queue: str, agent_id: str, where: str) -> None:
    """No accepted name or contact is refused by the encoder: its agent would never get a call."""
    ring = RingAgent(CALL, CALL, agent_id, queue, where, "fs1", "", "", 600_000)
    assert len(to_wires(ring)) == 1


@given(extensions, names)
def test_a_caller_can_be_sent_to_every_target_of_a_configuration(extension: str, context: str) -> None:
    """No accepted extension or context is refused by the encoder: its caller would wait for ever."""
    target = ToExtension(extension, context)
    assert (len(to_wires(SendCall(CALL, LEG, target))), len(to_wires(ConfirmTalk(CALL, LEG, target)))) == (2, 1)


@pytest.mark.parametrize("cause", sorted(forms.CAUSES))
def test_a_call_can_be_ended_with_every_cause_of_a_configuration(cause: str) -> None:
    """Each accepted cause is a word of the command."""
    (wire,) = to_wires(EndCall(CALL, LEG, cause))
    assert wire.data.endswith(f" {cause}\n\n".encode())


@pytest.mark.parametrize(
    ("given_directory", "state", "expected"),
    [
        (None, None, None),
        (None, "/var/lib/fsacd", "/var/lib/fsacd/spool"),
        (None, "/var/lib/fsacd:/var/lib/more", "/var/lib/fsacd/spool"),
        ("/srv/spool", "/var/lib/fsacd", "/srv/spool"),
    ],
)
def test_where_history_waits(
    given_directory: str | None, state: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History waits where the configuration says, else in the service's own directory, else nowhere on disk."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    if state is not None:
        monkeypatch.setenv("STATE_DIRECTORY", state)
    store = StoreSettings.model_validate({"dsn": "dbname=x", "spool": {"directory": given_directory, "limit": "3MB"}})
    settings = wiring.store_settings(store, PLAIN)
    assert settings.spool == (None if expected is None else Path(expected))
    assert settings.spool_limit == 3_000_000


def test_how_long_history_is_kept() -> None:
    """Each table has its own time, and null means for ever."""
    day_ms = 86_400_000
    usual = wiring.store_settings(StoreSettings.model_validate({"dsn": "dbname=x"}), PLAIN)
    assert usual.keep == Keep(400 * day_ms, 30 * day_ms, 400 * day_ms, 90 * day_ms, visits_ms=400 * day_ms)
    keep = {"calls": None, "decisions": "2d", "visits": "3d"}
    other = StoreSettings.model_validate({"dsn": "dbname=x", "keep": keep})
    kept = Keep(None, 2 * day_ms, 400 * day_ms, 90 * day_ms, visits_ms=3 * day_ms)
    assert wiring.store_settings(other, PLAIN).keep == kept


@pytest.mark.parametrize(
    ("given_directory", "state", "expected"),
    [(None, None, None), (None, "state", "state/journal"), ("given", "state", "given")],
)
def test_where_the_journal_is(
    given_directory: str | None,
    state: str | None,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The journal is where the configuration says, else in the service's own directory; else there is none."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    if state is not None:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / state))
    directory = None if given_directory is None else str(tmp_path / given_directory)
    journal = wiring.journal(Config.model_validate({"journal": {"directory": directory}}))
    assert (journal is None) == (expected is None)
    if journal is not None and expected is not None:
        assert (tmp_path / expected / "lock").exists()
        journal.close()
