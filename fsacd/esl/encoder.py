"""The only code that writes commands. Every argument has a type, and what does not fit its type is refused, not quoted.

Text that a caller chose (name, number) is never refused: it is cut down to letters, digits and a few marks and
travels in the positional caller-id arguments of originate alone, where FreeSWITCH looks for neither commas nor braces.
The variables of the caller's leg that go along stand among ours, in apostrophes, cut down to what parts nothing there.

What makes one command out of one command (mod_event_socket.c, switch_utils.c):
- it ends at an empty line, and NUL ends it early: no argument holds a control character;
- blanks part the arguments; backslash and the apostrophe quote: no argument holds these three;
- `,` `;` `=` `|` `{` `}` `[` `]` `<` `>` and `:_:` part dial strings and variable lists: no argument holds those, but
  a phone's endpoint, which has come through `core.contact`, may name an IPv6 address in brackets, and a contact's
  option may hold `;` and `=`, which part nothing where it stands;
- `${` expands wherever a value is used later: no argument holds a dollar sign;
- a command with "unload" (or "reload") and "mod_event_socket" anywhere in it is replaced by the unloading of
  mod_event_socket: no argument holds the latter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from fsacd.core.contact import CONFIRM_KEY, Contact, Phone, is_one_phone
from fsacd.esl.cleaning import ENTERPRISE, FATAL, caller_name, caller_number, carried_value
from fsacd.esl.codec import MAX_REPLY_BYTES
from fsacd.esl.wire import UUID, Outcome, Reply, Wire

__all__ = ["EncodeError", "Outcome", "Reply", "Wire"]

# FreeSWITCH takes 64 pairs in one uuid_setvar_multi; beyond it drops them silently.
VARIABLES_LIMIT: Final = 64
TIMEOUT_LIMIT_S: Final = 3_600
# The context of the legs that we make: whoever can make one of them execute a number finds none here (freeswitch/).
LEG_CONTEXT: Final = "fsacd_agent_leg"

PARKS: Final = f"&park() XML {LEG_CONTEXT}"  # where a leg goes that has been answered
PARKS_AFTER_TONE: Final = f"'m:^:playback:tone_stream://%(250,0,1000)^park:' inline {LEG_CONTEXT}"
STANDS: Final = "fsacd_stand XML fsacd"

_WORD: Final = re.compile(r"[0-9A-Za-z_.*#+@:/%~-]{1,256}")
_VALUE: Final = re.compile(r"[0-9A-Za-z_.*#+@:/%~-]{0,512}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][0-9A-Za-z_.-]{0,63}")
_PAIRS: Final = re.compile(rf"{_VARIABLE.pattern}={_VALUE.pattern}(?:,{_VARIABLE.pattern}={_VALUE.pattern})*")
_CAUSE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_JOB: Final = re.compile(r"[0-9A-Za-z_.:-]{1,128}")
_EVENT: Final = re.compile(r"[A-Z][A-Z_]{1,39}")
_SUBCLASS: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}(::?[0-9A-Za-z_.-]{1,64}){0,3}")
_OPTION: Final = re.compile(r"[0-9A-Za-z_.*#+@:/%~;=-]{1,512}")
_REGISTERED: Final = re.compile(r"[0-9A-Za-z_.+*#~-]{1,128}(@[0-9A-Za-z_.:-]{1,128})?")
_PATTERN: Final = re.compile(r"[\x21-\x7e]{1,256}")
_USER: Final = re.compile(r"[0-9A-Za-z_.+-]{1,128}@[0-9A-Za-z_.-]{1,128}")
# A key or value of the switch's hash table: in the command, slashes separate it from the words before it.
_HASHED: Final = re.compile(r"[0-9A-Za-z_.@:-]{1,200}")
_DIGITS: Final = re.compile(r"[0-9A-D*#wW]{1,64}")
_SECRET: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")

_CONFIRM_KEY: Final = "group_confirm_key"
# A tone that repeats until the key is pressed. Within braces a comma needs a backslash.
_CONFIRM_TONE: Final = r"group_confirm_file=tone_stream://%(300\,200\,440)"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class EncodeError(ValueError):
    """An argument that cannot stand safely in a command. The sentence names the argument, never a secret value."""


# --- what the link itself says -------------------------------------------------------------------------------------

# Wakes the switch's poll; FreeSWITCH drops it unread and does not answer.
WAKE_UP: Final = b"\n"


def auth(password: str) -> Wire:
    """Log in with Event Socket's own password."""
    return _wire(f"auth {_typed(_SECRET, password, 'the password')}", text="auth ***")


def userauth(user: str, password: str) -> Wire:
    """Log in as a user of the directory (`user@domain`) with what the directory allows that user."""
    user = _typed(_USER, user, "the Event Socket user")
    return _wire(f"userauth {user}:{_typed(_SECRET, password, 'the password')}", text=f"userauth {user}:***")


def event_json(events: Iterable[str], subclasses: Iterable[str] = ()) -> Wire:
    """Subscribe in JSON. EncodeError when there is nothing to subscribe to."""
    words = [_typed(_EVENT, event, "an event's name") for event in events if event != "CUSTOM"]
    custom = [_typed(_SUBCLASS, subclass, "an event's subclass") for subclass in subclasses]
    if not words and not custom:
        raise EncodeError("A subscription needs at least one event.")
    # Every word after CUSTOM is a subclass, so it comes last.
    return _wire(" ".join(["event json", *words, *(["CUSTOM", *custom] if custom else [])]))


def filter_event(header: str, pattern: str) -> Wire:
    """Let only events pass whose header equals the pattern, or matches it when it starts with a slash.

    A pattern behind a minus refuses the events whose header equals it, whatever else lets them pass.
    """
    header = _typed(_VARIABLE, header, "a filter's header")
    return _wire(f"filter {header} {_typed(_PATTERN, pattern, 'a filter pattern')}")


def send_event(subclass: str, headers: Mapping[str, str]) -> Wire:
    """Fire a CUSTOM event in the switch."""
    lines = [f"Event-Subclass: {_typed(_SUBCLASS, subclass, 'an event subclass')}"]
    for name, value in headers.items():
        lines.append(f"{_typed(_VARIABLE, name, 'a header')}: {_typed(_VALUE, value, f'the header {name}')}")
    return _wire("sendevent CUSTOM", *lines)


def leave() -> Wire:
    """Ask FreeSWITCH to close this connection."""
    return _wire("exit")


def raw(text: str) -> Wire:
    """A command as somebody typed it: one line. EncodeError for control characters; nothing else is looked at."""
    if not text.strip() or _CONTROL.search(text):
        raise EncodeError("A command is one line of text without control characters.")
    return replace(_wire(text, text=f"{text.split(maxsplit=1)[0]} ..."), longest_reply=MAX_REPLY_BYTES)


# --- api -----------------------------------------------------------------------------------------------------------


def api(verb: str, *words: str) -> Wire:
    """Any api command whose arguments are plain words. It blocks the connection, so it must be a quick one."""
    return _wire(f"api {_join(verb, words)}")


def bgapi(job: str, verb: str, *words: str) -> Wire:
    """Any api command as a job of its own; BACKGROUND_JOB with this Job-UUID tells how it ended."""
    return _job(job, _join(verb, words))


def originate(
    phones: str | Contact,
    *,
    job: str,
    variables: Mapping[str, str],
    name: str,
    number: str,
    timeout_s: int,
    carried: Iterable[tuple[str, str]] = (),
    then: str = PARKS,
) -> Wire:
    """Ring phones and park the one that answers; name and number are the caller's and may hold anything.

    `then` is what becomes of it instead: STANDS or, after a tone, PARKS_AFTER_TONE.

    The values of `carried` may hold anything too: each is sanitised and stands in apostrophes; one that cannot be
    sanitised is left out.

    `origination_caller_id_name` and `_number` are refused as variables of ours: they would win over the sanitised ones.
    """
    contact = Contact(((Phone(phones),),)) if isinstance(phones, str) else phones
    if not 1 <= timeout_s <= TIMEOUT_LIMIT_S:
        raise EncodeError(f"The ring timeout must be 1 to {TIMEOUT_LIMIT_S} seconds.")
    if len(variables) + len(contact.options) > VARIABLES_LIMIT:
        raise EncodeError(f"One leg gets at most {VARIABLES_LIMIT} variables.")
    for variable in variables:
        if variable.startswith("origination_caller_id"):
            raise EncodeError(f"The variable {variable} would replace the sanitised caller id.")
    # FreeSWITCH drops an empty value here, and does not take {} for a list.
    pairs = [_option(key, value) for key, value in contact.options]
    dialled = "|".join(",".join(_phone(phone) for phone in turn) for turn in contact.turns)
    if f"{_CONFIRM_KEY}=" in dialled or f"{_CONFIRM_KEY}=" in "".join(pairs):
        pairs.append(_CONFIRM_TONE)
    pairs += _pairs(variables)
    theirs = [f"{key}='{value}'" for key, value in _carried(carried)]
    told = f"{{{','.join(pairs)}}}{dialled}" if pairs else dialled
    if pairs or theirs:
        dialled = f"{{{','.join([*pairs, *theirs])}}}{dialled}"
    shown = caller_number(number) or "anonymous"
    who = caller_name(name) or shown
    text = f"bgapi originate {told} {then} *** {shown} {timeout_s}"
    return _job(job, f"originate {dialled} {then} '{who}' {shown} {timeout_s}", text=text)


def sofia_contact(user: str) -> Wire:
    """Ask where a user (USER@DOMAIN, or USER in the switch's own domain) has registered: endpoints with commas."""
    return _wire(f"api sofia_contact */{_typed(_REGISTERED, user, 'a registered user')}")


def uuid_bridge(first: str, second: str) -> Wire:
    """Connect two legs. +OK means "scheduled"; only CHANNEL_BRIDGE means "connected"."""
    return api("uuid_bridge", uuid(first), uuid(second))


def uuid_kill(leg: str, cause: str) -> Wire:
    """End a leg with a hangup cause; an unknown cause becomes NORMAL_CLEARING in FreeSWITCH."""
    return api("uuid_kill", uuid(leg), _typed(_CAUSE, cause, "the hangup cause"))


def uuid_setvar_multi(leg: str, variables: Mapping[str, str]) -> Wire:
    """Set variables of a leg with one command, `uuid_setvar` being no right of ours; an empty value deletes one."""
    if not 1 <= len(variables) <= VARIABLES_LIMIT:
        raise EncodeError(f"One command sets 1 to {VARIABLES_LIMIT} variables.")
    pairs = ";".join(_pair(key, value) for key, value in variables.items())
    return _wire(f"api uuid_setvar_multi {uuid(leg)} {pairs}")


def uuid_transfer(leg: str, extension: str, context: str, dialplan: str = "XML") -> Wire:
    """Send a leg to an extension of the dialplan."""
    if extension.startswith("-"):
        raise EncodeError("An extension must not start with a dash: FreeSWITCH would take it for -bleg or -both.")
    return api("uuid_transfer", uuid(leg), extension, dialplan, context)


def uuid_transfer_as_forced(leg: str, extension: str) -> Wire:
    """Send a leg to an extension of its `force_transfer_context`, as an agent's own REFER would."""
    if extension.startswith("-"):
        raise EncodeError("An extension must not start with a dash: FreeSWITCH would take it for -bleg or -both.")
    return api("uuid_transfer", uuid(leg), extension)


def uuid_transfer_into_room(leg: str, room: str, *, both: bool) -> Wire:
    """Send a leg into a room for three, with `both` whoever it is bridged with, too. If there are none: to the hold."""
    then = f"m:^:conference:{_typed(_JOB, room, 'a room')}@desk^transfer:fsacd_hold XML fsacd"
    return _wire(f"api uuid_transfer {uuid(leg)} {'-both ' if both else ''}'{then}' inline fsacd")


def mute(leg: str, *, on: bool) -> Wire:
    """Let nobody hear what this leg's phone says, or let it be heard again, wherever the leg is bridged."""
    told = f";fsacd_muted={int(on)}"  # for a daemon that knows nothing of the talk
    return _on_leg(leg, f"uuid_audio({uuid(leg)} start read mute {int(on)})", "mute" if on else "unmute", told)


def send_digits(leg: str, digits: str) -> Wire:
    """Send digits to the phone at the end of this leg: 0-9 A-D * #, and the pauses w and W."""
    checked = _typed(_DIGITS, digits, "the list of digits")
    return _on_leg(leg, f"uuid_send_dtmf({uuid(leg)} {checked})", "send digits")


def uuid_exists(leg: str) -> Wire:
    """Ask whether a leg lives: `true` or `false`."""
    return api("uuid_exists", uuid(leg))


def uuid_getvar(leg: str, variable: str) -> Wire:
    """Ask for one variable of a leg; the answer is `_undef_` when it has none of that name."""
    return api("uuid_getvar", uuid(leg), _typed(_VARIABLE, variable, "a variable's name"))


def uuid_dump(leg: str) -> Wire:
    """Ask for everything about a leg, as JSON."""
    return api("uuid_dump", uuid(leg), "json")


def uuid_break(leg: str, *, everything: bool = False) -> Wire:
    """Stop what a leg plays, or everything that is lined up for it."""
    return api("uuid_break", uuid(leg), *(["all"] if everything else []))


def global_setvar(variable: str, value: str) -> Wire:
    """Set a global variable of the switch."""
    return _wire(f"api global_setvar {_pair(variable, value)}")


def global_getvar(variable: str) -> Wire:
    """Ask for a global variable of the switch."""
    return api("global_getvar", _typed(_VARIABLE, variable, "a variable's name"))


def hash_select(key: str) -> Wire:
    """Ask for an entry of the switch's hash table (mod_hash); an entry that is not there is answered by -ERR."""
    return api("hash", f"select/fsacd/{_hashed(key)}")


def hash_insert(key: str, value: str, *, if_empty: bool = False) -> Wire:
    """Write an entry of the switch's hash table; with `if_empty` of all who try at once one alone gets +OK."""
    verb = "insert_ifempty" if if_empty else "insert"
    return api("hash", f"{verb}/fsacd/{_hashed(key)}/{_hashed(value)}")


def hash_delete(key: str, value: str | None = None) -> Wire:
    """Delete an entry of the switch's hash table; given a value, only if that is what stands there."""
    if value is None:
        return api("hash", f"delete/fsacd/{_hashed(key)}")
    return api("hash", f"delete_ifmatch/fsacd/{_hashed(key)}/{_hashed(value)}")


def show_channels() -> Wire:
    """Ask for all legs, as JSON; the list is up to 0.3 s old in both directions."""
    return replace(api("show", "channels", "as", "json"), longest_reply=MAX_REPLY_BYTES)


def uptime(unit: str) -> Wire:
    """Ask how long the switch runs, in `ms` (printed modulo 2^32) or `s`."""
    return api("uptime", unit)


def status() -> Wire:
    """Ask for the switch's status, for people."""
    return api("status")


def _on_leg(leg: str, command: str, shown: str, told: str = "") -> Wire:
    """Let a leg's own thread run an api command, in the middle of whatever it is in; it needs no right.

    FreeSWITCH notes and logs the application that it runs with the arguments as they are expanded: the command's first
    character, and not the digits, which the command repeats in its answer. The leg's application stays noted as it was,
    for it tells who is in a room.
    """
    did = f"fsacd_did=${{regex(${{{command}}}|^(.)|%1)}}"
    data = f"^^;current_application=${{current_application}};{did}{told}"
    lines = ("call-command: execute", "execute-app-name: multiset", f"execute-app-arg: {data}")
    return _wire(f"sendmsg {uuid(leg)}", *lines, text=f"sendmsg {leg} {shown}")


# --- arguments -----------------------------------------------------------------------------------------------------


def uuid(text: str) -> str:
    """A channel's uuid as FreeSWITCH makes them, or EncodeError."""
    return _typed(UUID, text, "a leg's uuid")


def _carried(variables: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, text in variables:
        value = carried_value(text)
        if value and _VARIABLE.fullmatch(name) is not None and FATAL not in f"{name}={value}".lower():
            yield name, value


def _typed(pattern: re.Pattern[str], value: str, what: str) -> str:
    if pattern.fullmatch(value) is None:
        raise EncodeError(f"{what} holds characters that no command may carry, is empty or is too long.")
    return value


def _phone(phone: Phone) -> str:
    if not is_one_phone(phone.endpoint):
        raise EncodeError("the contact holds characters or a word that no command may carry, is empty or is too long.")
    options = ",".join(_option(key, value) for key, value in phone.options)
    return f"[{options}]{phone.endpoint}" if options else phone.endpoint


def _option(name: str, value: str) -> str:
    name = _CONFIRM_KEY if name == CONFIRM_KEY else _typed(_VARIABLE, name, "an option's name")
    _typed(_OPTION, value, f"the option {name}")
    return f"{name}={_harmless(value)}"


def _harmless(value: str) -> str:
    if ENTERPRISE in value or FATAL in value.lower():
        raise EncodeError("an argument holds a word that FreeSWITCH takes for something else.")
    return value


def _hashed(value: str) -> str:
    return _typed(_HASHED, value, "a key or a value of the hash table")


def _word(value: str) -> str:
    return _harmless(_typed(_WORD, value, "an argument"))


def _join(verb: str, words: Iterable[str]) -> str:
    return " ".join([_word(verb), *map(_word, words)])


def _pairs(variables: Mapping[str, str]) -> list[str]:
    """The pairs NAME=VALUE, checked all at once: checked one by one they are most of what an order to ring costs."""
    pairs = [f"{variable}={value}" for variable, value in variables.items() if value]
    joined = ",".join(pairs)
    # Neither a name nor a value may have a comma, so the number of pairs is unchanged.
    harmless = ENTERPRISE not in joined and FATAL not in joined.lower()
    if harmless and joined.count(",") == len(pairs) - 1 and _PAIRS.fullmatch(joined):
        return pairs
    return [_pair(variable, value) for variable, value in variables.items() if value]


def _pair(variable: str, value: str) -> str:
    _typed(_VARIABLE, variable, "a variable's name")
    _typed(_VALUE, value, f"the variable {variable}")
    if ENTERPRISE in value or FATAL in f"{variable}={value}".lower():
        raise EncodeError(f"the variable {variable} holds a word that FreeSWITCH takes for something else.")
    return f"{variable}={value}"


def _job(job: str, command: str, text: str | None = None) -> Wire:
    _typed(_JOB, job, "the Job-UUID")
    return _wire(f"bgapi {command}", f"Job-UUID: {job}", text=text, job=job)


def _wire(*lines: str, text: str | None = None, job: str | None = None) -> Wire:
    """The last gate: one command is lines without control characters, then one empty line."""
    whole = "\n".join(lines)
    lowered = whole.lower()
    if FATAL in lowered and ("unload" in lowered or "reload" in lowered):
        raise EncodeError("FreeSWITCH would take this command for the unloading of mod_event_socket.")
    assert all(line and _CONTROL.search(line) is None for line in lines), "an argument got past its type"
    try:
        data = f"{whole}\n\n".encode()
    except UnicodeEncodeError as error:
        raise EncodeError("A command holds half a character (a surrogate).") from error
    return Wire(data, text if text is not None else lines[0], job)
