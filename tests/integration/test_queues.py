"""Sending to SQS without boto3: the signature is AWS's, failures are counted and never raised."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from functions.adapters import queues
from functions.adapters.queues import Message


class Recorder:
    """Answers as told and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status, answer = recorder.answers.pop(0)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.queue_url = f"http://{self.host}/000000000000/q"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/with+characters==")
    queues._curl.cache_clear()
    recorder = Recorder()
    yield recorder
    recorder.server.shutdown()
    recorder.server.server_close()
    queues._curl.cache_clear()


def test_the_signature_is_the_one_that_botocore_makes(sqs: Recorder) -> None:
    sqs.answers = [(200, b'{"Successful":[{"Id":"0"}],"Failed":[]}')]
    assert queues.send(sqs.queue_url, [Message('{"v":1}', "project", 7)]) == 1
    headers, body = sqs.requests[0]
    made = headers["authorization"]
    signed = made.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(
        "POST", f"http://{sqs.host}/", data=body, headers={name: headers[name] for name in signed}
    )
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    auth = SigV4Auth(credentials, "sqs", "eu-central-1")
    canonical = auth.canonical_request(request)
    expected = auth.signature(auth.string_to_sign(request, canonical), request)
    assert made.rpartition("Signature=")[2] == expected
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(signed)
    assert headers["x-amz-security-token"] == "token/with+characters=="
    assert json.loads(body)["Entries"] == [
        {"Id": "0", "MessageBody": '{"v":1}', "MessageGroupId": "project", "DelaySeconds": 7}
    ]


def test_more_than_ten_go_in_several_calls(sqs: Recorder) -> None:
    ten = json.dumps({"Successful": [{"Id": str(n)} for n in range(10)]}).encode()
    sqs.answers = [(200, ten), (200, ten), (200, b'{"Successful":[{"Id":"0"}]}')]
    assert queues.send(sqs.queue_url, [Message("b", "g") for _ in range(21)]) == 21


def test_a_server_error_is_tried_again_once_and_a_refusal_not(sqs: Recorder) -> None:
    sqs.answers = [(503, b"busy"), (200, b'{"Successful":[{"Id":"0"}]}')]
    assert queues.send(sqs.queue_url, [Message("b", "g")]) == 1
    sqs.answers = [(400, b'{"__type":"QueueDoesNotExist"}')]
    assert queues.send(sqs.queue_url, [Message("b", "g")]) == 0
    assert len(sqs.requests) == 3


def test_what_must_not_be_doubled_is_sent_once(sqs: Recorder) -> None:
    """SQS may have taken a message whose answer was lost; a dead letter's copy would look like a redrive."""
    sqs.answers = [(503, b"busy")]
    assert queues.send(sqs.queue_url, [Message("b", "g")], once=True) == 0
    assert len(sqs.requests) == 1


def test_a_queue_that_does_not_answer_is_not_asked_for_the_rest(sqs: Recorder) -> None:
    sqs.answers = [(503, b"busy"), (503, b"busy")]
    assert queues.send(sqs.queue_url, [Message("b", "g") for _ in range(100)]) == 0
    assert len(sqs.requests) == 2


def test_failed_entries_and_an_absent_queue_are_counted(sqs: Recorder) -> None:
    sqs.answers = [(200, b'{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"x","SenderFault":true}]}')]
    assert queues.send(sqs.queue_url, [Message("b", "g"), Message("b", "g")]) == 1
    assert queues.send("http://127.0.0.1:1/000000000000/q", [Message("b", "g")]) == 0
    queues.make_visible("http://127.0.0.1:1/000000000000/q", ["handle"])
