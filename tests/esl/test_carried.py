"""What is read of a caller's announcement to go along to agents' legs."""

from __future__ import annotations

from typing import Any

from fsacd.core import variables
from fsacd.core.events import LegVariable
from fsacd.esl.carried import Carried
from fsacd.esl.codec import Kind, Message


def announced(**headers: Any) -> Message:
    return Message(Kind.EVENT, {f"variable_{name}": value for name, value in headers.items()})


def test_names_beginnings_and_exports() -> None:
    """By name, whatever its case; by a beginning; and what the dialplan has exported, for both legs or one."""
    leg = {
        "sip_h_x-ticket": "T-1",
        "crm_id": "7",
        "crm_empty": "",
        "city": "Köln",
        "nolocal:shop": "Mitte",
        "untold": "x",
        "export_vars": "city, nolocal:shop,missing,execute_on_answer,fsacd_leg",
        "execute_on_answer": "hangup",
        "fsacd_leg": "caller",
    }
    read = Carried(["sip_h_X-Ticket", "crm_*", "export_vars"]).of(Message(Kind.EVENT, {
        f"variable_{name}": value for name, value in leg.items()
    }))  # fmt: skip
    assert read == (
        LegVariable("city", "Köln", exported=True),
        LegVariable("crm_id", "7"),
        LegVariable("shop", "Mitte", exported=True),
        LegVariable("sip_h_x-ticket", "T-1"),
    )
    assert Carried(["crm_*"]).of(announced(crm_id="7", export_vars="city", city="x")) == (LegVariable("crm_id", "7"),)


def test_nothing_has_no_end() -> None:
    """So many variables, so many characters of each; what is no text is none."""
    many = {f"crm_{number:03}": "v" * 100_000 for number in range(500)}
    read = Carried(["crm_*"]).of(announced(**many, crm_list=["a", "b"], crm_number=7))
    assert len(read) == variables.MOST
    assert {len(variable.value) for variable in read} == {variables.LONGEST}
    assert Carried(["crm_*"]).of(announced(crm_list=["a", "b"], crm_number=7)) == (LegVariable("crm_list", "a"),)


def test_a_reload_reads_others() -> None:
    """Callers who come after it are read by the new lists."""
    carried = Carried()
    assert carried.of(announced(ticket="1")) == ()
    carried.replace(["ticket"])
    assert carried.of(announced(ticket="1")) == (LegVariable("ticket", "1"),)
