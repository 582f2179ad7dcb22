import json
from pathlib import Path
from typing import Any

import pytest

from local.seed import Seed
from tests.unit.local.stacks import template


def stack(**rule: Any) -> Any:
    return template(
        {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": rule}},
            "Attachment": {
                "Type": "AWS::SecretsManager::SecretTargetAttachment",
                "Properties": {"SecretId": {"Ref": "Secret"}},
            },
        }
    )


def document(file: Path) -> Any:
    return json.loads(file.read_text())


def test_keys_and_secrets_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "aws.json"
    for _ in range(2):
        Seed(stack(PasswordLength=48), file).save()
        kept = document(file)
        if _ == 0:
            first = kept
    assert kept == first
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"ExcludePunctuation": True, "PasswordLength": 300}, str.isalnum),
        ({"ExcludePunctuation": True, "ExcludeNumbers": True, "PasswordLength": 300}, str.isalpha),
        (
            {"ExcludePunctuation": True, "ExcludeNumbers": True, "ExcludeUppercase": True, "PasswordLength": 300},
            str.islower,
        ),
        ({"ExcludeCharacters": "abc/@", "PasswordLength": 300}, lambda text: not set(text) & set("abc/@")),
    ],
)
def test_a_secret_is_generated_by_the_template_s_rule(rule: dict[str, Any], allowed: Any, tmp_path: Path) -> None:
    built = stack(**rule)
    value = Seed(built, tmp_path / "aws.json").secret(built.attribute("Secret", None))
    assert len(value) == 300
    assert allowed(value)


def test_the_database_s_secret_says_where_it_is(tmp_path: Path) -> None:
    built = stack(SecretStringTemplate='{"username": "admin"}', GenerateStringKey="password")
    seed = Seed(built, tmp_path / "aws.json")
    seed.attach_database(password="pw", host="127.0.0.1", port=5, name="shop")
    assert json.loads(seed.secret(built.attribute("Secret", None))) == {
        "username": "admin",
        "password": "pw",
        "engine": "postgres",
        "host": "127.0.0.1",
        "port": 5,
        "dbname": "shop",
    }
