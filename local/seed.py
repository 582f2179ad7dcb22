"""What AWS would keep and the emulator forgets: key material and generated secrets, the same at every start."""

import base64
import json
import secrets
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.cloudformation import stores
from local.cloudformation.stores import SecretSpec
from local.cloudformation.template import Template
from local.files import write_private

SECRET_LENGTH = 32  # GenerateSecretString's default PasswordLength
KEY_BYTES = 32  # AES-256


class Seed:
    """The state of KMS, Secrets Manager and S3 that the template asks for, kept in `file` (0600)."""

    def __init__(self, template: Template, file: Path) -> None:
        self._file = file
        kept = json.loads(file.read_text()) if file.exists() else {}
        self._keys = {
            key.key_id: kept.get("keys", {}).get(key.key_id) or {"material": _material()}
            for key in stores.keys(template)
        }
        for key in stores.keys(template):
            self._keys[key.key_id]["aliases"] = list(key.aliases)
        self._secrets = {
            secret.arn: kept.get("secrets", {}).get(secret.arn) or _secret(secret)
            for secret in stores.secrets(template)
        }
        self._of_database = {secret.arn for secret in stores.secrets(template) if secret.of_database}
        self._buckets = stores.buckets(template)

    def attach_database(self, *, password: str, host: str, port: int, name: str) -> None:
        """Add to the master user's secret what RDS adds when the two are attached."""
        for arn in self._of_database:
            value = json.loads(self._secrets[arn]["value"])
            value |= {"password": password, "engine": "postgres", "host": host, "port": port, "dbname": name}
            self._secrets[arn]["value"] = json.dumps(value)

    def secret(self, arn: str) -> str:
        """Raises KeyError."""
        value: str = self._secrets[arn]["value"]
        return value

    def save(self) -> None:
        document = {"keys": self._keys, "secrets": self._secrets, "buckets": self._buckets}
        write_private(self._file, json.dumps(document, indent=2))


def _material() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _secret(spec: SecretSpec) -> dict[str, Any]:
    value = spec.value if spec.generate is None else _generated(spec.generate)
    return {"name": spec.name, "value": value}


def _generated(rule: Mapping[str, Any]) -> str:
    """By CloudFormation's GenerateSecretString: a password, alone or as one member of a template."""
    password = _password(rule)
    if "GenerateStringKey" not in rule:
        return password
    return json.dumps(json.loads(rule.get("SecretStringTemplate", "{}")) | {rule["GenerateStringKey"]: password})


def _password(rule: Mapping[str, Any]) -> str:
    kinds = {
        "ExcludeLowercase": string.ascii_lowercase,
        "ExcludeUppercase": string.ascii_uppercase,
        "ExcludeNumbers": string.digits,
        "ExcludePunctuation": string.punctuation,
    }
    characters = "".join(kind for exclusion, kind in kinds.items() if not rule.get(exclusion))
    allowed = [character for character in characters if character not in rule.get("ExcludeCharacters", "")]
    return "".join(secrets.choice(allowed) for _ in range(int(rule.get("PasswordLength", SECRET_LENGTH))))
