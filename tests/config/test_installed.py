"""What `fsacd check` tells of the files that are installed on a switch, and that the shipped ones are what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fsacd.config.check import GOOD, check
from fsacd.config.installed import (
    COMMANDS,
    DIALPLAN_VERSION,
    EVENTS,
    KNOWN_PASSWORDS,
    notes_on_installed,
    too_old,
    version_of,
)
from tests.config.few_plugins import few_plugins

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "freeswitch"
OLD = REPOSITORY / "tests" / "sim" / "data" / "dialplan_1.xml"
# What mod_event_socket has room for in its answer to userauth (char reply[512]), and what stands around the two lists.
LOGIN_ANSWER = 511
AROUND = len("~Reply-Text: +OK accepted\nAllowed-Events: \nAllowed-API: \nAllowed-LOG: false\n\n")


def install(place: Path, dialplan: Path = SHIPPED / "dialplan" / "fsacd.xml", password: str = "f00d") -> Path:
    """A configuration of FreeSWITCH with the files of freeswitch/ where they belong."""
    for source, target in (
        (dialplan, "dialplan/fsacd.xml"),
        (SHIPPED / "directory" / "fsacd_link.xml", "directory/default/fsacd_link.xml"),
        (SHIPPED / "directory" / "agent.xml", "directory/default/agent.xml"),
        (SHIPPED / "autoload_configs" / "event_socket.conf.xml", "autoload_configs/event_socket.conf.xml"),
    ):
        file = place / target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source.read_text(encoding="utf-8").replace("REPLACE-THIS-PASSWORD", password), encoding="utf-8")
    return place


def test_the_shipped_files_are_what_this_fsacd_needs(tmp_path: Path) -> None:
    """The dialplan's own version, and the rights, no more and no fewer."""
    assert version_of((SHIPPED / "dialplan" / "fsacd.xml").read_text(encoding="utf-8")) == DIALPLAN_VERSION
    rights = (SHIPPED / "directory" / "fsacd_link.xml").read_text(encoding="utf-8")
    found = {param: value.split() for param, value in re.findall(r'name="(esl-allowed-\w+)" value="([^"]*)"', rights)}
    assert found["esl-allowed-events"] == list(EVENTS)
    assert found["esl-allowed-api"] == list(COMMANDS)
    assert list(notes_on_installed([install(tmp_path)])) == []


def test_the_answer_to_the_login_is_not_cut() -> None:
    """FreeSWITCH repeats the rights in it, and an answer that is cut has no end: whoever logs in waits for ever."""
    assert AROUND + len(" ".join(EVENTS)) + len(" ".join(COMMANDS)) <= LOGIN_ANSWER


def test_check_tells_an_old_dialplan(tmp_path: Path) -> None:
    """In one sentence, beside what it says of the configuration; the configuration is no worse for it."""
    config = tmp_path / "fsacd.yaml"
    config.write_text("switches: {fs1: {password: long-enough}}\nqueues: {support: {}}\n", encoding="utf-8")
    place = install(tmp_path / "freeswitch", OLD)
    code, text = check(config, plugins=few_plugins, environ={}, installed=[place])
    assert code == GOOD
    assert text.splitlines()[-1] == f"{config}: note: {place}/dialplan/fsacd.xml is {too_old(1)}"


def test_check_tells_missing_rights(tmp_path: Path) -> None:
    """Each by its name, with the parameter that it belongs to."""
    place = install(tmp_path)
    link = place / "directory" / "default" / "fsacd_link.xml"
    text = link.read_text(encoding="utf-8").replace("CHANNEL_CREATE ", "").replace(" fsacd::feature", "")
    link.write_text(text.replace("hash ", ""), encoding="utf-8")
    assert list(notes_on_installed([place])) == [
        f"{link} does not allow fsacd CHANNEL_CREATE, fsacd::feature (esl-allowed-events)",
        f"{link} does not allow fsacd hash (esl-allowed-api)",
    ]
    link.write_text("<user id='fsacd'/>", encoding="utf-8")  # no list: all is allowed
    assert list(notes_on_installed([place])) == []


@pytest.mark.parametrize("password", KNOWN_PASSWORDS)
def test_check_tells_passwords_that_everybody_knows(tmp_path: Path, password: str) -> None:
    """In every shipped file that has one: of the Event Socket, of its user, of an agent's phone."""
    place = install(tmp_path, password=password)
    notes = list(notes_on_installed([place]))
    assert [note.partition(" still")[0].rpartition("/")[2] for note in notes] == [
        "event_socket.conf.xml",
        "fsacd_link.xml",
        "agent.xml",
    ]
    assert password not in " ".join(notes)


def test_what_is_not_there_or_no_file_is_passed_over(tmp_path: Path) -> None:
    """Nothing installed, a directory, a named pipe and bytes that are no text are no reason to complain or to wait."""
    assert list(notes_on_installed([tmp_path / "nowhere"])) == []
    (tmp_path / "dialplan" / "fsacd.xml").mkdir(parents=True)
    (tmp_path / "directory" / "default").mkdir(parents=True)
    os.mkfifo(tmp_path / "directory" / "default" / "fsacd_link.xml")
    assert list(notes_on_installed([tmp_path])) == []
    (tmp_path / "dialplan" / "fsacd.xml").rmdir()
    (tmp_path / "dialplan" / "fsacd.xml").write_bytes(b"\xff\xfe")
    assert [note.partition(" is ")[2] for note in notes_on_installed([tmp_path])] == [too_old(1)]
