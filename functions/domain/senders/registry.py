"""Which sender a kind of source has, and what its secret may be."""

import secrets
from importlib import import_module
from typing import cast

from functions.domain import signing
from functions.domain.senders.base import Kind, Sender

# What is shown by the sender before it knows a URL has to be given. Stripe shows its secret only after: such a
# source has one that nobody knows, until the right one is given by rotating.
GIVEN = {"firecrawl"}


def sender(kind: Kind) -> Sender:
    """The object that a module named like the kind has: only kinds that are met are imported."""
    return cast(Sender, import_module(f"functions.domain.senders.{kind}").SENDER)


def new_secret(kind: Kind) -> str:
    """A secret of 256 bits, in letters that may stand in a URL; or as the kind wants it."""
    if kind == "standard_webhooks":
        return str(signing.shown("hmac", signing.new_key()))
    return secrets.token_urlsafe(32)


def check_secret(kind: Kind, secret: str) -> None:
    """Raises ValueError saying what is wrong with it."""
    if kind != "standard_webhooks":
        return
    if secret.startswith(signing.PUBLIC):
        from functions.domain.senders.standard_webhooks import public_key  # noqa: PLC0415 - this kind alone

        public_key(secret)
    elif secret.startswith(signing.SECRET):
        signing.parse(secret)
    else:
        raise ValueError(f"must begin with {signing.SECRET}, or with {signing.PUBLIC} for ed25519")
