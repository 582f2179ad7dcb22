"""`python -m local.aws`: KMS, Secrets Manager, S3 and STS from moto, with what the stack has in them."""

import argparse
import base64
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from local.cloudformation.template import ACCOUNT, REGION
from local.objects import keep

LOOPBACK = {"127.0.0.1", "localhost"}


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _arguments()
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT  # read by moto at every request
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # read at import: no web page may ask for secrets
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    _fill(json.loads(arguments.seed.read_text()))
    _keep_objects(arguments.objects)
    _serve(arguments.port)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.aws",
        description="KMS, Secrets Manager, S3 and STS on 127.0.0.1, from moto. They hold what the seed says;"
        " of what is added later objects are kept, and the rest is forgotten at the end.",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=Path, required=True, help="JSON file: keys, secrets and buckets")
    parser.add_argument("--objects", type=Path, required=True, help="folder that keeps the buckets' objects")
    return parser.parse_args()


def _fill(seed: dict[str, Any]) -> None:
    """Put the seed into moto's own state: its API takes neither key material nor fixed ids."""
    from moto.kms.models import kms_backends  # noqa: PLC0415 - after the environment it reads
    from moto.s3.models import s3_backends  # noqa: PLC0415
    from moto.secretsmanager.models import secretsmanager_backends  # noqa: PLC0415

    for key_id, key in seed["keys"].items():
        _add_key(kms_backends[ACCOUNT][REGION], key_id, key)
    for arn, secret in seed["secrets"].items():
        _add_secret(secretsmanager_backends[ACCOUNT][REGION], arn, secret)
    for bucket in seed["buckets"]:
        s3_backends[ACCOUNT]["aws"].create_bucket(bucket, REGION)


def _keep_objects(folder: Path) -> None:
    from moto.s3.models import s3_backends  # noqa: PLC0415 - after the environment it reads

    keep(s3_backends[ACCOUNT]["aws"], folder)


def _add_key(kms: Any, key_id: str, seed: dict[str, Any]) -> None:
    key = kms.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
    del kms.keys[key.id]
    key.id = key_id
    key.arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"
    key.key_material = base64.b64decode(seed["material"])
    kms.keys[key_id] = key
    for alias in seed["aliases"]:
        kms.create_alias(key_id, alias)


def _add_secret(secrets_manager: Any, arn: str, seed: dict[str, Any]) -> None:
    secrets_manager.create_secret(seed["name"], seed["value"], None, None, None, None, None, [], False)
    secrets_manager.secrets[seed["name"]].arn = arn


def _serve(port: int) -> None:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line a request otherwise
    app = _for_this_machine(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


def _for_this_machine(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Refuse requests for other hosts: a web page may point a name of its own at loopback (DNS rebinding)."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if (host.rpartition(":")[0] or host) not in LOOPBACK:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This service answers on loopback only.\n"]
        return app(environ, start_response)

    return guarded


if __name__ == "__main__":
    main()
