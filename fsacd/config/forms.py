"""The forms of text that reach a switch or name something: allowed characters, and why nothing else is allowed."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from typing_extensions import override

from fsacd.config.kinds import Kind, Word
from fsacd.config.problems import wrong
from fsacd.core import contact as contacts
from fsacd.core import variables
from fsacd.core.life import display
from fsacd.process.quoting import did_you_mean, shown

# FreeSWITCH replaces a command that holds this word and "reload" by the unloading of Event Socket (see esl/encoder).
_FATAL: Final = "mod_event_socket"
_NOT_FATAL: Final = rf"(?!(?i:.*{_FATAL}))"
# Names and ids end up in channel variables, metric labels and URLs: one alphabet that needs escaping in none of them.
NAME: Final = Word(_NOT_FATAL + r"[A-Za-z0-9_.-]{1,64}", "a name of up to 64 letters, digits, '_', '.' or '-'")
DIGITS: Final = Word(r"[0-9]{1,8}", "1 to 8 digits", null=True)
CODE: Final = Word(
    rf"{NAME.pattern}(?:/[A-Za-z0-9_.-]{{1,64}})?", "a wrap-up code like complaint or sale/new, or a heading like sale"
)
NAME_OR_NULL: Final = Word(NAME.pattern, NAME.says, null=True)
# An agent's id is the user of the phone, and perhaps the domain of the directory that the user is in.
AGENT: Final = Word(
    NAME.pattern + r"(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?)?",
    "an agent's id: up to 64 letters, digits, '_', '.' or '-', and perhaps @ and a domain of up to 63",
)
AGENT_OR_NULL: Final = Word(AGENT.pattern, AGENT.says, null=True)
DOMAIN: Final = Word(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?", "a domain like pbx.example.com", null=True)
# uuid_transfer takes a leading dash for one of its options.
EXTENSION: Final = Word(
    _NOT_FATAL + r"[A-Za-z0-9_.*#+][A-Za-z0-9_.*#+-]{0,63}",
    "an extension of up to 64 letters, digits, '*', '#', '+', '_', '.', '-' (not first)",
)
EXTENSION_OR_NULL: Final = Word(EXTENSION.pattern, EXTENSION.says, null=True)
DIRECTORY_USER: Final = Word(
    r"[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.-]{1,253}", "a directory user like fsacd@example.com", null=True
)
SYSTEM_USER: Final = Word(
    r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}", "a user of the system, by name or number, or any"
)
ENVIRONMENT: Final = Word(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable", null=True)
CREDENTIAL: Final = Word(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}", "the name of a systemd credential", null=True)
FILE: Final = Word(r"[^\x00-\x1f\x7f]{1,4096}", "the path of a file", null=True)
SHA256: Final = Word(r"[0-9a-fA-F]{64}", "a SHA-256 sum of 64 hexadecimal digits", null=True)

_ONE_PHONE_SAYS: Final = (
    "a contact: one dial string like user/1001, without spaces, quotes, braces or any of , | & $ \\"
)

_CAUSE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,40}")
CAUSES: Final = frozenset(
    {
        "ALLOTTED_TIMEOUT", "BUSY_EVERYWHERE", "CALL_REJECTED", "DECLINE", "DESTINATION_OUT_OF_ORDER",
        "EXCHANGE_ROUTING_ERROR", "FACILITY_REJECTED", "INCOMING_CALL_BARRED", "INTERWORKING", "INVALID_NUMBER_FORMAT",
        "NETWORK_OUT_OF_ORDER", "NORMAL_CIRCUIT_CONGESTION", "NORMAL_CLEARING", "NORMAL_TEMPORARY_FAILURE",
        "NORMAL_UNSPECIFIED", "NO_ANSWER", "NO_ROUTE_DESTINATION", "NO_USER_RESPONSE", "NUMBER_CHANGED",
        "OUTGOING_CALL_BARRED", "RECOVERY_ON_TIMER_EXPIRE", "REQUESTED_CHAN_UNAVAIL", "SERVICE_UNAVAILABLE",
        "SUBSCRIBER_ABSENT", "SWITCH_CONGESTION", "UNALLOCATED_NUMBER", "UNWANTED", "USER_BUSY", "USER_NOT_REGISTERED",
    }
)  # fmt: skip


def contact_is_safe(contact: str) -> bool:
    """Say whether a configuration may name this contact: it holds phones and how they are called, and nothing else."""
    return contacts.read(contact) is not None


def contact_is_usable(contact: str) -> bool:
    """Say whether a contact made from a template and an agent's id leads to phones: the id may add a second domain."""
    found = contacts.read(contact)
    return found is not None and all(phone.endpoint.count("@") < 2 for phone in found.phones)  # noqa: PLR2004


def is_one_phone(contact: str) -> bool:
    """Say whether a contact is one endpoint and nothing more: what may be asked for at a login."""
    return contacts.is_one_phone(contact)


@dataclass(frozen=True)
class Contact(Kind):
    """Where an agent's phone can be rung. With `template`, `placeholder` stands for the agent's id or a number."""

    template: bool = False
    null: bool = False
    placeholder: str = "{agent}"

    @property
    @override
    def expects(self) -> str:
        return contacts.GRAMMAR

    @override
    def read(self, text: str) -> str:
        if not contact_is_safe(text.replace(self.placeholder, "1001") if self.template else text):
            raise wrong(f"expected {contacts.GRAMMAR}; got {shown(text)}")
        if self.placeholder != "{agent}" and (self.placeholder not in text or "," in text or "|" in text):
            raise wrong(f"expected a contact of one phone with {self.placeholder} in it; got {shown(text)}")
        return text


@dataclass(frozen=True)
class AgentVariable(Kind):
    """A channel variable that goes along to the agent's leg, a beginning with a star, or export_vars."""

    @property
    @override
    def expects(self) -> str:
        return "a channel variable like sip_h_X-Ticket, the beginning of some like sip_h_X-*, or export_vars"

    @override
    def read(self, text: str) -> str:
        why = variables.refusal(text)
        if why is not None:
            raise wrong(f"{shown(text)} cannot go along to an agent's leg: {why}")
        return text


_LONGEST_DISPLAY: Final = 128


@dataclass(frozen=True)
class Display(Kind):
    """What an agent's phone shows of a caller: text with words in braces (`fsacd.core.life.display`)."""

    @property
    @override
    def expects(self) -> str:
        words = [f"{{{word}}}" for word in display.WORDS]
        return f"text with {', '.join(words[:-1])} and {words[-1]}, or two of them like {{customer or name}}"

    @override
    def read(self, text: str) -> str:
        if not text.isprintable() or not text or len(text) > _LONGEST_DISPLAY:
            raise wrong(f"expected {self.expects}, of at most {_LONGEST_DISPLAY} characters; got {shown(text)}")
        unknown = display.unknown_word(text)
        if unknown is not None:
            raise wrong(f"{shown(unknown)} means nothing here; expected {self.expects}")
        return text


@dataclass(frozen=True)
class AllowedContact(Kind):
    """A contact at which agents may be rung; `*` and `{agent}` stand for parts of it (`fsacd.desk.rights.Places`)."""

    @property
    @override
    def expects(self) -> str:
        return _ONE_PHONE_SAYS

    @override
    def read(self, text: str) -> str:
        # Without its kind (like user/), an address could be anything that can be dialled.
        if "*" in text.partition("/")[0] or not is_one_phone(text.replace("{agent}", "1001")):
            raise wrong(f"expected {_ONE_PHONE_SAYS}, perhaps with a * in an address; got {shown(text)}")
        return text


@dataclass(frozen=True)
class Moment(Kind):
    """A moment: a date, which stands for its beginning in UTC, or a date and time with its zone. Kept as Unix time."""

    null: Literal[True] = True

    @property
    @override
    def expects(self) -> str:
        return "a date like 2027-01-31, or a moment with its zone like 2027-01-31T18:00:00+01:00"

    @override
    def show(self, value: Any) -> str:
        return "null" if value is None else datetime.fromtimestamp(value, UTC).isoformat()

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, float) else super().parse(value)

    @override
    def read(self, text: str) -> float:
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise wrong(f"expected {self.expects}, got {shown(text)}") from None
        if moment.tzinfo is None or not text.isascii():
            raise wrong(f"expected {self.expects}, got {shown(text)}: write the zone, like +01:00 or Z")
        return moment.timestamp()


@dataclass(frozen=True)
class Cause(Kind):
    """A hangup cause by FreeSWITCH's name for it."""

    null: bool = True

    @property
    @override
    def expects(self) -> str:
        return "a hangup cause like USER_BUSY"

    @override
    def read(self, text: str) -> str:
        if text not in CAUSES:
            raise wrong(f"expected {self.expects}, got {shown(text)}{did_you_mean(text, CAUSES)}")
        return text


@dataclass(frozen=True)
class Host(Kind):
    """A host by name or address."""

    @property
    @override
    def expects(self) -> str:
        return "a host name or an IP address"

    @override
    def read(self, text: str) -> str:
        if not _is_host(text):
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return text


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a TCP port; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write the address as in the file, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Listen(Kind):
    """An address to listen on."""

    @property
    @override
    def expects(self) -> str:
        return "an address like 127.0.0.1:8090 or [::1]:8090"

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, Address) else super().parse(value)

    @override
    def read(self, text: str) -> Address:
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        bare = host[1:-1] if bracketed else host
        port_ok = re.fullmatch(r"[0-9]{1,5}", port) is not None and int(port) <= 65_535  # noqa: PLR2004 - TCP's last port
        if not colon or not port_ok or not _is_host(bare) or bracketed != (":" in bare):
            raise wrong(f"expected {self.expects}, got {shown(text)}")
        return Address(bare, int(port))


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine and nobody else can reach it. Names other than localhost are not looked up."""
    if host.lower() in {"localhost", "localhost.localdomain", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: what it resolves to can change after the check
        return False


def _is_host(text: str) -> bool:
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            return False
        return "%" not in text
    return re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,9}", text) is not None


def domain_in(contact: str) -> str:
    """Give the domain of the directory that a contact names (`user/1001@DOMAIN`); the empty text if it names none."""
    found = contacts.read(contact)
    domains = (_domain_of(phone.endpoint) for phone in found.phones) if found else ()
    return next((domain for domain in domains if domain), "")


def _domain_of(endpoint: str) -> str:
    kind, _, rest = endpoint.partition("/")
    match kind:
        case "user" | "verto.rtc":
            return rest.partition("@")[2]
        case "sofia" if "@" not in rest:
            return rest.partition("%")[2]
    return ""


def contact_for(template: str, agent_id: str) -> str:
    """Fill the agent's id into a contact template."""
    return template.replace("{agent}", agent_id)
