import pytest

from functions.domain import credentials
from functions.domain.credentials import Credentials, NothingHiddenError
from functions.domain.headers import HIDDEN

BEARER = {"type": "bearer", "token": "t"}


def test_credentials_read_back_and_none_are_nothing() -> None:
    made = Credentials({"x-api-key": "k"}, BEARER)
    assert credentials.load(credentials.dump(made)) == made
    assert made
    assert not Credentials()


@pytest.mark.parametrize(
    "stored", [b"", b"[]", b"{}", b'{"headers": []}', b'{"headers": {}, "auth": "x"}', b"\xff"]
)
def test_what_are_no_credentials(stored: bytes) -> None:
    with pytest.raises(ValueError, match="no credentials"):
        credentials.load(stored)


def test_only_what_looks_like_a_credential_is_hidden() -> None:
    shown, hidden = credentials.split({"X-Tenant": "acme", "X-Api-Key": "k"}, {})
    assert shown == {"X-Tenant": "acme", "X-Api-Key": None}
    assert hidden == {"X-Api-Key": "k"}


def test_a_hidden_value_is_kept_under_a_name_of_another_case() -> None:
    shown, hidden = credentials.split({"x-api-key": HIDDEN}, {"X-Api-Key": "k", "x-other-key": "o"})
    assert (shown, hidden) == ({"x-api-key": None}, {"x-api-key": "k"})


def test_a_value_that_was_hidden_for_what_it_held_stays_hidden() -> None:
    _, hidden = credentials.split({"x-thing": "Bearer b"}, {})
    assert credentials.split({"x-thing": HIDDEN}, hidden) == ({"x-thing": None}, {"x-thing": "Bearer b"})


def test_nothing_hidden_cannot_be_kept() -> None:
    with pytest.raises(NothingHiddenError) as refused:
        credentials.split({"x-tenant": HIDDEN}, {"x-api-key": "k"})
    assert refused.value.name == "x-tenant"


def test_a_request_carries_them_all_but_nothing_that_is_hooklines() -> None:
    stored = Credentials({"x-api-key": "k"}, BEARER)
    headers = {"x-tenant": "acme", "x-api-key": None, "Webhook-Id": "forged", "user-agent": "forged"}
    assert credentials.sent(headers, stored) == {
        "x-tenant": "acme",
        "x-api-key": "k",
        "authorization": "Bearer t",
    }
    assert credentials.sent({"x-tenant": "acme"}, Credentials()) == {"x-tenant": "acme"}


def test_a_hidden_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        credentials.sent({"x-api-key": None}, Credentials())
