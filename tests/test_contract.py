"""The contract kit: what it finds in a plugin, and what it tells of one that is fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsacd import contract
from fsacd.contract import call, call_order, candidate, check_strategy, ring_order
from fsacd.strategy import AgentFacts, BaseKeyStrategy, BaseRankStrategy, Key, Ring, ServiceFacts, SkillLevels
from tests.wording import words

KEY = """\
from fsacd.strategy import BaseKeyStrategy, Ring

API_VERSION = 1

{top}
class Strategy(BaseKeyStrategy):
    def key(self, agent, service, required):
        {body}
"""
RANK = """\
from fsacd.strategy import BaseRankStrategy

API_VERSION = 1

class Strategy(BaseRankStrategy):
    def rank(self, call, candidates, chance):
        {body}
"""


def complaints(directory: Path, text: str, *, elsewhere: bool = False) -> list[str]:
    """What the kit says of a file, which it calls odd.py."""
    path = directory / "odd.py"
    path.write_text(text, encoding="utf-8")
    return [complaint.replace(str(path), "odd.py") for complaint in check_strategy(path, elsewhere=elsewhere)]


AGAIN = "odd.py: it answers differently when it is asked again; an answer must depend on the arguments alone"
IDS = "sorted(one.agent.agent_id for one in candidates)"


IMPURE = (
    ("last.append(1); return (len(last),)", "last = []"),
    ("self.n = getattr(self, 'n', 0) + 1; return (self.n,)", ""),
)
BY_SUM_AND_MORE = """asked = dict(required or agent.skills)
        return (-sum(level for skill, level in agent.skills if skill in asked), len(required))
    by_skill = by_sum = True"""
WRONG = (
    ("return (agent.recent_calls - agent.recent_calls,)", "key() returned (nan,); NaN has no place in an order"),
    (
        "return (len(required),)",
        "key() looks at what is required, but without by_skill = True it is asked with nothing there",
    ),
    (
        "return (-len(agent.skills), 1)\n    by_skill = by_sum = True",
        "by_sum is True, but key() does not begin with the negated sum of levels, or goes on by them",
    ),
    (
        BY_SUM_AND_MORE,
        "by_sum is True, but key() does not begin with the negated sum of levels, or goes on by them",
    ),
    ("return (max(agent.skills)[1],)", f"key() raised ValueError in line 8: {words('max(())')}"),
    ("return (1,) if service.place else (1, 2)", "key() returned 1 numbers, and 2 before; all keys are alike"),
    ("agent.skills = (); return (1,)", "key() raised AttributeError in line 8: can't set attribute"),
    ("while True: pass", "key() took longer than 20 ms of processor time and was interrupted"),
    (
        "return (1,)\n    def start(self, start):\n        return (1,)",
        "start() is never asked, because goes_round is False",
    ),
    (
        "return (1,)\n    goes_round = True\n    def start(self, start): return (start.queue_last_place,)",
        "start() returned (nothing,); a tuple of numbers was expected",
    ),
)


@pytest.mark.parametrize(
    ("body", "top", "expected"),
    [
        ("return (agent.idle_since_ms,)", "", []),
        ("return (1.0 * agent.recent_calls, -len(agent.skills))", "", []),
        *((body, top, [AGAIN]) for body, top in IMPURE),
        *((body, "", [f"odd.py: {sentence}"]) for body, sentence in WRONG),
        (
            "return (1,)",
            "import time",
            ["odd.py:5: imports time: a plugin has no clock of its own; the times are in the facts"],
        ),
    ],
)
def test_what_is_found_in_a_key_strategy(tmp_path: Path, body: str, top: str, expected: list[str]) -> None:
    """Every breach of the contract is one sentence."""
    assert complaints(tmp_path, KEY.format(body=body, top=top)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"return {IDS}", []),
        (f"return sorted({IDS}, key=lambda _: chance.random())", []),
        (f"return {IDS}[:-1]", ["odd.py: rank() left out 'agent-0000'; all candidates were expected"]),
        (f"return {IDS} + ['zoe']", ["odd.py: rank() returned 'zoe', who is no candidate"]),
        (f"return {IDS} + {IDS}", ["odd.py: rank() returned 'agent-0000' twice"]),
        (f"self.n = getattr(self, 'n', 0) + 1; return {IDS}[::1 if self.n % 3 else -1]", [AGAIN]),
    ],
)
def test_what_is_found_in_a_rank_strategy(tmp_path: Path, body: str, expected: list[str]) -> None:
    """Every breach of the contract is one sentence."""
    assert complaints(tmp_path, RANK.format(body=body)) == expected


def test_a_set_is_found_in_another_process(tmp_path: Path) -> None:
    """The order of a set of texts is chance, and seen only where it is another one."""
    text = RANK.format(body="return list({one.agent.agent_id for one in candidates})")
    assert complaints(tmp_path, text) == []
    assert complaints(tmp_path, text, elsewhere=True) == [
        "odd.py: it answers differently in another process; perhaps it goes through a set, whose order is chance"
    ]


def test_a_good_plugin_is_good_in_another_process(tmp_path: Path) -> None:
    """What depends on its arguments alone answers alike everywhere."""
    assert complaints(tmp_path, RANK.format(body=f"return {IDS}"), elsewhere=True) == []


def test_a_new_instance_must_answer_alike(tmp_path: Path) -> None:
    """What the file remembers from one instance to the next is a memory, too."""
    text = KEY.format(
        body="return (self.n,)\n    def __init__(self):\n        made.append(1)\n        self.n = len(made)",
        top="made = []",
    )
    assert complaints(tmp_path, text) == [
        "odd.py: a new instance answers differently; an answer must depend on the arguments alone"
    ]


def test_a_slow_key_is_found(tmp_path: Path) -> None:
    """A key is asked for whenever an agent becomes ready; many are, in one moment."""
    slow_for = max(contract._decisions(), key=lambda one: len(one.candidates)).candidates[0].agent.idle_since_ms
    body = f"return (sum(range(200_000 if agent.idle_since_ms == {slow_for} else 1)),)"
    found = complaints(tmp_path, KEY.format(body=body, top=""))
    assert len(found) == 1
    assert found[0].startswith("odd.py: key() takes ")
    assert found[0].endswith(" ms for one answer; 1 ms is the most")


class Strategy(BaseKeyStrategy):
    """An author may give the class itself."""

    ring = Ring(2)

    def key(self, agent: AgentFacts, service: ServiceFacts, required: SkillLevels) -> Key:
        return (-agent.idle_since_ms,)


class Ranker(BaseRankStrategy):
    """Has no rank."""


def test_a_class_is_checked_as_a_file_is() -> None:
    """The sentence names the file that the class stands in."""
    assert check_strategy(Strategy) == []
    (complaint,) = check_strategy(Ranker)
    assert complaint == f"{__file__}: Strategy has neither key() nor rank()"


def test_wrong_parameters_are_told(tmp_path: Path) -> None:
    """The kit reads parameters as the configuration does."""
    path = tmp_path / "odd.py"
    path.write_text(KEY.format(body="return (1,)", top=""), encoding="utf-8")
    assert check_strategy(path, {"every": "5s"}) == [f"{path}: unknown parameter of odd; it has none"]


def test_an_order_is_asked_for_without_an_engine() -> None:
    """Agents as a strategy would ring them."""
    agents = [candidate("anna", idle_since_ms=1), candidate("ben", idle_since_ms=3), candidate("cara", idle_since_ms=2)]
    assert ring_order(Strategy, agents) == ["ben", "cara", "anna"]


def test_who_asks_the_wrong_question_is_told(tmp_path: Path) -> None:
    """A strategy orders agents, a call order orders calls."""
    path = tmp_path / "by_id.py"
    path.write_text("API_VERSION = 1\nclass CallOrder:\n  def key(self, call): return (1,)\n", encoding="utf-8")
    assert check_strategy(path, elsewhere=False) == []
    with pytest.raises(TypeError, match="this is a call order"):
        ring_order(path, [candidate("anna")])
    with pytest.raises(TypeError, match="this is a strategy"):
        call_order(Strategy, [call()])
    with pytest.raises(ValueError, match="it cannot be read: No such file or directory"):
        ring_order(tmp_path / "gone.py", [])
