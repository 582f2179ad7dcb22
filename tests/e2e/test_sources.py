"""What an inbound sender posts, through the whole running service to a subscriber."""

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.scene import Scene, scene
from tests.e2e.service import ROOT, Service
from tests.integration.sources_scene import GITHUB_SECRET, github

BY_HAND = re.compile(r"```sh\n(BODY=.*?)```", re.DOTALL)


@pytest.fixture
def here(service: Service) -> Iterator[Scene]:
    with scene(service) as made:
        yield made


def source(here: Scene, **values: Any) -> dict[str, Any]:
    answer = here.request("POST", "/v1/sources", json={"event_types": {"*": here.event_type}, **values})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert made["url"].startswith(here.service["api_url"])
    return made


@pytest.mark.timeout(120)
def test_a_delivery_of_githubs_reaches_every_subscriber_once(service: Service, here: Scene) -> None:
    url = source(here, kind="github", name="repository", secret=GITHUB_SECRET)["url"]
    body = '{"ref":"refs/heads/main","who":"Jürgen"}'.encode()
    headers = {"content-type": "application/json", **github(body)}
    with ThreadPoolExecutor(8) as at_once:
        answers = list(at_once.map(lambda _: requests.post(url, body, headers=headers, timeout=30), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    [(_, id)] = {item for answer in answers for item in answer.json().items()}
    for changed in (body + b" ", body.replace(b"ref", b"reg")):
        assert requests.post(url, changed, headers=headers, timeout=30).status_code == 401
    here.finish(60)
    assert here.accepted() == {name: {id: 1} for name in here.webhooks}
    assert here.bad_signatures() == 0


@pytest.mark.timeout(120)
def test_the_documents_way_by_hand(service: Service, here: Scene) -> None:
    [commands] = BY_HAND.findall((ROOT / "docs" / "sources.md").read_text())
    how = {"header": "x-shop-signature", "prefix": "sha256="}
    made = source(here, kind="generic_hmac", name="shop", verification=how)
    secret = here.request("GET", f"/v1/sources/{made['id']}/secret").json()["secret"]
    environment = {**os.environ, "URL": made["url"], "SECRET": secret}
    said = subprocess.run(["sh", "-c", commands], env=environment, capture_output=True, check=True, text=True)
    assert re.fullmatch(r'\{"id": "[0-9a-f-]{36}"\}', said.stdout), said
    here.finish(60)
    assert all(len(events) == 1 for events in here.accepted().values())


@pytest.mark.timeout(120)
def test_the_gateway_leaves_every_refusal_to_us(service: Service, here: Scene) -> None:
    url = source(here, kind="github", name="repository", max_body_bytes=1000)["url"]
    for answer, status in (
        (requests.get(url, timeout=30), 405),
        (requests.post(url, b"{}", timeout=30), 401),
        (requests.post(url, b"x" * 1001, timeout=30), 413),
        (requests.post(url[:-1], b"{}", timeout=30), 404),
        (requests.get(f"{url}/more", timeout=30), 404),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["request_id"]
