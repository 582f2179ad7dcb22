"""The receiver's HTTP: `/hooks/<name>` for deliveries, `/control/…` for whoever runs the show.

PUT /control/endpoints/<name>    {secret, mode?, every?, delay_seconds?, status?}: anew, with fresh counts
PATCH /control/endpoints/<name>  {mode?, every?, delay_seconds?, status?}: from now on it answers like this
GET /control/stats               counts of every endpoint
GET /control/accepted            {accepted}: events, over all endpoints; cheap, to be asked often
GET /control/receipts/<name>     [[event id, first_ns, accepted_ns | null, accepted, refused], …], oldest first
GET /control/receipts            the same of every endpoint, by its name
"""

import asyncio
import json
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import EmptyWebhookSecretError

from local.receiver.behaviour import Behaviour, BehaviourError
from local.receiver.endpoint import Endpoint

HOOKS = "/hooks/"
CONTROL_ENDPOINTS = "/control/endpoints/"
CONTROL_RECEIPTS = "/control/receipts"
CONTROL_ACCEPTED = "/control/accepted"
CONTROL_STATS = "/control/stats"


class Receiver:
    """All endpoints, by the last part of their path."""

    def __init__(self, *, remember: int) -> None:
        self._remember = remember
        self._endpoints: dict[str, Endpoint] = {}
        self._unknown = 0  # requests to endpoints that are not registered

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(HOOKS):
            return await self._deliver(request)
        if request.path.startswith("/control/"):
            return await self._control(request)
        return web.Response(status=HTTPStatus.NOT_FOUND)

    async def _deliver(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        arrived_ns = time.monotonic_ns()
        endpoint = self._endpoints.get(request.path[len(HOOKS) :])
        if endpoint is None:
            self._unknown += 1
            return web.Response(status=HTTPStatus.NOT_FOUND)
        status = endpoint.receive(request.headers, body, arrived_ns)
        if pause := endpoint.behaviour.pause_seconds:
            await asyncio.sleep(pause)
        return web.Response(status=status)

    async def _control(self, request: web.BaseRequest) -> web.Response:
        method, path = request.method, request.path
        if (method, path) == ("GET", CONTROL_STATS):
            return _json(self._stats())
        if (method, path) == ("GET", CONTROL_ACCEPTED):
            return _json({"accepted": sum(endpoint.counts.accepted for endpoint in self._endpoints.values())})
        if (method, path) == ("GET", CONTROL_RECEIPTS):
            return _json({name: _receipts_of(endpoint) for name, endpoint in self._endpoints.items()})
        if method == "GET" and path.startswith(f"{CONTROL_RECEIPTS}/"):
            return self._receipts(path[len(CONTROL_RECEIPTS) + 1 :])
        if method in ("PUT", "PATCH") and path.startswith(CONTROL_ENDPOINTS):
            return self._configure(path[len(CONTROL_ENDPOINTS) :], await request.read(), new=method == "PUT")
        return _refusal(HTTPStatus.NOT_FOUND, f"{method} {path} is not served here")

    def _configure(self, name: str, body: bytes, *, new: bool) -> web.Response:
        known = self._endpoints.get(name)
        try:
            fields = dict(json.loads(body))
            secret = str(fields.pop("secret")) if new else ""
            behaviour = Behaviour.parse(fields)
            if new:
                self._endpoints[name] = Endpoint(secret, behaviour, remember=self._remember)
            elif known is not None:
                known.behaviour = behaviour
            else:
                return _refusal(HTTPStatus.NOT_FOUND, f"no endpoint {name}")
        except KeyError:
            return _refusal(HTTPStatus.BAD_REQUEST, "secret is missing")
        except (BehaviourError, EmptyWebhookSecretError, TypeError, ValueError) as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        return _json({"path": HOOKS + name, **asdict(behaviour)})

    def _stats(self) -> dict[str, Any]:
        return {
            "unknown": self._unknown,
            "endpoints": {name: _stats_of(endpoint) for name, endpoint in self._endpoints.items()},
        }

    def _receipts(self, name: str) -> web.Response:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return _refusal(HTTPStatus.NOT_FOUND, f"no endpoint {name}")
        return _json(_receipts_of(endpoint))


def _receipts_of(endpoint: Endpoint) -> list[list[Any]]:
    return [
        [event_id, receipt.first_ns, receipt.accepted_ns, receipt.accepted, receipt.refused]
        for event_id, receipt in endpoint.receipts.items()
    ]


def _stats_of(endpoint: Endpoint) -> dict[str, Any]:
    counts = endpoint.counts
    return {
        "mode": endpoint.behaviour.mode,
        "requests": counts.requests,
        "events": counts.events,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "refused": counts.refused,
        "bad_signatures": counts.bad_signatures,
        "bad_signature_reasons": list(counts.bad_signature_reasons),
        "forgotten": counts.forgotten,
        "verify_us": counts.verify_ns / 1000 / counts.requests if counts.requests else None,
    }


def _json(value: Any) -> web.Response:
    return web.Response(text=json.dumps(value), content_type="application/json")


def _refusal(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
