import pytest

from functions.domain import allowlist


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0:0::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_networks_have_one_form(text: str, normal: str) -> None:
    assert allowlist.normalised(text) == normal
    assert allowlist.normalised(normal) == normal
    assert [str(one) for one in allowlist.networks([normal])] == [normal]


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "example.com", "10/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/255.0.0.0", "10.0.0.0/8/8"),
        *(" 10.0.0.0/8", "10.0.0.0/8\n", "010.0.0.1", "fe80::1%eth0", "fe80::%1/64", "::ffff:192.0.2.1/128"),
        *("1::2::3", "2001:db8::/129", "٣.2.3.4", "10.0.0.0/٨", "1" * 200),
    ],
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        allowlist.normalised(text)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("198.51.100.7", True),
        ("198.51.101.7", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("fe80::1%eth0", True),
        ("::ffff:198.51.100.7", False),  # another family; such addresses are never connected to anyway
        ("not an address", False),
    ],
)
def test_an_address_is_inside_or_not(address: str, inside: bool) -> None:
    allowed = allowlist.networks(["198.51.100.0/24", "2001:db8::/32", "fe80::/64"])
    assert allowlist.contains(allowed, address) is inside


def test_no_networks_contain_nothing() -> None:
    assert not allowlist.contains((), "198.51.100.7")
