"""Senders that show a token with every request, and sign nothing: in a header, the query, or as a basic password.

Who reads such a request has the token. It is for senders that can do no better, over HTTPS.
"""

from collections.abc import Sequence

from functions.domain.senders.base import Message, NothingToRecord, Received, Source
from functions.domain.senders.generic_hmac import named
from functions.domain.senders.reading import digest
from functions.domain.senders.signatures import basic, check_any, header

HEADER, QUERY, BASIC = "header", "query", "basic"


class Token(NothingToRecord):
    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        how = source.verification
        texts = [secret.decode() for secret in secrets]
        if how["in"] == QUERY:
            check_any([received.query.get(how["name"], "")], texts)
        elif how["in"] == BASIC:
            check_any([basic(received)], [f"{how['username']}:{text}" for text in texts])
        else:
            check_any([header(received, how["name"])], [how.get("prefix", "") + text for text in texts])

    def read(self, received: Received, source: Source) -> Message:
        return named(received, source.verification, digest(received.body))


SENDER = Token()
