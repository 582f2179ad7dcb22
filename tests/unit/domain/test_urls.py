# ruff: noqa: RUF001 - the letters that look like others are what is tested
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from functions.api.schemas import endpoints
from functions.domain import urls
from tests.egress_policy import egress_policy, forget


@pytest.fixture(autouse=True, scope="module")
def policy() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch, egress_policy(patch) as environment:
        yield environment


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://example.com", None),
        ("https://example.com:8443/a?b=c", None),
        ("https://example.com?b=c", None),
        ("https://my_host.example.com/%20/../x;y#z", None),
        ("https://xn--bcher-kva.example/", None),
        ("https://a.b--c.example/", None),
        ("https://8.8.8.8/", None),
        ("https://1e100.net/", None),
        ("https://12345.example/", None),
        ("https://[2606:4700:4700::1111]/", None),
        ("https://[2606:4700:4700:0:0:0:0:1111]:8443/", "https://[2606:4700:4700::1111]:8443/"),
        ("HTTPS://EXAMPLE.com/Path", "https://example.com/Path"),
        ("https://example.com:/", "https://example.com/"),
        ("https://example.com./", "https://example.com/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER.example:8443/a?b", "https://xn--bcher-kva.example:8443/a?b"),
        ("https://日本語。jp/", "https://xn--wgv71a119e.jp/"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://ｅｘａｍｐｌｅ．com/", "https://example.com/"),
    ],
)
def test_urls_that_may_be_configured(url: str, stored: str | None) -> None:
    assert urls.stored(url) == (stored or url)
    assert urls.stored(stored or url) == (stored or url), "what is stored is taken again as it is"


SPECIAL = "private or special"
NUMBERS = "four decimal numbers"
HOST = "name a host of letters"
TRICKY = [
    # another scheme, or none
    ("http://example.com/", "begin with https"),
    ("ftp://example.com/", "begin with https"),
    ("file:///etc/passwd", "begin with https"),
    ("gopher://127.0.0.1:6379/_INFO", "begin with https"),
    ("dict://127.0.0.1:11211/stat", "begin with https"),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "begin with https"),
    ("//example.com", "begin with https"),
    ("https:example.com", "begin with https"),
    ("https:/127.0.0.1/", "begin with https"),
    (" https://example.com", "begin with https"),
    ("https\n://example.com", "begin with https"),
    ("", "begin with https"),
    # slashes that only browsers know, and none at all
    ("https:\\\\127.0.0.1/", "begin with https"),
    ("https://example.com\\@127.0.0.1/", "begin with https"),
    ("https://example.com\\.evil.example/", "begin with https"),
    ("https://", "name a host"),
    ("https:///127.0.0.1/", "name a host"),
    ("https://:443/", "name a host"),
    # userinfo that looks like a host, and hosts that look like userinfo
    ("https://user@example.com/", "credentials"),
    ("https://user:pass@example.com/", "credentials"),
    ("https://example.com@10.0.0.1/", "credentials"),
    ("https://example.com:443@10.0.0.1/", "credentials"),
    ("https://@127.0.0.1/", "credentials"),
    ("https://10.0.0.1#@example.com", SPECIAL),
    ("https://10.0.0.1?@example.com/", SPECIAL),
    ("https://10.0.0.1/@example.com/", SPECIAL),
    # ports
    ("https://example.com:22/", "one of the ports"),
    ("https://example.com:80/", "one of the ports"),
    ("https://example.com:99999/", "a port from 1"),
    ("https://example.com:0/", "a port from 1"),
    ("https://example.com:https/", "a port from 1"),
    ("https://example.com:+443/", "a port from 1"),
    ("https://example.com:443:443/", "a port from 1"),
    ("https://example.com:４４３/", "a port from 1"),
    ("https://example.com:00000443/", "a port from 1"),
    # addresses as they are
    ("https://127.0.0.1/", SPECIAL),
    ("https://127.255.255.254/", SPECIAL),
    ("https://10.0.0.1/", SPECIAL),
    ("https://172.31.255.255/", SPECIAL),
    ("https://192.168.0.1/", SPECIAL),
    ("https://100.64.0.1/", SPECIAL),
    ("https://100.100.100.200/latest/meta-data", SPECIAL),
    ("https://169.254.169.254/latest/meta-data", SPECIAL),
    ("https://169.254.170.2/v2/credentials", SPECIAL),
    ("https://0.0.0.0/", SPECIAL),
    ("https://192.0.0.192/opc/v2/", SPECIAL),
    ("https://198.18.0.1/", SPECIAL),
    ("https://224.0.0.1/", SPECIAL),
    ("https://255.255.255.255/", SPECIAL),
    ("https://127.0.0.1./", SPECIAL),
    ("https://[::]/", SPECIAL),
    ("https://[::1]/", SPECIAL),
    ("https://[0000:0000::0001]/", SPECIAL),
    ("https://[::ffff:127.0.0.1]/", SPECIAL),
    ("https://[::ffff:a9fe:a9fe]/", SPECIAL),
    ("https://[::127.0.0.1]/", SPECIAL),
    ("https://[::ffff:0:127.0.0.1]/", SPECIAL),
    ("https://[64:ff9b::169.254.169.254]/", SPECIAL),
    ("https://[64:ff9b:1::1]/", SPECIAL),
    ("https://[2002:7f00:1::]/", SPECIAL),
    ("https://[2001::7f00:1]/", SPECIAL),
    ("https://[2a00:1450::5efe:10.0.0.1]/", SPECIAL),
    ("https://[fd00:ec2::254]/", SPECIAL),
    ("https://[fe80::1]/", SPECIAL),
    ("https://[ff02::1]/", SPECIAL),
    ("https://[5f00::1]/", SPECIAL),
    # IPv4 as inet_aton and browsers read it
    ("https://2130706433/", NUMBERS),
    ("https://0x7f000001/", NUMBERS),
    ("https://0x7F.1/", NUMBERS),
    ("https://0177.0.0.1/", NUMBERS),
    ("https://017700000001/", NUMBERS),
    ("https://127.1/", NUMBERS),
    ("https://127.0.1/", NUMBERS),
    ("https://0/", NUMBERS),
    ("https://127.0.0.0x1/", NUMBERS),
    ("https://127.0.0.01/", NUMBERS),
    ("https://256.256.256.256/", NUMBERS),
    ("https://1.2.3.4.5/", NUMBERS),
    ("https://example.0x/", NUMBERS),
    ("https://example.123/", NUMBERS),
    # and by other letters
    ("https://１２７.0.0.1/", "ASCII digits"),
    ("https://127。0。0。1/", "ASCII digits"),
    ("https://127．0．0．1/", "ASCII digits"),
    ("https://①②⑦.⓪.⓪.①/", "ASCII digits"),
    ("https://①⑥⑨｡②⑤④｡①⑥⑨｡②⑤④/", "ASCII digits"),
    ("https://𝟏𝟐𝟕.𝟎.𝟎.𝟏/", "ASCII digits"),
    ("https://127.0.0.\u00ad1/", "ASCII digits"),
    ("https://127\u200b.0.0.1/", "ASCII digits"),
    ("https://0ⓧ7f.1/", "ASCII digits"),
    ("https://１.2.3.٤/", "IDNA"),
    # IPv6 and brackets
    ("https://[::1/", "IPv6 address in brackets"),
    ("https://::1/", "IPv6 address in brackets"),
    ("https://[::1]x/", "IPv6 address in brackets"),
    ("https://[[::1]]/", "IPv6 address in brackets"),
    ("https://[127.0.0.1]/", NUMBERS),
    ("https://[v1.fe80::a]/", NUMBERS),
    ("https://[]/", NUMBERS),
    ("https://[fe80::1%25eth0]/", "without a zone"),
    ("https://[fe80::1%eth0]/", "without a zone"),
    ("https://[2606:4700::1%1]/", "without a zone"),
    # names that are known without asking
    ("https://localhost/", SPECIAL),
    ("https://LOCALHOST./", SPECIAL),
    ("https://admin.localhost/", SPECIAL),
    ("https://ＬＯＣＡＬＨＯＳＴ/", SPECIAL),
    ("https://loc\u00adalhost/", SPECIAL),
    ("https://localhost。/", SPECIAL),
    ("https://expyuzz4wqqyqhjn.onion/", "without Tor"),
    # names that are none
    ("https://example..com/", HOST),
    ("https://.example.com/", HOST),
    ("https://example.com../", HOST),
    ("https://./", HOST),
    ("https://-a.example/", HOST),
    ("https://*.example/", HOST),
    ("https://example.com,evil.example/", HOST),
    ("https://%31%32%37.0.0.1/", HOST),
    ("https://127.0.0.1%00.example.com/", HOST),
    ("https://127.0.0.1%23.example.com/", HOST),
    ("https://exa mple.com/", HOST),
    ("https://example.com\t/", HOST),
    ("https://example.com\x00/", HOST),
    ("https://" + "a" * 64 + ".example/", HOST),
    ("https://" + "a." * 127 + "aa/", HOST),
    ("https://" + "ü" * 254 + "/", "at most 253"),
    ("https://exa\u202emple.com/", "IDNA"),
    ("https://example\uff0fcom/", "IDNA"),
    ("https://example.com\uff03.evil.example/", "IDNA"),
    ("https://example\uff20evil.example/", "IDNA"),
    ("https://℀.example/", "IDNA"),
    ("https://☃.example/", "IDNA"),
    # what would end the line, or the URL
    ("https://example.com/\r\nx: y", "printable ASCII after the host"),
    ("https://example.com/ HTTP/1.1", "printable ASCII after the host"),
    ("https://example.com/\x00", "printable ASCII after the host"),
    ("https://example.com/\x7f", "printable ASCII after the host"),
    ("https://example.com/bücher", "printable ASCII after the host"),
    ("https://example.com/a\\b", "printable ASCII after the host"),
    ("https://example.com/" + "a" * 2048, "at most 2048"),
]


@pytest.mark.parametrize(("url", "why"), TRICKY, ids=[f"{number}" for number in range(len(TRICKY))])
def test_urls_that_may_not(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        urls.stored(url)


def test_the_api_stores_what_is_stored_here() -> None:
    url = TypeAdapter(endpoints.Url)
    assert url.validate_python("HTTPS://Bücher.example/a") == "https://xn--bcher-kva.example/a"
    with pytest.raises(ValidationError, match="ASCII digits"):
        url.validate_python("https://①②⑦.⓪.⓪.①/")


def test_the_table_of_tricky_urls_is_long() -> None:
    assert len({url for url, _why in TRICKY}) >= 60


@given(
    st.text(alphabet=st.sampled_from("https://.:@[]#?%\\0127xaü１。\u00ad\r\n \t"), max_size=40).map(
        "https://".__add__
    )
)
@example("https://a@b")
def test_whatever_is_let_through_is_read_in_one_way(url: str) -> None:
    """Printable ASCII, one host without credentials, and stored again it stays what it is."""
    try:
        stored = urls.stored(url)
    except ValueError:
        return
    assert stored.isascii()
    assert stored.isprintable()
    assert " " not in stored
    authority = stored.removeprefix("https://").replace("?", "/").replace("#", "/").partition("/")[0]
    assert "@" not in authority
    assert "%" not in authority
    assert "\\" not in stored
    assert urls.stored(stored) == stored


def test_where_loopback_is_open_localhost_is_too(policy: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EGRESS_SCHEMES", "http,https")
        environment.setenv("EGRESS_PORTS", "")
        environment.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")
        forget()
        for url in ("http://localhost:1234/", "http://127.0.0.1:1/", "http://[::1]/", "http://a.localhost/"):
            assert urls.stored(url) == url
        for url in ("http://127.1/", "http://[::ffff:127.0.0.1]/", "http://10.0.0.1/", "http://u@localhost/"):
            with pytest.raises(ValueError, match="must"):
                urls.stored(url)
    forget()
