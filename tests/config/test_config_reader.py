"""The reader: whatever the file holds, it gives a configuration or the list of what is wrong."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from fsacd.config import hours
from fsacd.config.blocks import Settings, block_of, settings_of
from fsacd.config.model import Config
from fsacd.config.plugins import Catalogue, Chosen, PluginKind
from fsacd.config.problems import ConfigErrors
from fsacd.config.reader import MAX_BYTES, load, parse
from fsacd.config.tree import MAX_DEPTH, MAX_VALUES
from fsacd.core.rules import Parameters
from fsacd.plugins import Catalogue as Catalogued
from tests.config.few_plugins import few_plugins

SWITCH = "switches: {fs1: {password: fine}}\n"


def read(text: str | bytes, **environ: str) -> Config:
    raw = text.encode() if isinstance(text, str) else text
    return parse(raw, Path("f.yaml"), plugins=few_plugins, environ=environ)


def problems(text: str | bytes, **environ: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text, **environ)
    return [str(problem) for problem in caught.value.problems]


def setting_names(block: type[Settings]) -> set[str]:
    inner = [block_of(field.annotation)[0] for field in settings_of(block).values()]
    return set(settings_of(block)).union(*(setting_names(one) for one in inner if one is not None))


WORDS = [
    *sorted(setting_names(Config)),
    "fs1",
    "support",
    "1001",
    "<<",
    "hangup",
    "USER_BUSY",
    "15s",
    "2m",
    "true",
    "7",
    "mon-fri",
    "08:00-18:00",
    "2026-12-24",
    "Europe/Berlin",
]
TEXTS = st.one_of(st.sampled_from(WORDS), st.none(), st.integers(-5, 99), st.text(max_size=8))
TREES: st.SearchStrategy[Any] = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


def never_surprises(raw: bytes) -> None:
    try:
        config = parse(raw, Path("f.yaml"), plugins=few_plugins, environ={})
    except ConfigErrors as errors:
        count = len(errors.problems)
    else:
        count = 1
        config.rules()
        config.opening_hours()
        config.known_customers()
    assert count > 0


@given(st.dictionaries(st.sampled_from(sorted(settings_of(Config))), TREES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_tree_is_read_or_refused(tree: Any) -> None:
    """Settings in any wrong shape raise nothing but the list of problems."""
    never_surprises(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass"))


@given(st.text(max_size=80) | st.text(alphabet="ab:-[]{},&*!|>'\"%@`#?\\xuU0<~ \t\n", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Text that is not YAML, or odd YAML, raises nothing but the list of problems."""
    never_surprises(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Bytes that are no text raise nothing but the list of problems."""
    never_surprises(raw)


MANY_MISTAKES = (Path(__file__).parent / "bad" / "everything.yaml").read_text(encoding="utf-8")


@given(st.integers(0, len(MANY_MISTAKES)), st.integers(0, 12), st.text(alphabet="ab:-[]{},&*!|>'\"#? \t\n", max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_slip_of_the_pen_is_read_or_refused(start: int, dropped: int, typed: str) -> None:
    """A file in which some characters were lost and others typed raises nothing but the list of problems."""
    never_surprises((MANY_MISTAKES[:start] + typed + MANY_MISTAKES[start + dropped :]).encode())


@pytest.mark.parametrize(
    "text",
    [
        '"\\UFFFFFFFF"',
        '"\\ud800": 1',
        "!x y",
        "!x {a: 1}",
        "a: 1\na: {b: !x c, d: *e}",
        "<<: {switches: 1}",
        "<<: [1, {a: b}]",
        "? {a: b}\n: {c: d}",
        "&a [*a, *b, &b c]",
        "%YAML 3.0\n---\n",
        "switches: {fs1: {password: {a: b}}}",
        "store: [1]\napi: {tokens: {a: b}}\n",
        "agents: {1: {queues: [[a], {b: c}, d, d]}, 2: {queues: {a: [1]}}}",
    ],
)
def test_odd_yaml_is_refused(text: str) -> None:
    """What only a program or an attacker writes is refused like any other mistake."""
    assert problems(text)


def test_an_alias_bomb_is_refused() -> None:
    """Nine lists of nine aliases each hold a thousand million values in a kilobyte, and are refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert f"more than {MAX_VALUES} values, those behind aliases counted at each use" in problems("\n".join(lines))[-1]


def test_depth_is_bounded() -> None:
    """A file that nests too deep is refused, by brackets as by aliases of aliases."""
    reason = f"nested deeper than {MAX_DEPTH} levels"
    assert reason in problems("[" * 100_000)[-1]
    chain = "\n".join(f"a{n}: &a{n} [[[[*a{n - 1}]]]]" for n in range(1, 40))
    assert reason in problems(f"a0: &a0 1\n{chain}")[-1]


def test_size_is_bounded() -> None:
    """A file beyond the limit is refused before it is read as YAML."""
    assert problems(b"#" * (MAX_BYTES + 1)) == ["f.yaml: larger than 4 MiB"]


def test_the_number_of_entries_is_bounded() -> None:
    """A list or a table longer than it may be is refused as one problem."""
    many = ", ".join(f"s{n}" for n in range(33))
    assert problems(f"{SWITCH}queues: {{a: {{required_skills: {{{many.replace(',', ': 1,')}: 1}}}}}}\n") == [
        "f.yaml:2:14: queues.a.required_skills: at most 32 entries are allowed"
    ]
    paths = ", ".join(f"d{n}" for n in range(21))
    said = problems(f"{SWITCH}strategy_path: [{paths}]\n")
    assert said[0] == "f.yaml:2:1: strategy_path: at most 20 entries are allowed, got 21"


def test_a_machine_without_time_zones_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no time zone data, the sentence says what to install and not that the name is wrong."""

    def nothing(key: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError(key)

    monkeypatch.setattr(hours, "ZoneInfo", nothing)
    monkeypatch.setattr(hours, "available_timezones", set)
    with pytest.raises(PydanticCustomError, match="this machine has no time zone data; install"):
        hours.Zone().read("Europe/Berlin")


def test_problems_are_bounded() -> None:
    """A file with a mistake in every line does not drown the terminal."""
    said = problems(SWITCH + "queues:\n" + "".join(f"  q{n}: {{wrap_up: soon}}\n" for n in range(3_000)))
    assert len(said) == 1_001
    assert said[-1] == "f.yaml:1003:1: 2000 more problems from here on"


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that cannot be read is said with the reason."""
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "none.yaml", plugins=few_plugins)
    assert str(caught.value) == f"{tmp_path}/none.yaml: cannot read the configuration: no such file or directory"


def test_aliases_and_merges_mean_what_they_say() -> None:
    """An alias repeats a block, and `<<` fills in what a block does not say itself."""
    config = read(
        f"{SWITCH}queues:\n  a: &a {{ring_timeout: 15s, wrap_up: 5s}}\n  b: *a\n  c:\n    <<: *a\n    wrap_up: 7s\n"
    )
    times = {name: (queue.ring_timeout_ms, queue.wrap_up.time_ms) for name, queue in config.queues.items()}
    assert times == {"a": (15_000, 5_000), "b": (15_000, 5_000), "c": (15_000, 7_000)}


def test_numbers_that_name_something_stay_text() -> None:
    """An extension, an id or a password of digits keeps its zeros, quoted or not."""
    config = read(
        "switches: {fs1: {password: 0123}}\n"
        "queues: {0100: {when_full: {extension: 0900}}}\n"
        "agents: {0017: {queues: [0100], pin: 0042}}\n"
    )
    password, pin = config.switches["fs1"].password, config.agents["0017"].pin
    assert password is not None
    assert pin is not None
    assert (password.get_secret_value(), pin.get_secret_value()) == ("0123", "0042")
    assert config.queues["0100"].when_full.extension == "0900"


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    """Editors that mark UTF-8 do no harm."""
    assert read(b"\xef\xbb\xbf" + SWITCH.encode()).instance == "fsacd"


def test_an_unknown_strategy_is_measured_against_those_there_are() -> None:
    """Which strategies exist is told to the reader, not built into it."""
    text = f"{SWITCH}queues: {{support: {{strategy: NAME}}}}\n"
    config = read(text.replace("NAME", "ring_progressive"))
    assert config.queues["support"].strategy == Chosen("ring_progressive")
    assert problems(text.replace("NAME", "round_robin")) == [
        "f.yaml:2:30: queues.support.strategy: unknown strategy 'round_robin'; there is longest_idle, ring_progressive"
    ]


def test_plugins_are_looked_for_beside_the_file() -> None:
    """Relative directories of plugins start at the configuration's directory."""
    asked: list[Path] = []

    def plugins(paths: Sequence[Path]) -> tuple[Catalogue, Sequence[object]]:
        asked.extend(paths)
        return few_plugins(())

    parse(f"{SWITCH}strategy_path: [own, /srv/own]\n".encode(), Path("/etc/f/f.yaml"), plugins=plugins, environ={})
    assert asked == [Path("/etc/f/own"), Path("/srv/own")]


def test_a_parameter_that_spoils_the_whole_is_said_at_the_plugin() -> None:
    """A complaint about no single parameter stands at the plugin's name."""
    text = f"{SWITCH}queues:\n  a: {{strategy: {{name: ring_progressive, every: 0}}}}\n"
    assert problems(text) == ["f.yaml:3:7: queues.a.strategy: every 0 s is all at once; take ring_all"]


def test_a_fault_of_the_catalogue_is_no_problem_of_the_file() -> None:
    """An exception that is no complaint about a parameter comes through."""

    class Broken:
        def names(self, kind: PluginKind) -> Collection[str]:
            return ("longest_idle",)

        def read_parameters(self, kind: PluginKind, name: str, raw: Mapping[str, object]) -> Parameters:
            raise RuntimeError("broken")

    text = f"{SWITCH}queues: {{a: {{strategy: longest_idle}}}}\n"
    with pytest.raises(RuntimeError, match="broken"):
        parse(text.encode(), Path("f.yaml"), plugins=lambda paths: (Broken(), ()), environ={})


class TestSecrets:
    def test_a_file_is_looked_up_beside_the_configuration(self, tmp_path: Path) -> None:
        """A relative secret file starts at the configuration's directory, and its last newline is no part of it."""
        (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
        (tmp_path / "secret").chmod(0o600)
        (tmp_path / "f.yaml").write_text("switches: {fs1: {password_file: secret}}", encoding="utf-8")
        password = load(tmp_path / "f.yaml", plugins=few_plugins, environ={}).switches["fs1"].password
        assert password is not None
        assert password.get_secret_value() == "from a file"

    def test_the_environment_and_systemd_give_secrets(self, tmp_path: Path) -> None:
        """A secret comes from a variable, or from a credential that systemd passed."""
        (tmp_path / "fs2").write_text("from systemd", encoding="utf-8")
        (tmp_path / "fs2").chmod(0o440)
        text = "switches: {fs1: {password_env: PW}, fs2: {password_credential: fs2}}"
        config = read(text, PW="from outside", CREDENTIALS_DIRECTORY=str(tmp_path))
        given = [switch.password.get_secret_value() for switch in config.switches.values() if switch.password]
        assert given == ["from outside", "from systemd"]

    def test_the_default_password_is_refused_from_wherever_it_comes(self) -> None:
        """ClueCon and that of our own files are refused in a variable too, and accepted when asked for."""
        for known in ("ClueCon", "REPLACE-THIS-PASSWORD"):
            assert "the default password" in problems("switches: {fs1: {password_env: PW}}", PW=known)[0]
        allowed = "switches: {fs1: {password: ClueCon, allow_default_password: true}}"
        assert read(allowed).switches["fs1"].allow_default_password

    def test_a_password_of_the_shipped_files_is_no_secret_anywhere(self) -> None:
        """Neither as a token of the API nor as the database's password."""
        text = (
            "switches: {fs1: {password: x}}\napi: {tokens: [{name: a, token: REPLACE-THIS-PASSWORD}]}\n"
            "store: {dsn: 'postgresql://u:REPLACE-THIS-PASSWORD@h/d'}\n"
        )
        assert ["everybody knows" in problem for problem in problems(text)] == [True, True]

    def test_a_secret_does_not_show_itself(self) -> None:
        """Neither the configuration's text nor its dump holds a secret."""
        text = (
            "switches: {fs1: {password: hunter2}}\nstore: {dsn: postgresql://u:hunter2@h/d}\n"
            "api: {tokens: [{name: a, token: hunter2hunter2hunter2}]}\nagents: {1001: {pin: 271828}}\n"
        )
        config = read(text)
        shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
        assert [secret for secret in ("hunter2", "271828") if secret in shown] == []

    def test_a_token_is_known_by_its_sum(self) -> None:
        """A token and its SHA-256 sum are the same token."""
        digest = "62249369389075490555a758353aec61500c6218fa597252d52dc4bd0148f12d"
        text = SWITCH + "api: {tokens: [{name: a, WAY}]}\n"
        ways = ("token: correct-horse-battery", f"token_sha256: {digest}", f"token_sha256: {digest.upper()}")
        assert [read(text.replace("WAY", way)).api.tokens[0].digest() for way in ways] == [digest] * 3

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"", "it is empty"), (b"\xff\xfe", "it is not UTF-8 text"), (b"x" * 70_000, "it is larger than 64 KiB")],
    )
    def test_an_unusable_file_is_said(self, tmp_path: Path, content: bytes, reason: str) -> None:
        """A secret file that holds no secret is refused with the reason."""
        secret = tmp_path / "secret"
        secret.write_bytes(content)
        secret.chmod(0o600)
        said = problems(f"switches: {{fs1: {{password_file: {secret}}}}}")
        assert len(said) == 1
        assert said[0].endswith(f"/secret': {reason}")

    def test_a_named_pipe_does_not_hold_the_daemon(self, tmp_path: Path) -> None:
        """Something else than a file in the secret's place is refused at once."""
        os.mkfifo(tmp_path / "secret")
        said = problems(f"switches: {{fs1: {{password_file: {tmp_path}/secret}}}}")
        assert said[0].endswith("it is not a regular file")


def test_the_parameters_of_a_real_strategy_are_read_and_refused(tmp_path: Path) -> None:
    """The catalogue of the daemon does what the reader expects of one, a directory of the operator's with it."""
    (tmp_path / "own").mkdir(mode=0o755)
    (tmp_path / "own" / "mine.py").write_text("API_VERSION = 0\n", encoding="utf-8")
    text = f"{SWITCH}queues:\n  a: {{strategy: {{name: ring_progressive, every: TIME}}}}\n"
    path = tmp_path / "f.yaml"
    config = parse(text.replace("TIME", "7s").encode(), path, plugins=Catalogued.load, environ={})
    assert config.rules().queues["a"].strategy_parameters == (("every", 7_000),)
    raw = f"strategy_path: [own]\n{text.replace('TIME', 'soon')}".encode()
    with pytest.raises(ConfigErrors) as caught:
        parse(raw, path, plugins=Catalogued.load, environ={})
    own, every = caught.value.problems
    assert (own.line, own.column, own.path) == (1, 17, "strategy_path[0]")
    assert own.text.startswith(f"{tmp_path}/own/mine.py")
    assert (every.line, every.column, every.path) == (4, 49, "queues.a.strategy.every")
    assert "'soon'" in every.text
