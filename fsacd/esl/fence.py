"""The fence: a lock by which one daemon at a time serves a switch. It is kept in the switch itself (mod_hash).

Three entries of the switch's hash table:

    fsacd/leader                INSTANCE:EPOCH:UNTIL:TOKEN   who holds the fence; written by insert_ifempty alone, so of
                                                             all who try at once one gets it
    fsacd/renewed-TOKEN.EPOCH   UNTIL                        written anew at each renewal by the one whom it belongs to
    fsacd/last                  INSTANCE:EPOCH               who got it last; stays when the fence is given up in order

UNTIL is the switch's uptime in ms, so that no other clock matters. Another instance may take the fence after UNTIL,
never before. The holder acts only while its last renewal that the switch has confirmed is younger than the term less a
margin. It measures this by its own monotonic clock, which runs on while the process is stopped. A confirmation counts
only if it comes before that end: a renewal that took longer may have reached the switch when another daemon held the
fence already. In that case the fence is acquired anew, with a higher epoch, or not at all.

EPOCH counts up each time a daemon acquires the fence: it orders what two daemons tell of one call (`core.evidence`). A
switch that has crashed has forgotten the epoch. So a daemon that stands by remembers it, and a daemon that starts is
told the epoch of the one before it.

The same instance (a daemon that is started again after a crash) need not wait. A daemon that finds itself replaced by
its own instance has not crashed: two daemons run under one name. It has to wait as any other instance would, or the two
would take turns.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from fsacd.esl import encoder
from fsacd.esl.wire import Outcome, Reply, Wire

_KEY: Final = "leader"
_LAST: Final = "last"
# The part of the term, at its end, in which the holder does not act any more, although nobody may take the fence yet.
_MARGIN: Final = 5
_VALUE: Final = re.compile(r"([0-9A-Za-z_.@-]{1,100}):([0-9]{1,15}):([0-9]{1,18}):([0-9a-f]{1,32})")
_LAST_VALUE: Final = re.compile(r"([0-9A-Za-z_.@-]{1,100}):([0-9]{1,15})")
_LONGEST_NUMBER: Final = 18


def instance_name(configured: str) -> str:
    """Give our name at the fence: the configured one and a mark of this machine.

    Two machines whose daemons have the same name, be it the default, are two instances all the same.
    """
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""  # a system without systemd has no such file: the host's name alone must do
    mark = hashlib.sha256(f"{machine} {socket.gethostname()}".encode()).hexdigest()[:8]
    return f"{configured}@{mark}"


class FenceError(Exception):
    """The switch offers no fence; the sentence says what to do."""


class Asking(Protocol):
    """What the fence needs of the link."""

    def all(self, wires: Sequence[Wire], limit_s: float | None = None) -> list[Reply]:
        """Ask all these questions, in this order, over one connection, and wait at most `limit_s`."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """The fence is ours. `from_whom` held it before: another instance, we ourselves, or nobody (empty)."""

    epoch: int
    from_whom: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Another daemon has the fence, for at least `for_ms` even if it is gone; `known` is False without an answer."""

    by: str
    for_ms: int
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Holder:
    """The leader's entry, read."""

    text: str
    instance: str
    epoch: int
    until_ms: int
    token: str

    @property
    def renewals(self) -> str:
        return f"renewed-{self.token}.{self.epoch}"


class Fence:
    """The fence of one switch, as one process sees it. `token` is the process's own; times in ms.

    `clock` is monotonic and goes on while the process is stopped; `uptime` gives the switch's uptime at a time of
    `clock`.
    """

    def __init__(
        self,
        instance: str,
        token: str,
        term_ms: int,
        ask: Asking,
        clock: Callable[[], int],
        uptime: Callable[[int], int],
    ) -> None:
        self._instance = instance
        self._token = token
        self._term_ms = term_ms
        self._margin_ms = term_ms // _MARGIN
        self._ask = ask
        self._clock = clock
        self._uptime = uptime
        self._mine: _Holder | None = None
        self._good_until_ms = 0
        self._replaced = False
        self.epoch = 0  # the highest that we know of, and ours while we hold the fence

    def holds(self) -> bool:
        """Whether we may act at this very moment."""
        return self._mine is not None and self._clock() < self._good_until_ms

    def left_ms(self) -> int:
        """For how long we may act without another renewal."""
        return max(0, self._good_until_ms - self._clock()) if self._mine is not None else 0

    # --- getting it ---

    def acquire(self) -> Held | Taken:
        """Try once. FenceError when the switch cannot hold a fence or does not let us have one."""
        (reply,) = self._ask.all((encoder.hash_select(_KEY),))
        _raise_if_impossible(reply)
        if not _is_answer(reply):
            return Taken("", 0, known=False)
        holder = _read(reply)
        if holder is not None:
            self.remember(holder.epoch)
            left_ms = self._left_to(holder)
            if left_ms > 0:
                return Taken(holder.instance, left_ms)
            # If somebody else has taken the fence meanwhile, this deletes nothing, and our writing below fails.
            text = holder.text if holder.instance else None
            self._ask.all((encoder.hash_delete(_KEY, text), encoder.hash_delete(holder.renewals)))
        return self._write(holder)

    def remember(self, epoch: int) -> None:
        """The fence has had this epoch: ours is a higher one."""
        self.epoch = max(self.epoch, epoch)

    def _left_to(self, holder: _Holder) -> int:
        """How many ms the holder still has the fence against us; 0 or less: we may take it."""
        if holder.token == self._token:
            return 0
        if holder.instance == self._instance and not self._replaced:
            return 0
        (reply,) = self._ask.all((encoder.hash_select(holder.renewals),))
        if reply.outcome not in (Outcome.OK, Outcome.ERR):
            return 1  # the switch did not answer: take it that the holder keeps the fence
        until_ms = max(holder.until_ms, _number(reply))
        return until_ms - self._uptime(self._clock())

    def _write(self, before: _Holder | None) -> Held | Taken:
        from_whom = before.instance if before else self._last()
        sent_ms = self._clock()
        epoch = self.epoch + 1
        until_ms = self._uptime(sent_ms) + self._term_ms
        text = f"{self._instance}:{epoch}:{until_ms}:{self._token}"
        mine = _Holder(text, self._instance, epoch, until_ms, self._token)
        written, stands = self._ask.all((encoder.hash_insert(_KEY, text, if_empty=True), encoder.hash_select(_KEY)))
        _raise_if_impossible(written)
        # The second answer decides: the fence is ours if, and only if, our entry stands there.
        if not (stands.ok and stands.text == text):
            now = _read(stands)
            return Taken(now.instance if now else "", 0, known=now is not None)
        self._mine, self.epoch, self._replaced = mine, epoch, False
        self._good_until_ms = sent_ms + self._term_ms - self._margin_ms
        self._ask.all((encoder.hash_insert(_LAST, f"{self._instance}:{epoch}"),))
        return Held(epoch, from_whom)

    def _last(self) -> str:
        """The instance that acquired the fence last, which has given it up in order; empty for none."""
        (reply,) = self._ask.all((encoder.hash_select(_LAST),))
        found = _LAST_VALUE.fullmatch(reply.text) if reply.ok else None
        if found is None:
            return ""
        self.remember(int(found[2]))
        return found[1]

    # --- keeping it ---

    def renew(self) -> bool:
        """Renew the fence for another term; False when it is lost. Without an answer nothing changes: try again."""
        mine = self._mine
        if mine is None or not self.holds():
            return False
        sent_ms = self._clock()
        until = str(self._uptime(sent_ms) + self._term_ms)
        asked = (encoder.hash_insert(mine.renewals, until), encoder.hash_select(_KEY))
        reply = self._ask.all(asked, self.left_ms() / 1000)[1]
        if not self.holds():
            return False
        if not _is_answer(reply):
            return True
        if not (reply.ok and reply.text == mine.text):
            now = _read(reply)
            self._replaced = now is not None and now.instance == self._instance and now.token != self._token
            self._mine = None
            self._ask.all((encoder.hash_delete(mine.renewals),))
            return False
        self._good_until_ms = sent_ms + self._term_ms - self._margin_ms
        return True

    def release(self) -> None:
        """Give the fence up, so that the next daemon need not wait for its end."""
        mine, self._mine = self._mine, None
        if mine is not None:
            self._ask.all((encoder.hash_delete(_KEY, mine.text), encoder.hash_delete(mine.renewals)))


def _is_answer(reply: Reply) -> bool:
    return reply.outcome in (Outcome.OK, Outcome.ERR)


def _raise_if_impossible(reply: Reply) -> None:
    if reply.outcome is not Outcome.ERR:
        return
    if "ommand not found" in reply.text:
        raise FenceError(
            "FreeSWITCH has no module hash, in which the fence against a second daemon stands: load mod_hash "
            "(modules.conf.xml), or set fence_term to 0s if there will never be a second daemon"
        )
    if "permission denied" in reply.text:
        raise FenceError(
            "the Event Socket user may not use 'hash', in which the fence against a second daemon stands: add hash to "
            "its esl-allowed-api"
        )


def _read(reply: Reply) -> _Holder | None:
    """The holder whom the switch names; None for nobody. An entry that is not of our form counts as nobody's."""
    if not reply.ok:
        return None
    found = _VALUE.fullmatch(reply.text)
    if found is None:
        return _Holder(reply.text, "", 0, 0, "0")
    return _Holder(reply.text, found[1], int(found[2]), int(found[3]), found[4])


def _number(reply: Reply) -> int:
    text = reply.text.strip()
    return int(text) if reply.ok and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else 0
