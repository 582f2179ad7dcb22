import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from local.lambdas.background import Background
from local.lambdas.lambda_api import LambdaApi
from tests.unit.local.workers import running


def serve(script: Callable[[Any, str], None], folder: Path) -> None:
    """Run the blocking script, with a boto3 client and the URL, against the function shop-work."""

    async def run() -> None:
        async with running(folder) as function:
            background = Background()
            api = LambdaApi({"shop-work": function}, background)
            url = f"http://127.0.0.1:{await api.start(0)}"
            client = boto3.client(
                "lambda",
                endpoint_url=url,
                region_name="eu-central-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
                config=Config(retries={"max_attempts": 0}),
            )
            try:
                await asyncio.to_thread(script, client, url)
            finally:
                await background.stop(5)
                await api.stop(1)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_boto3_invokes_a_function_by_name_and_by_arn(tmp_path: Path) -> None:
    def script(client: Any, _: str) -> None:
        arn = "arn:aws:lambda:eu-central-1:000000000000:function:shop-work"
        for name in ("shop-work", arn, f"{arn}:$LATEST", "shop-work:$LATEST"):
            answer = client.invoke(FunctionName=name, Payload=b'{"a": 1}')
            assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
            assert json.loads(answer["Payload"].read())["event"] == {"a": 1}
            assert "FunctionError" not in answer

    serve(script, tmp_path)


def test_a_failed_function_is_a_200_with_a_function_error(tmp_path: Path) -> None:
    def script(client: Any, _: str) -> None:
        answer = client.invoke(FunctionName="shop-work", Payload=b'{"raise": "no"}')
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert json.loads(answer["Payload"].read())["errorMessage"] == "no"

    serve(script, tmp_path)


def test_an_event_is_accepted_at_once_and_run(tmp_path: Path) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"

    def script(client: Any, _: str) -> None:
        event = {"wait_for": str(gate), "print": "ran"}
        answer = client.invoke(FunctionName="shop-work", InvocationType="Event", Payload=json.dumps(event))
        assert answer["StatusCode"] == 202
        gate.touch()
        done.touch()

    serve(script, tmp_path)
    assert done.exists()


def test_a_dry_run_runs_nothing(tmp_path: Path) -> None:
    def script(client: Any, _: str) -> None:
        answer = client.invoke(FunctionName="shop-work", InvocationType="DryRun", Payload=b'{"die": 1}')
        assert answer["StatusCode"] == 204

    serve(script, tmp_path)


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("other", b"{}", "ResourceNotFoundException"),
        ("shop-work", b"not json", "InvalidRequestContentException"),
        ("shop-work", b'"' + b"x" * 6_300_000 + b'"', "RequestTooLargeException"),
    ],
)
def test_what_cannot_be_run_is_refused(name: str, payload: bytes, code: str, tmp_path: Path) -> None:
    def script(client: Any, _: str) -> None:
        with pytest.raises(ClientError) as caught:
            client.invoke(FunctionName=name, Payload=payload)
        assert caught.value.response["Error"]["Code"] == code

    serve(script, tmp_path)


def test_an_unsigned_request_such_as_a_web_page_could_send_is_refused(tmp_path: Path) -> None:
    def script(_: Any, url: str) -> None:
        answer = requests.post(f"{url}/2015-03-31/functions/shop-work/invocations", data="{}", timeout=5)
        assert answer.status_code == 403
        assert requests.get(url, timeout=5).status_code == 404

    serve(script, tmp_path)
