from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from functions.domain import signing

# From the Standard Webhooks specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_example() -> None:
    made = signing.signature(
        signing.secret_bytes(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(body=st.text().map(str.encode))
def test_an_independent_library_verifies_any_body(body: bytes) -> None:
    key, now = signing.new_key(), datetime.now(UTC)
    made = signing.signature(key, "msg_1", int(now.timestamp()), body)
    assert Webhook(signing.shown(key)).sign("msg_1", now, body.decode()) == made


def test_a_shown_secret_reads_back() -> None:
    key = signing.new_key()
    assert signing.secret_bytes(signing.shown(key)) == key


@pytest.mark.parametrize("secret", ["", "whsec_", "abc", "whsec_!!!!", "whsec_" + "A" * 28, "whsec_" + "A" * 100])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        signing.secret_bytes(secret)
