"""A bucket: objects as a whole, read bit by bit, of any size written in parts, and links to them for others."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 << 20  # S3 takes parts of 5 MiB and more, but for the last, and 10,000 of them
READ_BYTES = 1 << 20
CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 5},
    # Links to what KMS encrypts have to be signed by it, and name the region's own endpoint only in this style.
    signature_version="s3v4",
    s3={"addressing_style": "virtual"},
)
# Where somebody waits for the answer.
HURRIED = CONFIG.merge(
    Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
)
ABSENT = {"NoSuchKey", "404"}


class Bucket:
    """One bucket. What S3 refuses or does not answer is raised: botocore's ClientError, BotoCoreError."""

    def __init__(self, name: str, config: Config = CONFIG) -> None:
        import boto3  # noqa: PLC0415 - 150 ms, only where there are objects

        self.name = name
        self._s3: S3Client = boto3.client("s3", config=config)

    def put(self, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes | None:
        """The whole object; None when there is none."""
        try:
            return b"".join(self.read(key))
        except FileNotFoundError:
            return None

    def read(self, key: str) -> Iterator[bytes]:
        """The object in pieces of up to 1 MiB. Raises FileNotFoundError."""
        try:
            body = self._s3.get_object(Bucket=self.name, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                raise FileNotFoundError(f"s3://{self.name}/{key}") from error
            raise
        yield from body.iter_chunks(READ_BYTES)

    def link(self, key: str, seconds: int) -> str:
        """A URL by which anybody may read the object for so long, or until the credentials of this process end.

        Those of a role last for hours, and there is no telling how many are left
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html). Nothing is asked.
        """
        asked = {"Bucket": self.name, "Key": key}
        return self._s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)

    def delete_below(self, prefix: str) -> int:
        """Delete the objects whose keys begin so; how many there were."""
        deleted = 0
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            for found in page.get("Contents", []):
                self._s3.delete_object(Bucket=self.name, Key=found["Key"])
                deleted += 1
        return deleted

    def write(self, key: str, blocks: Iterable[bytes]) -> None:
        """Write what `blocks` yield, never more than a part of it in memory.

        The object is there when all of it is. Whatever `blocks` raise, it is as it was before. Parts of a process
        that died are thrown away by the bucket's lifecycle.
        """
        upload = self._s3.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]
        try:
            parts = [self._part(key, upload, n, part) for n, part in enumerate(_parts(blocks), 1)]
            self._s3.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            self._s3.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)
            raise

    def _part(self, key: str, upload: str, number: int, body: bytes) -> "CompletedPartTypeDef":
        sent = self._s3.upload_part(Bucket=self.name, Key=key, UploadId=upload, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": sent["ETag"]}


def _parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that S3 takes as parts; the last, which may be the only one, is what is left."""
    part = bytearray()
    for block in blocks:
        part += block
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
