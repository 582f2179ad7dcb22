from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from functions.domain import signing

# From the Standard Webhooks specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
# From Svix's server, whose authors wrote the specification: the seed with its public key behind it.
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def sign(secret: str) -> str:
    return signing.signature([signing.signer(*signing.parse(secret))], *MESSAGE)


def test_the_published_example() -> None:
    assert sign(SECRET) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_of_ed25519() -> None:
    assert sign(PRIVATE) == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )
    assert signing.public_key(*signing.parse(PRIVATE)) == PUBLIC


def test_several_secrets_sign_side_by_side() -> None:
    signers = [signing.signer(*signing.parse(one)) for one in (SECRET, PRIVATE)]
    assert signing.signature(signers, *MESSAGE) == f"{sign(SECRET)} {sign(PRIVATE)}"


@given(body=st.text().map(str.encode))
def test_an_independent_library_verifies_any_body(body: bytes) -> None:
    key, now = signing.new_key(), datetime.now(UTC)
    made = signing.signature([signing.signer("hmac", key)], "msg_1", int(now.timestamp()), body)
    shown = signing.shown("hmac", key)
    assert shown is not None
    assert Webhook(shown).sign("msg_1", now, body.decode()) == made


@given(body=st.binary())
def test_the_public_key_verifies_any_body_and_no_other(body: bytes) -> None:
    seed = signing.new_key("ed25519")
    version, _, made = signing.signature([signing.signer("ed25519", seed)], "msg_1", 1700000000, body).partition(
        ","
    )
    public = signing.public_key("ed25519", seed)
    assert public is not None
    verifier = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    verifier.verify(b64decode(made), b"msg_1.1700000000." + body)
    assert version == "v1a"
    with pytest.raises(InvalidSignature):
        verifier.verify(b64decode(made), b"msg_1.1700000001." + body)


def test_a_shown_secret_reads_back_and_a_private_key_is_not_shown() -> None:
    key = signing.new_key()
    assert signing.parse(signing.shown("hmac", key) or "") == ("hmac", key)
    assert signing.public_key("hmac", key) is None
    assert signing.shown("ed25519", signing.new_key("ed25519")) is None


def test_a_seed_may_come_alone() -> None:
    seed = b64decode(PRIVATE.removeprefix("whsk_"))[:32]
    assert signing.parse("whsk_" + b64encode(seed).decode()) == signing.parse(PRIVATE) == ("ed25519", seed)


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "abc", "whsec_!!!!", "whsec_" + "A" * 28, "whsec_" + "A" * 100, "whsec_é", PUBLIC),
        *("whsk_", "whsk_" + "A" * 44, "whsk_!!!!", PRIVATE[:-4] + "AA==", PRIVATE + "\n"),
    ],
)
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match=r"must"):
        signing.parse(secret)
