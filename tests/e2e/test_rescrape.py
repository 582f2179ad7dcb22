"""A page that is scraped again by the whole service: API, queue, function, bucket, event."""

import json

import boto3
import pg8000.native
import requests
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import make_url

from functions.adapters import vault
from functions.domain.ids import uuid7
from tests.conftest import REGION
from tests.e2e.service import Service
from tests.integration.firecrawl import KEY, firecrawl
from tests.integration.rescrape_scene import CHANGE, SOURCE


def test_a_page_is_scraped_again_and_its_document_can_be_fetched(service: Service) -> None:
    stack = service.stack()
    url = make_url(stack["database_url"])
    source, change = uuid7(), uuid7()
    with (
        firecrawl() as here,
        pg8000.native.Connection(
            url.username or "",
            host=url.host or "",
            port=url.port or 0,
            password=url.password,
            database=url.database,
        ) as sql,
    ):
        here.markdown = "ä" * 150_000
        ((data_key,),) = sql.run("SELECT data_key FROM webhook.projects WHERE id = :id", id=stack["project_id"])
        bound_to = vault.source_credentials_of(stack["project_id"], source)
        secret = json.dumps({"api_key": KEY}).encode()
        sql.run(
            SOURCE,
            id=source,
            project_id=stack["project_id"],
            application_id=None,
            rescrape=json.dumps({"api_url": here.url}),
            credentials=vault.encrypt(_cipher(stack, bytes(data_key)), bound_to, secret),
        )
        sql.run(CHANGE, id=change, source_id=source, watch_id="w", url="https://shop.example/prices")
        started = service.request("POST", f"/v1/change-events/{change}/rescrape")
        assert started.status_code == 202
        status = "SELECT rescrape_status FROM webhook.change_events WHERE id = :id"
        service.wait_until(lambda: sql.run(status, id=change) == [["completed"]], 60)
    event = service.request("GET", f"/v1/events/{started.json()['job_id']}").json()
    assert event["type"] == "document.rescraped"
    path = f"/v1/change-events/{change}/document"
    for link in (event["data"]["document_url"], service.request("GET", path).json()["url"]):
        document = requests.get(link, timeout=10)
        assert len(document.content) == event["data"]["document_bytes"]
        assert document.json()["markdown"] == here.markdown
    assert service.request("DELETE", path).status_code == 204
    assert requests.get(link, timeout=10).status_code == 404


def _cipher(stack: dict[str, str], data_key: bytes) -> AESGCM:
    kms = boto3.client(
        "kms",
        endpoint_url=stack["aws_url"],
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    context = {"project_id": stack["project_id"]}
    return AESGCM(kms.decrypt(CiphertextBlob=data_key, EncryptionContext=context)["Plaintext"])
