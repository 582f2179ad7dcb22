"""Secrets at rest: envelope encryption by a KMS data key per project.

AES-256-GCM, with what the secret belongs to and what it is for as associated data: a ciphertext copied to another
row or column does not decrypt. KMS is asked in `cipher` alone, so that all else may be done in a transaction (B5);
plain data keys are kept in the process for a while, since a KMS call costs a round trip and money.
"""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from functions.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

KEY_SECONDS = 900  # how long a revoked KMS grant may go unnoticed
AWAY_SECONDS = 5.0
PAUSES_SECONDS = (0.2, 1.0, 2.0)  # between tries
CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})  # answers take 10 ms
NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1


class UnreadableSecretError(Exception):
    """What is stored is not this secret, or was changed."""


class KmsUnavailableError(Exception):
    """KMS does not answer, or refuses."""


Answer = TypeVar("Answer")

_away_until = 0.0
_plain_keys: dict[bytes, tuple[float, AESGCM]] = {}


def new_data_key(project_id: str) -> bytes:
    """A new data key for a project, encrypted by KMS. Raises KmsUnavailableError."""
    context, key_id = {"project_id": project_id}, settings().kms_key_id
    made = _ask(lambda: _kms().generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=context))
    return made["CiphertextBlob"]


def cipher(data_key: bytes, project_id: str) -> AESGCM:
    """What encrypts and decrypts the project's secrets. In no transaction: may ask KMS.

    Raises KmsUnavailableError.
    """
    until, kept = _plain_keys.get(data_key, (0.0, None))
    if kept is None or until < time.monotonic():
        context, key_id = {"project_id": project_id}, settings().kms_key_id
        answer = _ask(lambda: _kms().decrypt(CiphertextBlob=data_key, KeyId=key_id, EncryptionContext=context))
        kept = AESGCM(answer["Plaintext"])
        _plain_keys[data_key] = (time.monotonic() + KEY_SECONDS, kept)
    return kept


def signing_secret_of(project_id: str, webhook_id: str) -> bytes:
    """What a webhook's signing secrets are bound to."""
    return f"{project_id}/{webhook_id}".encode()


def credentials_of(project_id: str, webhook_id: str) -> bytes:
    """What a webhook's credentials to its endpoint are bound to."""
    return f"{project_id}/{webhook_id}/credentials".encode()


def source_secret_of(project_id: str, source_id: str) -> bytes:
    """What a source's secrets are bound to."""
    return f"{project_id}/{source_id}/source-secret".encode()


def source_credentials_of(project_id: str, source_id: str) -> bytes:
    """What a source's credentials to the sender's API are bound to."""
    return f"{project_id}/{source_id}/source-credentials".encode()


def encrypt(key: AESGCM, bound_to: bytes, secret: bytes) -> bytes:
    """Nonce and ciphertext of one secret."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, secret, bound_to)


def decrypt(key: AESGCM, bound_to: bytes, stored: bytes) -> bytes:
    """The secret. Raises UnreadableSecretError."""
    nonce, ciphertext = stored[:NONCE_BYTES], stored[NONCE_BYTES:]
    try:
        return key.decrypt(nonce, ciphertext, bound_to)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        raise UnreadableSecretError(f"the secret of {bound_to.decode()} does not decrypt") from None


def _ask(call: Callable[[], Answer]) -> Answer:
    """What KMS answers, asked again for a few seconds while it does not. Raises KmsUnavailableError.

    After that it is left alone for a while: each webhook of a batch would wait for it.
    """
    global _away_until  # noqa: PLW0603 - a fact about this process
    if time.monotonic() < _away_until:
        raise KmsUnavailableError("KMS did not answer a moment ago")
    for pause in (*PAUSES_SECONDS, None):
        try:
            return call()
        except ClientError as error:
            raise KmsUnavailableError(f"KMS refuses: {error}") from error
        except BotoCoreError as error:
            if pause is None:
                _away_until = time.monotonic() + AWAY_SECONDS
                raise KmsUnavailableError(f"KMS does not answer: {error}") from error
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


@cache
def _kms() -> "KMSClient":
    import boto3  # noqa: PLC0415 - 150 ms, only where a key is not cached yet

    return boto3.client("kms", config=CONFIG)
