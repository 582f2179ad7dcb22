"""Custom resources, provided by a function of the stack and answered by a PUT to a pre-signed URL.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html. CloudFormation asks the provider
only when a property changed. Here it is asked at every start, since the data may have been exchanged since
(another database, a restored copy) and a provider must stand being asked twice anyway.
"""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from aiohttp import web

from local.cloudformation.resources import CustomResourceSpec
from local.errors import LocalError
from local.files import write_private
from local.lambdas.functions import Function
from local.serving import listen

WAIT_SECONDS = 3600.0  # CloudFormation's default ServiceTimeout
_ANSWER_BYTES = 4096  # CloudFormation's limit


class CustomResourceError(LocalError):
    """The provider failed, or never answered; nothing that depends on the resource may start."""


class CustomResources:
    """Applies custom resources and remembers, in `file`, what was applied."""

    def __init__(self, file: Path, stack_id: str) -> None:
        self._file = file
        self._stack_id = stack_id

    async def apply(self, spec: CustomResourceSpec, provider: Function) -> None:
        """Create or update the resource. Raises CustomResourceError with the provider's reason."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        path = f"/{uuid.uuid4()}"
        listener = await listen(_receiver(path, answer), max_body=_ANSWER_BYTES)
        try:
            request = self._request(spec, f"http://127.0.0.1:{listener.port}{path}")
            result = await self._ask(spec, provider, request, answer)
        finally:
            await listener.shut_down(0)
        if result.get("Status") != "SUCCESS":
            raise CustomResourceError(f"{spec.logical_id} ({spec.type}) failed: {result.get('Reason')}")
        self._remember(spec, str(result.get("PhysicalResourceId", "")))

    async def _ask(
        self,
        spec: CustomResourceSpec,
        provider: Function,
        request: dict[str, Any],
        answer: asyncio.Future[dict[str, Any]],
    ) -> dict[str, Any]:
        """The provider's answer. CloudFormation waits on after a crash; here nobody else could answer."""
        seconds = float(spec.properties.get("ServiceTimeout", WAIT_SECONDS))
        invocation = asyncio.ensure_future(provider.invoke(json.dumps(request).encode()))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait((invocation, answer), return_when=asyncio.FIRST_COMPLETED)
                result = await invocation
                if not answer.done():
                    payload = result.payload.decode(errors="replace")
                    raise CustomResourceError(f"{spec.logical_id}: ended without an answer: {payload}")
                return await answer
        except TimeoutError:
            raise CustomResourceError(f"{spec.logical_id}: no answer within {seconds:.0f} s") from None

    def _request(self, spec: CustomResourceSpec, response_url: str) -> dict[str, Any]:
        applied = self._applied().get(spec.logical_id)
        request = {
            "RequestType": "Update" if applied else "Create",
            "RequestId": str(uuid.uuid4()),
            "ResponseURL": response_url,
            "ResourceType": spec.type,
            "LogicalResourceId": spec.logical_id,
            "StackId": self._stack_id,
            "ServiceToken": spec.properties["ServiceToken"],
            "ResourceProperties": dict(spec.properties),
        }
        if applied:
            request["PhysicalResourceId"] = applied["PhysicalResourceId"]
            request["OldResourceProperties"] = applied["Properties"]
        return request

    def _applied(self) -> dict[str, Any]:
        applied: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return applied

    def _remember(self, spec: CustomResourceSpec, physical_id: str) -> None:
        applied = self._applied()
        applied[spec.logical_id] = {"PhysicalResourceId": physical_id, "Properties": dict(spec.properties)}
        write_private(self._file, json.dumps(applied, indent=2))


def _receiver(path: str, answer: asyncio.Future[dict[str, Any]]) -> Any:
    async def receive(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.method != "PUT" or request.path != path:
            return web.Response(status=403)
        if not answer.done():
            answer.set_result(json.loads(body))
        return web.Response()

    return receive
