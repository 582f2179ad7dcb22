import pytest

from functions.domain import headers


@pytest.mark.parametrize("name", ["X-Tenant", "a", "!#$%&'*+-.^_`|~09", "content-language", "Accept", "x" * 128])
def test_names_that_may_be(name: str) -> None:
    headers.check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "x y", "x:y", "x\r\ny", "x\n", "ü", "x(1)", "x\x00", "x" * 129, "\tx", "x/y", "x=y", '"x"', "x\x7f"),
        *("Host", "USER-AGENT", "Content-Type", "content-length", "Content-Encoding", "Transfer-Encoding", "TE"),
        *("Trailer", "Connection", "Keep-Alive", "Upgrade", "Expect", "Proxy-Authorization", "proxy-connection"),
        *("Webhook-Id", "webhook-anything", "HOOKLINE-attempt", "hookline-x", "Accept-Encoding", "http2-settings"),
    ],
)
def test_names_that_may_not(name: str) -> None:
    with pytest.raises(ValueError, match=r"must|itself"):
        headers.check_name(name)


@pytest.mark.parametrize("value", ["x", "a b", "a\tb", "~!", "x" * 1024, "a,b;c=d", "{}"])
def test_values_that_may_be(value: str) -> None:
    headers.check_value(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\t",
        " x",
        "x ",
        "x\n",
        "x\r\nhost: evil",
        "a\x00b",
        "ü",
        "x" * 1025,
        "a\x7fb",
        "a\x0bb",
        "a\rb",
        "x\t",
    ],
)
def test_values_that_may_not(value: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        headers.check_value(value)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("Authorization", "x", True),
        ("X-API-Key", "x", True),
        ("x-apikey", "x", True),
        ("api_key", "x", True),
        ("x-auth", "x", True),
        ("x-access-key-id", "x", True),
        ("X-Amz-Security-Token", "x", True),
        ("client-secret", "x", True),
        ("x-password", "x", True),
        ("x-hub-signature", "x", True),
        ("x-credential", "x", True),
        ("Cookie", "x", True),
        ("x-session-id", "x", True),
        ("x-thing", "Bearer abc", True),
        ("x-thing", "bEARER\tabc", True),
        ("x-thing", "Basic dTpw", True),
        ("x-thing", "AWS4-HMAC-SHA256 Credential=x", True),
        ("x-thing", "bearer", False),
        ("x-author", "x", False),
        ("x-tenant", "acme", False),
        ("x-trace-id", "basics", False),
    ],
)
def test_what_looks_like_a_credential(name: str, value: str, secret: bool) -> None:
    assert headers.is_secret(name, value) is secret


def test_the_case_of_a_name_makes_no_difference() -> None:
    assert headers.named_twice(["x-a", "x-b", "X-A"]) == "X-A"
    assert headers.named_twice(["x-a", "x-b"]) is None
    assert headers.find({"X-Api-Key": "v"}, "x-api-key") == "X-Api-Key"
    assert headers.find({"X-Api-Key": "v"}, "x-api") is None


def test_authorization_by_the_standards() -> None:
    assert headers.authorization({"type": "bearer", "token": "t0k"}) == "Bearer t0k"
    # The example of RFC 7617, 2; and 2.1's, in UTF-8.
    basic = {"type": "basic", "username": "Aladdin", "password": "open sesame"}
    assert headers.authorization(basic) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert (
        headers.authorization({"type": "basic", "username": "test", "password": "123£"})
        == "Basic dGVzdDoxMjPCow=="
    )


def test_what_is_recorded_hides_values_whatever_their_names_case() -> None:
    sent = {"X-Key": "k", "authorization": "Bearer t", "x-tenant": "acme"}
    assert headers.masked(sent, ["x-key"]) == {
        "X-Key": headers.HIDDEN,
        "authorization": headers.HIDDEN,
        "x-tenant": "acme",
    }
