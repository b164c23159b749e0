"""One leg of a call as FreeSWITCH keeps it: its state, its variables, who is on it. Data; `session` moves it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import IntEnum


class State(IntEnum):
    """FreeSWITCH's channel states with its own numbers."""

    NEW = 0
    INIT = 1
    ROUTING = 2
    SOFT_EXECUTE = 3
    EXECUTE = 4
    EXCHANGE_MEDIA = 5
    PARK = 6
    CONSUME_MEDIA = 7
    HIBERNATE = 8
    RESET = 9
    HANGUP = 10
    REPORTING = 11
    DESTROY = 12

    @property
    def label(self) -> str:
        """As events print it."""
        return f"CS_{self.name}"


@dataclass(frozen=True, slots=True)
class App:
    """One step of a dialplan extension."""

    name: str
    data: str = ""


@dataclass(slots=True)
class Profile:
    """Who calls whom, as the caller profile says; times are the model's wall clock in microseconds, 0 = never."""

    direction: str
    logical_direction: str
    username: str
    dialplan: str
    cid_name: str
    cid_number: str
    destination: str
    context: str
    source: str
    uuid: str
    channel_name: str
    network_addr: str = ""
    ani: str = ""
    rdnis: str = ""
    callee_name: str = ""
    callee_number: str = ""
    orig_cid_name: str = ""
    orig_cid_number: str = ""
    transfer_source: str = ""
    index: int = 1
    profile_created_us: int = 0
    created_us: int = 0
    answered_us: int = 0
    progress_us: int = 0
    progress_media_us: int = 0
    hangup_us: int = 0
    transfer_us: int = 0
    bridged_us: int = 0
    hold_us: int = 0
    hold_accum_us: int = 0
    private: bool = False  # name and number are to be hidden

    def copy(self) -> Profile:
        """The other leg keeps a copy: later changes here do not show there."""
        return replace(self)


@dataclass(slots=True)
class Channel:
    """A leg. `state` is where it shall be, `running` where its thread has got to."""

    uuid: str
    name: str
    direction: str
    profile: Profile
    state: State = State.NEW
    running: State = State.NEW
    call_state: str = "DOWN"
    ring_ready: bool = False
    early: bool = False
    answered: bool = False
    held: bool = False
    # It was hung up while it held its partner.
    hung_up_held: bool = False
    hit_dialplan: bool = False
    # An inbound leg that was the second of a bridge: caller and callee are swapped if it enters a dialplan again.
    second: bool = False
    cause: str = ""
    # It was the phone that hung up.
    left: bool = False
    call_uuid: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    # Variables that hold for the application being executed (`%[name=value]` before its data).
    scope: dict[str, str] = field(default_factory=dict)
    # The other leg of a bridge as this one remembers it: "originator" or "originatee", and that leg's profile then.
    other_type: str = ""
    other: Profile | None = None
    # What `show channels` says it does: the last CHANNEL_EXECUTE.
    shown_app: App | None = None
    # What the bill names as the last application: the last one that was noted (`disable_app_log` ends the noting).
    logged_app: str = ""
    # The extension being executed; `step` is the next app, so an interrupted extension goes on after the interruption.
    extension: list[App] | None = None
    step: int = 0
    # Set by uuid_bridge on the leg that will do the bridging, with the partner in `bridge_to`.
    bridge_originator: bool = False
    bridge_next: bool = False
    bridge_to: str = ""
    # uuid_break: stops what is played or slept next, unless another application begins before that.
    break_asked: bool = False
    controlled: bool = False
    playing: bool = False
    # Apps that uuid_broadcast asks the leg to run when it next looks.
    broadcasts: deque[App] = field(default_factory=deque)
    digits: deque[str] = field(default_factory=deque)
    has_media: bool = False

    @property
    def down(self) -> bool:
        """Hung up; FreeSWITCH finds such a leg no more by its uuid."""
        return self.state >= State.HANGUP

    @property
    def media_up(self) -> bool:
        """Sound can flow: answered or early media."""
        return self.answered or self.early

    @property
    def answer_state(self) -> str:
        """As events print it."""
        if self.down:
            return "hangup"
        if self.answered:
            return "answered"
        return "early" if self.early else "ringing"

    def is_true(self, variable: str) -> bool:
        """Whether FreeSWITCH would take the variable for true."""
        text = self.variables.get(variable, "").lower()
        return text in {"yes", "on", "true", "t", "enabled", "active", "allow"} or (text.isdigit() and int(text) != 0)

    def set(self, variable: str, value: str | None) -> None:
        """Set a variable; no value, or an empty one, deletes it as FreeSWITCH does."""
        if value:
            self.variables[variable] = value
        else:
            self.variables.pop(variable, None)
