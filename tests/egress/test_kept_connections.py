"""A connection that was kept belongs to whoever opened it: it is judged again for whoever uses it next."""

import pytest

from tests.egress.conftest import forget
from tests.egress.hostile import OK, answering
from tests.egress.internet import Internet
from tests.egress.posting import anywhere, code, post
from tests.integration.endpoint import Endpoint


def test_a_connection_is_kept_for_the_next_request(receiver: Endpoint) -> None:
    for _ in range(2):
        assert post(receiver.url, may_connect=anywhere).status == 200
    assert len({one.port for one in receiver.received}) == 1


def test_a_kept_connection_that_may_no_longer_be_used_carries_nothing(receiver: Endpoint) -> None:
    """Such as one that another part of the process opened, to an address that webhooks may not reach."""
    assert post(receiver.url, may_connect=anywhere).status == 200
    assert code(post(receiver.url)) == "address_refused"
    assert len(receiver.received) == 1


def test_networks_that_are_closed_are_closed_for_kept_connections_too(
    receiver: Endpoint, policy: pytest.MonkeyPatch
) -> None:
    policy.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8")
    forget()
    assert post(receiver.url).status == 200
    policy.delenv("EGRESS_ALLOWED_NETWORKS")
    forget()
    assert code(post(receiver.url)) == "address_refused"
    assert len(receiver.received) == 1


def test_an_allowlist_is_not_led_around_by_a_kept_connection(net: Internet, receiver: Endpoint) -> None:
    at = ("127.0.0.1", int(receiver.url.split(":")[2].partition("/")[0]))
    net.routes |= {"93.184.216.34": at, "93.184.216.35": at}
    net.names["shared.test"] = ["93.184.216.34"]
    assert post("http://shared.test/").status == 200
    refused = post("http://shared.test/", allowed=("93.184.216.35/32",))
    assert code(refused) == "address_not_in_allowlist"
    assert post("http://shared.test/", allowed=("93.184.216.34/32",)).status == 200
    assert len(net.dialled) == 2
    assert len(receiver.received) == 2


def test_an_answer_that_was_not_asked_for_is_not_taken_for_the_next_one() -> None:
    """An endpoint, or somebody before it, sends two responses to one request, on a connection that is kept."""
    first = OK + b"content-length: 0\r\n\r\n"
    forged = b"HTTP/1.1 299 Forged\r\ncontent-length: 0\r\n\r\n"
    with answering(lambda: [first + forged]) as server:
        for _ in range(2):
            assert post(server.url, may_connect=anywhere).status == 200
        assert len(server.heard) == 2


def test_cookies_upgrades_and_promises_of_an_answer_are_forgotten(receiver: Endpoint) -> None:
    receiver.headers = {
        "set-cookie": "session=1; Path=/",
        "alt-svc": 'h3="127.0.0.1:1"; ma=3600',
        "strict-transport-security": "max-age=31536000",
        "refresh": "0; url=http://169.254.169.254/",
        "link": "<http://169.254.169.254/>; rel=preload",
    }
    for _ in range(2):
        assert post(receiver.url, may_connect=anywhere).status == 200
    assert all("cookie" not in one.headers and "upgrade" not in one.headers for one in receiver.received)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(net: Internet, receiver: Endpoint, status: int) -> None:
    receiver.status, receiver.headers = status, {"location": "http://169.254.169.254/latest/meta-data/"}
    response = post(receiver.url, may_connect=anywhere)
    assert response.status == status
    assert response.headers["location"] == "http://169.254.169.254/latest/meta-data/"
    assert [address for address, _port in net.dialled] == ["127.0.0.1"]


@pytest.mark.parametrize("challenge", ["Basic realm=x", "Digest realm=x, nonce=y", "Negotiate", "NTLM"])
def test_a_demand_for_credentials_gets_none(
    receiver: Endpoint, challenge: str, tmp_path_factory: pytest.TempPathFactory, policy: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login root password secret\n")
    policy.setenv("HOME", str(home))
    receiver.status, receiver.headers = 401, {"www-authenticate": challenge}
    assert post(receiver.url, may_connect=anywhere).status == 401
    assert len(receiver.received) == 1
    assert "authorization" not in receiver.received[0].headers
