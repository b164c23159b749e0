"""The routes of the customers in the database: looked at, searched, created, changed, merged, deleted, imported."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar, cast

import gevent
import orjson

from fsacd.caller.customers import Change, ImportRow, Record, Search, called, id_of
from fsacd.desk.rights import Verb
from fsacd.errors import Refused
from fsacd.http import customer_bodies as b
from fsacd.http import customer_models as c
from fsacd.http import models as m
from fsacd.http.api import CustomerDesk
from fsacd.http.customer_forms import Forms, WrongError
from fsacd.http.present import seconds, well_formed
from fsacd.http.problem import ProblemError, sentence
from fsacd.http.routes import V1, Asked, Route

_WRONG: Final = HTTPStatus.UNPROCESSABLE_ENTITY
# Reading a number by the plan takes a tenth of a millisecond: after this many lines, calls get their turn.
_LINES_AT_ONCE: Final = 10
_BREATH_S: Final = 0.0005
_Answer = TypeVar("_Answer")


def search(asked: Asked) -> c.Customers:
    """A page of the customers who match."""
    query = cast("b.CustomerQuery", asked.query)  # the route below says so
    desk = _desk(asked)
    forms = desk.forms()
    if query.field is not None and query.field not in forms.terms.own_fields:
        _refuse(lambda: forms.own({query.field or "": None}))
    wanted = Search(
        number=query.number or "",
        number_begins=query.number_begins or "",
        name_begins=query.name_begins or "",
        field=query.field or "",
        value_begins=query.value_begins or "",
        after=("", 0) if query.after is None else _place(query.after),
        limit=query.limit,
    )
    page = desk.book.search(wanted)
    return c.Customers(
        customers=[_shown(record, forms) for record in page.records],
        next=None if page.after is None else base64.urlsafe_b64encode(orjson.dumps(page.after)).decode(),
        fields={name: str(kind) for name, kind in forms.terms.own_fields.items()},
    )


def show(asked: Asked) -> c.Customer:
    """One customer."""
    desk = _desk(asked)
    return _shown(_of_id(asked.params["customer_id"], desk.book.show), desk.forms())


def create(asked: Asked) -> c.Customer:
    """A new customer."""
    body = cast("b.CustomerNew", asked.body)  # the route below says so
    desk = _desk(asked)
    forms = desk.forms()
    wanted = _refuse(lambda: _change(forms, body, body.numbers, []))
    return _shown(desk.book.create(wanted, asked.by), forms)


def change(asked: Asked) -> c.Customer:
    """A customer is changed."""
    body = cast("b.CustomerChange", asked.body)  # the route below says so
    desk = _desk(asked)
    forms = desk.forms()
    wanted = _refuse(lambda: _change(forms, body, body.numbers, body.more_numbers))
    return _shown(_of_id(asked.params["customer_id"], lambda one: desk.book.change(one, wanted, asked.by)), forms)


def delete(asked: Asked) -> m.Done:
    """A customer is deleted."""
    gone = _of_id(asked.params["customer_id"], lambda one: _desk(asked).book.delete(one, asked.by))
    return m.Done(message=f"Customer {gone.title} is deleted.")


def merge(asked: Asked) -> c.CustomerMerged:
    """Another customer becomes part of this one."""
    body = cast("b.CustomerMerge", asked.body)  # the route below says so
    desk = _desk(asked)
    gone = id_of(body.customer)
    assert gone is not None, "the body's pattern says so"
    kept, lost = _of_id(asked.params["customer_id"], lambda one: desk.book.merge(one, gone, asked.by))
    return c.CustomerMerged(customer=_shown(kept, desk.forms()), not_kept=well_formed(lost))


def take(asked: Asked) -> c.CustomersImported:
    """A part of a table is imported."""
    body = cast("b.CustomerImport", asked.body)  # the route below says so
    desk = _desk(asked)
    forms = desk.forms()
    rows, wrong = [], []
    for place, line in enumerate(body.lines, 1):
        if place % _LINES_AT_ONCE == 0:
            gevent.sleep(_BREATH_S)
        try:
            rows.append(ImportRow(line.line, *forms.line(line.cells)))
        except WrongError as error:
            wrong.append((line.line, str(error)))
    # The database checks the good lines, too, so that the answer has all faults of the file at once.
    done = desk.book.take(rows, asked.by, dry_run=body.dry_run or bool(wrong)) if rows else None
    wrong += [] if done is None else done.wrong
    if wrong or done is None:
        said = [f"line {line}: {sentence(why)}" for line, why in sorted(wrong)]
        detail = f"Nothing was imported: {len(said)} of {len(body.lines)} lines are wrong."
        raise ProblemError(_WRONG, "lines", detail, more={"problems": said})
    numbers = [list(row.numbers) for row in rows]
    owners = [None if owner is None else called(owner) for owner in done.owners]
    return c.CustomersImported(
        added=done.added, changed=done.changed, unchanged=done.unchanged, numbers=numbers, customers=owners
    )


def _desk(asked: Asked) -> CustomerDesk:
    if asked.context.customers is None:
        raise Refused("this daemon has no database (store.dsn), and so no customers beside those of the configuration")
    return asked.context.customers


def _of_id(text: str, ask: Callable[[int], _Answer]) -> _Answer:
    customer_id = id_of(text)
    try:
        if customer_id is not None:
            return ask(customer_id)
    except KeyError as error:
        customer_id = error.args[0]
    shown = called(customer_id) if customer_id is not None else repr(text[:40])
    hint = "." if customer_id is not None else "; an id looks like c17."
    raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-customer", f"There is no customer {shown}{hint}")


def _refuse(read: Callable[[], _Answer]) -> _Answer:
    """Raises the problem 422 with this sentence."""
    try:
        return read()
    except WrongError as error:
        raise ProblemError(_WRONG, "customer", sentence(str(error))) from None


def _change(forms: Forms, body: b.CustomerSaid, numbers: list[str] | None, more: list[str]) -> Change:
    given = {name: getattr(body, name) for name in body.model_fields_set - {"numbers", "more_numbers", "own"}}
    if "head_start_seconds" in given:
        given["head_start_ms"] = round((given.pop("head_start_seconds") or 0) * 1000)
    all_numbers = None if numbers is None else forms.numbers(numbers)
    return Change(all_numbers, forms.numbers(more), forms.settings(given), forms.own(body.own or {}))


def _place(text: str) -> tuple[str, int]:
    """The beginning of a page. Raises the problem 422 for a text that no page has given as `next`."""
    try:
        key, customer_id = orjson.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, TypeError, binascii.Error):
        key = customer_id = None
    if not isinstance(key, str) or type(customer_id) is not int or not 0 <= customer_id < 1 << 63 or "\0" in key:
        raise ProblemError(_WRONG, "query", "after: it is not what a page has given as next.")
    return key, customer_id


def _shown(record: Record, forms: Forms) -> c.Customer:
    known = record.settings
    return c.Customer(
        id=called(record.customer_id),
        numbers=[well_formed(number) for number in record.numbers],
        name=well_formed(known.name),
        priority=known.priority,
        head_start_seconds=seconds(known.head_start_ms),
        skills=dict(known.skills),
        agent=known.agent or None,
        language=known.language,
        own={name: well_formed(value) for name, value in record.own.items() if name in forms.terms.own_fields},
        changed_at=record.changed_at,
        changed_by=record.changed_by,
        merged=[called(one) for one in record.merged],
    )


_ALL: Final = f"{V1}/customers"
_ONE: Final = f"{_ALL}/{{customer_id}}"
_LOOK: Final = (409, 422, 503)
_ACT: Final = (400, 404, 409, 411, 413, 415, 422, 503)

ROUTES = (
    Route(
        "GET", _ALL, search, Verb.SEE_CUSTOMERS, "The customers in the database, all or those who fit",
        c.Customers, "customers", query=b.CustomerQuery, refusals=_LOOK,
    ),
    Route(
        "POST", _ALL, create, Verb.CHANGE_CUSTOMERS, "Create a customer", c.Customer, "customers",
        body=b.CustomerNew, refusals=tuple(code for code in _ACT if code != HTTPStatus.NOT_FOUND),
    ),
    Route(
        "POST", f"{_ALL}/import", take, Verb.CHANGE_CUSTOMERS, "Take a part of a table, whole or not at all",
        c.CustomersImported, "customers", body=b.CustomerImport,
        refusals=tuple(code for code in _ACT if code != HTTPStatus.NOT_FOUND),
    ),
    Route("GET", _ONE, show, Verb.SEE_CUSTOMERS, "One customer", c.Customer, "customers", refusals=(404, 409, 503)),
    Route(
        "POST", f"{_ONE}/change", change, Verb.CHANGE_CUSTOMERS, "Change a customer", c.Customer, "customers",
        body=b.CustomerChange, refusals=_ACT,
    ),
    Route(
        "POST", f"{_ONE}/merge", merge, Verb.CHANGE_CUSTOMERS, "Let another customer become one with this one",
        c.CustomerMerged, "customers", body=b.CustomerMerge, refusals=_ACT,
    ),
    Route(
        "POST", f"{_ONE}/delete", delete, Verb.CHANGE_CUSTOMERS, "Delete a customer, with own fields and numbers",
        m.Done, "customers", refusals=_ACT,
    ),
)  # fmt: skip
