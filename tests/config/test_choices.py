"""Wrap-up codes and reasons in the file: two levels, short forms, digits, and one sentence for each mistake."""

from __future__ import annotations

import pytest

from fsacd.config.model import Config
from fsacd.core.choices import Choice
from fsacd.core.rules import QueueRules
from tests.config.test_config_reader import SWITCH, problems, read

TREE = """
wrap_up_codes:
  sale:
    name: Sale
    codes:
      new: {name: New customer, digits: "11"}
      renewal: Renewal
  complaint: {digits: "2"}
"""


def queue(text: str) -> QueueRules:
    return rules(f"{TREE}\nqueues: {{support: {{wrap_up_codes: {text}}}}}").rules().queues["support"]


def rules(text: str) -> Config:
    return read(SWITCH + text)


def test_a_tree_is_what_can_be_chosen() -> None:
    """Headings cannot; a text alone is the name, and without a name the id is shown."""
    assert rules(TREE).rules().wrap_up_codes == (
        Choice("sale/new", "New customer", "11"),
        Choice("sale/renewal", "Renewal"),
        Choice("complaint", "complaint", "2"),
    )
    told = rules('not_ready_reasons: {lunch: {name: Lunch, digits: "1"}, training: {reasons: {sales: , product: }}}')
    assert told.rules().not_ready_reasons == (
        Choice("lunch", "Lunch", "1"),
        Choice("training/sales", "sales"),
        Choice("training/product", "product"),
    )


def test_nothing_is_configured_by_default() -> None:
    """No code can be given, none is required, and any text is a reason."""
    made = rules("queues: {support: {}}").rules()
    assert (made.wrap_up_codes, made.not_ready_reasons) == ((), ())
    assert (made.queues["support"].wrap_up_codes, made.queues["support"].wrap_up_code_required) == ((), False)


@pytest.mark.parametrize(
    ("text", "required", "codes"),
    [
        ("required", True, ()),
        ("optional", False, ()),
        ("{codes: [sale]}", False, ("sale",)),
        ("{required: true, codes: [sale/new, complaint]}", True, ("sale/new", "complaint")),
    ],
)
def test_a_queue_says_which_codes_it_takes(text: str, *, required: bool, codes: tuple[str, ...]) -> None:
    """A word alone says whether one is required; the list holds ids and headings."""
    made = queue(text)
    assert (made.wrap_up_code_required, made.wrap_up_codes) == (required, codes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'wrap_up_codes: {sale: {digits: "1", codes: {new: New}}}',
            (
                "wrap_up_codes.sale.digits: only what stands in its codes can be dialled; give the digits there, or "
                "take the codes out"
            ),
        ),
        (
            'wrap_up_codes: {sale: {codes: {new: {digits: "1"}}}, complaint: {digits: "1"}}',
            "wrap_up_codes.complaint.digits: '1' is dialled for 'sale/new' already",
        ),
        (
            'not_ready_reasons: {"1": Lunch, tea: {digits: "1"}}',
            "not_ready_reasons.tea.digits: '1' is the id of another one; choose other digits",
        ),
        (
            'not_ready_reasons: {tea: {digits: "1a"}}',
            "not_ready_reasons.tea.digits: expected 1 to 8 digits, got '1a'",
        ),
        (
            f"{TREE}\nqueues: {{support: {{wrap_up_codes: {{codes: [sale, sale/nwe]}}}}}}",
            "queues.support.wrap_up_codes.codes[1]: unknown wrap-up code 'sale/nwe'; did you mean 'sale/new'?",
        ),
        (
            "queues: {support: {wrap_up_codes: required}}",
            "queues.support.wrap_up_codes: there are no codes; write some under wrap_up_codes, at the top",
        ),
        (
            "queues: {support: {wrap_up_codes: sometimes}}",
            (
                "queues.support.wrap_up_codes: expected required, optional, or {required: true, codes: [sale, "
                "complaint]}, got 'sometimes'"
            ),
        ),
    ],
)
def test_each_mistake_is_one_sentence(text: str, sentence: str) -> None:
    """It says where, what, and what to do."""
    (said,) = problems(SWITCH + text)
    assert said.partition(" ")[2] == sentence


def test_nobody_can_find_one_of_a_thousand() -> None:
    """There is a limit, over both levels."""
    many = ", ".join(f"h{n}: {{codes: {{{', '.join(f'c{i}: ' for i in range(60))}}}}}" for n in range(10))
    (said,) = problems(f"{SWITCH}wrap_up_codes: {{{many}}}")
    assert said.endswith("wrap_up_codes: there are 600; at most 500 can be chosen from")
