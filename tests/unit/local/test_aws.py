import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from local.cloudformation import attributes
from local.ports import answers, free_port
from local.seed import Seed
from tests.unit.local.stacks import template

STACK = template(
    {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/shop", "TargetKeyId": {"Ref": "Key"}},
        },
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "open sesame"}},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "shop-archive"}},
    }
)
KEY_ARN = STACK.attribute("Key", "Arn")


def served(seed: Path, script: Callable[[str], Any]) -> Any:
    """Run the script with the URL of a freshly started emulator."""
    port = free_port()
    command = [sys.executable, "-m", "local.aws", "--port", str(port), "--seed", str(seed)]
    command += ["--objects", str(seed.parent / "objects")]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return script(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        assert process.wait(10) == 0


def client(service: Any, url: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    file = tmp_path / "aws.json"
    Seed(STACK, file).save()
    return file


def test_it_holds_what_the_stack_has(seed: Path) -> None:
    def script(url: str) -> None:
        secret_arn = attributes.secret_arn(STACK.resource("Secret"))
        answer = client("secretsmanager", url).get_secret_value(SecretId=secret_arn)
        assert (answer["SecretString"], answer["ARN"]) == ("open sesame", secret_arn)
        assert client("kms", url).describe_key(KeyId="alias/shop")["KeyMetadata"]["Arn"] == KEY_ARN
        s3 = client("s3", url)
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["shop-archive"]
        s3.put_object(Bucket="shop-archive", Key="a", Body=b"x")
        assert s3.get_object(Bucket="shop-archive", Key="a")["Body"].read() == b"x"
        assert client("sts", url).get_caller_identity()["Account"] == "000000000000"

    served(seed, script)


def test_a_data_key_of_yesterday_decrypts_today(seed: Path) -> None:
    context = {"project": "p1"}
    made = served(
        seed,
        lambda url: client("kms", url).generate_data_key(
            KeyId=KEY_ARN, KeySpec="AES_256", EncryptionContext=context
        ),
    )
    assert made["KeyId"] == KEY_ARN
    Seed(STACK, seed).save()  # as the next start does
    read = served(
        seed,
        lambda url: client("kms", url).decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context),
    )
    assert read["Plaintext"] == made["Plaintext"]


def test_a_web_page_gets_nothing(seed: Path) -> None:
    def script(url: str) -> None:
        rebound = requests.get(url, headers={"Host": "evil.example"}, timeout=10)
        assert rebound.status_code == 403
        asked = requests.options(url, headers={"Origin": "https://evil.example"}, timeout=10)
        assert "Access-Control-Allow-Origin" not in asked.headers

    served(seed, script)
    assert json.loads(seed.read_text())["buckets"] == ["shop-archive"]


def test_objects_are_there_after_a_restart(seed: Path) -> None:
    def write(url: str) -> None:
        s3 = client("s3", url)
        for key in ("archive/a b/1.gz", "archive/gone"):
            s3.put_object(Bucket="shop-archive", Key=key, Body=b"one")
        upload = s3.create_multipart_upload(Bucket="shop-archive", Key="archive/large")["UploadId"]
        where: Any = {"Bucket": "shop-archive", "Key": "archive/large", "UploadId": upload}
        tag = s3.upload_part(**where, PartNumber=1, Body=b"part")["ETag"]
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
        s3.put_object(Bucket="shop-archive", Key="archive/a b/1.gz", Body=b"two")
        s3.delete_object(Bucket="shop-archive", Key="archive/gone")

    def read(url: str) -> dict[str, bytes]:
        s3 = client("s3", url)
        found = s3.list_objects_v2(Bucket="shop-archive").get("Contents", [])
        return {one["Key"]: s3.get_object(Bucket="shop-archive", Key=one["Key"])["Body"].read() for one in found}

    served(seed, write)
    assert served(seed, read) == {"archive/a b/1.gz": b"two", "archive/large": b"part"}
