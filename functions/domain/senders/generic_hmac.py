"""Any sender that signs with an HMAC: which header, algorithm, encoding, prefix and text is the source's business.

What is signed is a template, since senders differ in nothing else: `{body}` (Shopify, GitLab's older hooks),
`v0:{timestamp}:{body}` (Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack),
`{timestamp}.{body}`, `{id}.{timestamp}.{body}`.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from functions.domain.senders import reading
from functions.domain.senders.base import Message, NothingToRecord, Received, Source
from functions.domain.senders.reading import NO_TYPE, digest, field
from functions.domain.senders.signatures import check_any, check_fresh, header

PLACE = re.compile(r"\{(id|timestamp|body)\}")
BODY_ALONE = "{body}"


class GenericHmac(NothingToRecord):
    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        how = source.verification
        given = header(received, how["header"])
        if "timestamp_header" in how:
            check_fresh(header(received, how["timestamp_header"]), received, source.replay_window_seconds)
        text = _signed(received, how)
        made = [hmac.digest(key, text, how["algorithm"]) for key in secrets]
        prefix = how.get("prefix", "")
        check_any([given], [prefix + (one.hex() if how["encoding"] == "hex" else _base64(one)) for one in made])

    def read(self, received: Received, source: Source) -> Message:
        """A time that is signed makes another message of the same body, where the sender has no ids."""
        how = source.verification
        return named(received, how, digest(_signed(received, how)))


def named(received: Received, how: Mapping[str, Any], own_id: str) -> Message:
    """A message called as the source's `verification` says: by a header, or else by a field of the body.

    Raises Unreadable.
    """
    read = reading.body(received)

    def called(header_key: str, field_key: str, usual: str) -> str:
        by_header = received.headers.get(how[header_key].lower(), "") if header_key in how else ""
        return by_header or (field(read.value, how.get(field_key, usual)) if how.get(field_key, usual) else "")

    return Message(
        id=called("id_header", "id_field", "") or own_id,
        type=called("type_header", "type_field", "type") or NO_TYPE,
        data=read.text,
    )


def _signed(received: Received, how: Mapping[str, Any]) -> bytes:
    """The template with what stands for its places. Raises NotVerified where a header of it is absent."""
    parts = PLACE.split(how.get("signed", BODY_ALONE))
    places = {"body": lambda: received.body} | {
        name: lambda name=name: header(received, how[f"{name}_header"]).encode("utf-8", "surrogatepass")
        for name in ("id", "timestamp")
    }
    return b"".join(places[part]() if odd % 2 else part.encode() for odd, part in enumerate(parts))


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


SENDER = GenericHmac()
