"""The lines of the log that an invocation brings."""

import base64
import gzip
import json
import zlib
from typing import Any

from functions.telemetry import logger


def of(event: dict[str, Any]) -> list[str]:
    """The messages of a batch of CloudWatch Logs; none of one that only asks whether anybody is there.

    `awslogs.data` is JSON, compressed with gzip, in base64
    (https://docs.aws.amazon.com/lambda/latest/dg/services-cloudwatchlogs.html). What is none of that is told and
    left: it would be the same the next time.
    """
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
        batch = json.loads(gzip.decompress(packed))
        if batch["messageType"] != "DATA_MESSAGE":
            return []
        return [str(one["message"]) for one in batch["logEvents"]]
    except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error) as error:
        logger.error("no batch of log lines", error=f"{type(error).__name__}: {error}"[:200])
        return []
