"""A webhook's secrets, decrypted once an invocation: what signs, and the headers that are its own."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from functions.adapters import vault
from functions.deliver.claims import Webhook
from functions.domain import credentials, signing
from functions.domain.credentials import Credentials
from functions.domain.signing import Signer
from functions.telemetry import logger


@dataclass(frozen=True)
class Opened:
    signers: tuple[Signer, ...]
    headers: dict[str, str]


def opened(webhook: Webhook) -> Opened | None:
    """None when KMS is away or something is not readable: no attempt is used up, and no other webhook waits."""
    try:
        key = vault.cipher(bytes.fromhex(webhook.data_key), webhook.project_id)
        return Opened(_signers(key, webhook), _headers(key, webhook))
    except (vault.KmsUnavailableError, vault.UnreadableSecretError) as error:
        logger.error("secrets not readable", webhook_id=webhook.id, error=str(error))
    except (ValueError, KeyError) as error:  # what was decrypted is not what the columns beside it say
        logger.error("secrets not usable", webhook_id=webhook.id, error=repr(error))
    return None


def _signers(key: AESGCM, webhook: Webhook) -> tuple[Signer, ...]:
    bound_to = vault.signing_secret_of(webhook.project_id, webhook.id)
    return tuple(
        signing.signer(algorithm, vault.decrypt(key, bound_to, bytes.fromhex(secret)))
        for algorithm, secret in webhook.secrets
    )


def _headers(key: AESGCM, webhook: Webhook) -> dict[str, str]:
    if webhook.credentials is None:
        return credentials.sent(webhook.headers, Credentials()) if webhook.headers else {}
    bound_to = vault.credentials_of(webhook.project_id, webhook.id)
    stored = vault.decrypt(key, bound_to, bytes.fromhex(webhook.credentials))
    return credentials.sent(webhook.headers, credentials.load(stored))
