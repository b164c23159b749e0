"""What the first bytes of a request tell: enough to decide whom to let in first. Pure.

It decides about places and pace alone. What a request may do is decided when it has been read, by other code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fsacd.http.buckets import Crowd

# The head of an ordinary request fits; of a longer one only this much is looked at.
GLANCE_BYTES = 4_096

_LINE = re.compile(rb"(GET|HEAD) (/[!-~]{0,200}) HTTP/1\.[01]\r\n")
_AUTHORIZATION = re.compile(rb"\r\nAuthorization:[ \t]*([^\r\n]{0,1024})", re.IGNORECASE)
_HOST = re.compile(rb"\r\nHost:[ \t]*([^\r\n]{0,300}?)[ \t]*(?=\r\n)", re.IGNORECASE)
_HAS_BODY = re.compile(rb"\r\n(?:Content-Length|Transfer-Encoding|Expect):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Glance:
    """`simple`: the request is complete, only reads, and has no body. `path` is empty when it is not simple."""

    simple: bool
    is_head: bool = False
    path: str = ""
    authorization: str | None = None
    host: str | None = None

    @property
    def crowd(self) -> Crowd:
        """Whose bucket it is counted in if the token is not known."""
        return Crowd.of(self.path, authorization=self.authorization is not None)


def glance(head: bytes) -> Glance:
    """Look at the first bytes of a connection."""
    end = head.find(b"\r\n\r\n")
    if end >= 0:
        head = head[: end + 4]  # another request may follow it
    found = _AUTHORIZATION.search(head)
    # WSGI hands headers over as Latin-1, and so does this.
    authorization = None if found is None else found[1].strip().decode("latin-1")
    line = _LINE.match(head)
    hosts = _HOST.findall(head)
    if line is None or end < 0 or len(hosts) != 1 or _HAS_BODY.search(head):
        return Glance(simple=False, authorization=authorization)
    path = line[2].partition(b"?")[0].decode("ascii")
    return Glance(True, line[1] == b"HEAD", path, authorization, hosts[0].decode("latin-1"))
