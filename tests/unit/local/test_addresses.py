import socket
from pathlib import Path

import pytest

from local import addresses
from local.addresses import PortError
from local.ports import PortTakenError, kept_port


@pytest.fixture
def taken() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_ports_are_kept_from_start_to_start(tmp_path: Path) -> None:
    first, second = (addresses.choose(0, tmp_path, {}) for _ in range(2))
    assert (first.sqs, first.aws, first.lambda_api) == (second.sqs, second.aws, second.lambda_api)
    assert len({first.sqs, first.aws, first.lambda_api}) == 3


def test_a_kept_port_that_somebody_took_is_given_up(tmp_path: Path, taken: int) -> None:
    (tmp_path / "port").write_text(str(taken))
    assert kept_port(tmp_path / "port") != taken


def test_the_environment_asks_for_ports(tmp_path: Path) -> None:
    free = addresses.choose(0, tmp_path, {}).sqs
    asked = {"HOOKLINE_SQS_PORT": str(free), "HOOKLINE_DATABASE_PORT": "5555"}
    ports = addresses.choose(0, tmp_path / "other", asked)
    assert (ports.sqs, ports.database) == (free, 5555)


def test_a_taken_port_that_was_asked_for_is_an_error(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PortError, match=str(taken)):
        addresses.choose(taken, tmp_path, {})
    with pytest.raises(PortError, match=str(taken)):
        addresses.choose(None, tmp_path, {"HOOKLINE_PORT": str(taken)})
    with pytest.raises(PortTakenError, match=str(taken)):
        addresses.choose(0, tmp_path, {"HOOKLINE_AWS_PORT": str(taken)})


@pytest.mark.parametrize("text", ["http", "-1", "70000", "8080.5"])
def test_a_port_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(PortError, match="HOOKLINE_PORT"):
        addresses.choose(None, tmp_path, {"HOOKLINE_PORT": text})


def test_without_a_wish_another_port_serves_when_the_usual_one_is_taken(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "API_PORT", taken)
    assert addresses.choose(None, tmp_path, {}).api != taken
