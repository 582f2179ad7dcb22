"""What a name server may answer: the very address that is dialled decides, and nothing else is dialled."""

import ipaddress
import random
import socket

import pytest

from functions.domain import egress
from functions.domain.special_networks import SPECIAL
from tests.egress.conftest import forget
from tests.egress.internet import Internet
from tests.egress.posting import anywhere, code, post, request, sent
from tests.integration.endpoint import Endpoint

PUBLIC, PUBLIC_TOO, PUBLIC_IPV6 = "93.184.216.34", "93.184.216.35", "2606:4700:4700::1111"
INTERNAL = ["10.0.0.1", "169.254.169.254", "127.0.0.1", "100.64.0.1", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"]
REFUSED_ANSWERS = [
    *([str(special.network[0])] for special in SPECIAL),
    *([str(special.network[-1])] for special in SPECIAL),
    ["::ffff:169.254.169.254"],
    ["64:ff9b::a9fe:a9fe"],
    ["64:ff9b:1::a00:1"],
    ["2002:a9fe:a9fe::1"],
    ["2001:0:a00:1::"],
    ["2a00:1450::5efe:10.0.0.1"],
    ["4000::1"],
    INTERNAL,
    [f"10.0.{number}.1" for number in range(200)],
]


@pytest.fixture(autouse=True)
def served(net: Internet, receiver: Endpoint) -> None:
    """Whoever is at these addresses, it is the receiver."""
    at = ("127.0.0.1", int(receiver.url.split(":")[2].partition("/")[0]))
    net.routes |= dict.fromkeys((PUBLIC, PUBLIC_TOO, PUBLIC_IPV6, *INTERNAL), at)


@pytest.mark.parametrize("answers", REFUSED_ANSWERS, ids=range(len(REFUSED_ANSWERS)))
def test_an_answer_that_is_not_public_is_refused(net: Internet, receiver: Endpoint, answers: list[str]) -> None:
    net.names["inside.test"] = answers
    for url in ("http://inside.test/", "https://inside.test/", "https://inside.test:8443/"):
        assert code(post(url)) == "address_refused"
    assert net.dialled == []
    assert receiver.received == []


TRICKY_HOSTS = [
    *("127.0.0.1", "2130706433", "0x7f.1", "0177.1", "017700000001", "127.1", "0", "127.0.0.1.", "127.0.0.0x1"),
    *("%31%32%37.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fe80::1%25lo]"),
    *("[64:ff9b::7f00:1]", "localhost", "localhost.", "a.localhost", "LOCALHOST", "[fe80::1%25eth0]"),
]


@pytest.mark.parametrize("host", TRICKY_HOSTS)
def test_a_host_that_no_api_would_have_taken_is_refused_when_it_is_dialled(net: Internet, host: str) -> None:
    """The check of the URL is a courtesy: take it away and nothing is reached."""
    assert code(post(f"http://{host}/")) == "address_refused"
    assert net.dialled == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://hidden.onion/", "dns_error"),
        ("http://user:pass@good.test/", "request_failed"),
        ("http://good.test@127.0.0.1/", "request_failed"),
        ("http://good.test#@127.0.0.1:1/", None),
        ("http:\\\\127.0.0.1/", "request_failed"),
        ("http://127.0.0.1%00.good.test/", "request_failed"),
        ("http://good.test\\@127.0.0.1/", "request_failed"),
        ("http://good.test:80:81/", "request_failed"),
        ("http://127.0.0.1 .good.test/", "request_failed"),
        ("http:///127.0.0.1/", "address_refused"),
        ("http:/127.0.0.1/", "address_refused"),
        ("file:///etc/passwd", "invalid_response"),
        ("gopher://good.test/", "invalid_response"),
        ("ws://good.test/", "invalid_response"),
        ("", "request_failed"),
    ],
)
def test_a_url_that_no_api_would_have_taken_leads_nowhere_either(
    net: Internet, receiver: Endpoint, url: str, error: str | None
) -> None:
    net.names["good.test"] = [PUBLIC]
    assert code(post(url)) == error
    assert {address for address, _port in net.dialled} == (set() if error else {PUBLIC})


def test_the_machine_itself_sees_no_connection(net: Internet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        port = listener.getsockname()[1]
        net.names["rebind.test"] = ["127.0.0.1"]
        for host in ("127.0.0.1", "localhost", "0x7f000001", "127.1", "rebind.test", "[::ffff:127.0.0.1]", "0"):
            assert code(post(f"http://{host}:{port}/")) == "address_refused"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_name_that_is_public_when_it_is_checked_and_private_when_it_is_dialled(
    net: Internet, receiver: Endpoint
) -> None:
    """Rebinding: whoever asks twice and trusts the first answer is led inside. Here the second is judged."""
    answers = iter([[PUBLIC], ["169.254.169.254"], ["169.254.169.254"]])
    net.names["rebind.test"] = lambda: next(answers)
    assert all(egress.is_allowed(address) for address in net.answers("rebind.test")), "the check finds no fault"
    assert code(post("http://rebind.test/")) == "address_refused"
    assert net.asked.count("rebind.test") > 1
    assert net.dialled == []
    assert receiver.received == []


def test_a_name_that_turns_private_between_two_deliveries(net: Internet, receiver: Endpoint) -> None:
    receiver.headers = {"connection": "close"}
    net.names["rebind.test"] = [PUBLIC]
    assert post("http://rebind.test/").status == 200
    net.names["rebind.test"] = ["10.0.0.1"]
    forget()  # what libcurl kept of the name, which it does for a minute
    assert code(post("http://rebind.test/")) == "address_refused"
    assert net.dialled == [(PUBLIC, 80)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_name_server_mixes_nothing_but_what_is_public_is_dialled(net: Internet, seed: int) -> None:
    """Each family is asked for on its own, and each question gets another answer."""
    chance = random.Random(seed)
    everything = [PUBLIC, PUBLIC_TOO, PUBLIC_IPV6, *INTERNAL]
    for number in range(10):
        net.names[f"mixed{number}.test"] = lambda: chance.sample(everything, chance.randint(1, 6))
    for response in sent([request(f"http://mixed{number}.test/") for number in range(10)]):
        assert response.status == 200 or code(response) in ("address_refused", "dns_error")
        assert response.remote_address is None or egress.is_allowed(response.remote_address)
    assert {address for address, _port in net.dialled} <= {PUBLIC, PUBLIC_TOO, PUBLIC_IPV6}


@pytest.mark.parametrize(
    "answers",
    [["10.0.0.1", PUBLIC], [PUBLIC, "10.0.0.1"], ["::1", "169.254.169.254", PUBLIC], ["fd00::1", PUBLIC_IPV6]],
    ids=str,
)
def test_one_private_address_among_public_ones_is_passed_over(
    net: Internet, receiver: Endpoint, answers: list[str]
) -> None:
    net.names["mixed.test"] = answers
    assert post("http://mixed.test/").status == 200
    assert len(receiver.received) == 1
    assert len(net.dialled) == 1
    assert egress.is_allowed(net.dialled[0][0])


def test_when_the_public_one_is_down_no_private_one_steps_in(net: Internet, receiver: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        net.routes[PUBLIC] = closed.getsockname()
    net.names["mixed.test"] = [PUBLIC, "10.0.0.1"]
    assert code(post("http://mixed.test/")) == "connection_failed"
    assert net.dialled == [(PUBLIC, 80)]
    assert receiver.received == []


def test_a_port_that_is_not_allowed_is_refused_when_it_is_dialled(
    net: Internet, policy: pytest.MonkeyPatch
) -> None:
    policy.setenv("EGRESS_PORTS", "443,8443")
    forget()
    net.names["good.test"] = [PUBLIC]
    for url in ("http://good.test/", "http://good.test:22/", "https://good.test:6379/"):
        assert code(post(url)) == "address_refused"
    assert net.dialled == []


def test_a_name_with_a_thousand_addresses_makes_no_scanner_of_us(net: Internet) -> None:
    everywhere = [str(ipaddress.IPv4Address("93.184.0.0") + number) for number in range(1000)]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        net.routes |= dict.fromkeys(everywhere, closed.getsockname())
    net.names["many.test"] = everywhere
    assert code(post("http://many.test/")) == "connection_failed"
    assert len(net.dialled) == 3


def test_a_policy_that_cannot_be_read_lets_nothing_through(net: Internet, policy: pytest.MonkeyPatch) -> None:
    policy.setenv("EGRESS_ALLOWED_NETWORKS", "everything")
    forget()
    net.names["good.test"] = [PUBLIC]
    assert post("http://good.test/").failure is not None
    assert net.dialled == []


def test_a_resolver_that_answers_no_address_at_all_is_no_danger(net: Internet) -> None:
    net.names["nothing.test"] = []
    assert code(post("http://nothing.test/")) == "dns_error"
    assert code(post("http://nothing.test/", may_connect=anywhere)) == "dns_error"
