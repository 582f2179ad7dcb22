"""Runs the stack: starts everything in order, keeps it running, and ends it in order."""

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from local import addresses, backends
from local.cloudformation import resources, stores
from local.cloudformation.custom_resources import CustomResources
from local.cloudformation.http_api import http_api
from local.cloudformation.resources import FunctionSpec, ScheduleSpec
from local.cloudformation.subscriptions import subscriptions
from local.cloudformation.template import load
from local.errors import LocalError
from local.gateway.gateway import Gateway
from local.lambdas import environment
from local.lambdas.background import Background
from local.lambdas.functions import Function
from local.lambdas.lambda_api import LambdaApi
from local.lambdas.log_lines import Subscription, tapped
from local.lambdas.runtime_api import Result
from local.logs import output_of, say
from local.mappings.mappings import Mapping
from local.mappings.sqs_client import Sqs
from local.processes import in_foreground, python
from local.project import ensure_project
from local.schedules import keep_firing, period
from local.seed import Seed
from local.stack_file import StackFile
from local.tasks import watched

DRAIN_SECONDS = 5.0  # for what is under way at the end; the rest comes again by lease or by message
TEND_SECONDS = 0.5
WARM = 2  # processes of what callers wait for: starting the second one under load takes seconds
NICENESS = 5  # of functions nobody waits for: on AWS they have cores of their own, here they leave them to callers
ADMIN_KEY_VARIABLE = "ADMIN_KEY_SECRET_ARN"  # the function that checks the admin key knows it by this


@dataclass(frozen=True)
class Options:
    state_dir: Path
    template: Path
    root: Path  # handler strings are rooted here
    log_file: Path
    port: int | None  # of the API; None takes the usual one if it is free
    max_concurrency: int
    demo: bool  # show events being delivered once it is ready


async def run(options: Options, stop: asyncio.Event) -> None:
    """Run until `stop` is set. Raises LocalError when the stack cannot start; ends everything in any case."""
    async with AsyncExitStack() as at_end:
        starting = asyncio.create_task(Runtime(options, at_end).start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await stopping
        starting.cancel()
        await asyncio.wait([starting])
        say("stopping")
    say("stopped; the next start goes on with the same data")


class Runtime:
    """The stack on this machine. What is started registers its end in `at_end`: last started, first ended."""

    def __init__(self, options: Options, at_end: AsyncExitStack) -> None:
        self._began = time.monotonic()
        self._options = options
        self._state = options.state_dir
        self._at_end = at_end
        self._stack_file = StackFile(self._state / "stack.json")
        self._ports = addresses.choose(options.port, self._state)
        self._template = load(options.template, self._ports.addresses(database_port=0))
        spec = stores.database(self._template)
        self._database = backends.Database(self._state / "postgres", spec, port=self._ports.database)
        self._sqs = backends.sqs(self._state / "sqs.sqlite", self._ports.sqs)
        self._aws = backends.aws(self._state / "aws.json", self._state / "objects", self._ports.aws)
        self._receiver = backends.receiver(self._ports.receiver)
        self._background = Background()
        self._functions: dict[str, Function] = {}
        self._mappings: list[Mapping] = []
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Everything, in the order its parts need each other. Raises LocalError."""
        say(f"starting {self._template.stack_name}")
        await asyncio.to_thread(self._database.reserve)
        self._template = load(self._options.template, self._ports.addresses(self._database.port))
        seed = self._save_seed()
        session = await self._at_end.enter_async_context(aiohttp.ClientSession())
        sqs = Sqs(session, addresses.url(self._ports.sqs))
        self._read_stack(sqs)
        self._register_ends()
        await self._start_together(sqs)
        await self._serve()
        await self._announce(session, seed)

    def _save_seed(self) -> Seed:
        """Before anything runs: moto reads it, and the admin key is in it."""
        seed = Seed(self._template, self._state / "aws.json")
        seed.attach_database(
            password=self._database.password(),
            host="127.0.0.1",
            port=self._database.port,
            name=stores.database(self._template).name,
        )
        seed.save()
        return seed

    def _read_stack(self, sqs: Sqs) -> None:
        """What the template says. Whatever does not run here is said now, before anything has started."""
        specs = resources.functions(self._template)
        self._gateway = Gateway(http_api(self._template), self._invoke)
        awaited = self._gateway.functions
        self._subscriptions = [Subscription(spec, self._run_behind) for spec in subscriptions(self._template)]
        self._functions = {name: self._function(spec, awaited) for name, spec in specs.items()}
        self._lambda_api = LambdaApi(self._functions, self._background)
        self._queues = stores.queues(self._template)
        queues = {queue.arn: queue for queue in self._queues}
        for spec in resources.mappings(self._template):
            if spec.queue_arn not in queues:
                raise LocalError(
                    f"a mapping of {spec.function} polls {spec.queue_arn}, which is no queue of the stack"
                )
            function, queue = self._own(spec.function), queues[spec.queue_arn]
            self._mappings.append(Mapping(spec, queue=queue, function=function, sqs=sqs))
        for subscription in self._subscriptions:
            self._own(subscription.spec.function)
        self._schedules = resources.schedules(self._template)
        for schedule in self._schedules:
            period(schedule)
            self._own(schedule.function)

    def _function(self, spec: FunctionSpec, awaited: set[str]) -> Function:
        user = spec.environment.get("DATABASE_USER") or stores.database(self._template).admin
        variables = environment.of_function(
            spec,
            endpoints=self._ports.endpoints(),
            database_url=self._database.url(user),
            task_root=self._options.root,
        )
        read = [one for one in self._subscriptions if one.spec.log_group == environment.log_group(spec)]
        return Function(
            spec,
            environment=variables,
            root=self._options.root,
            limit=self._options.max_concurrency,
            output=tapped(output_of(self._short_name(spec.name)), read),
            niceness=0 if spec.name in awaited else NICENESS,
        )

    def _register_ends(self) -> None:
        """In the opposite order: nothing new comes in, what is under way ends, then what it needs."""
        for part in (self._database, self._sqs, self._aws, self._receiver):
            self._at_end.push_async_callback(part.stop)
        for function in self._functions.values():
            self._at_end.push_async_callback(function.close)
        self._at_end.push_async_callback(self._drain)
        self._at_end.callback(self._stack_file.remove)

    async def _drain(self) -> None:
        fronts = (self._gateway.stop, self._lambda_api.stop, self._background.stop)
        stops = (*fronts, *(mapping.stop for mapping in self._mappings))
        await asyncio.gather(*(stop(DRAIN_SECONDS) for stop in stops))
        await asyncio.gather(*(one.finish(DRAIN_SECONDS) for one in self._subscriptions))

    async def _start_together(self, sqs: Sqs) -> None:
        """Three strands that need nothing of each other: data and migrations, moto, and the processes."""
        awaited = {spec.function for spec in resources.mappings(self._template)} | self._gateway.functions
        awaited |= {spec.function for spec in resources.custom_resources(self._template)}
        try:
            async with asyncio.TaskGroup() as strands:
                strands.create_task(self._start_data(sqs))
                strands.create_task(self._aws.start())
                if self._options.demo:
                    strands.create_task(self._receiver.start())
                for name in awaited:
                    processes = WARM if name in self._gateway.integrations else 1
                    strands.create_task(self._own(name).warm(processes))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _start_data(self, sqs: Sqs) -> None:
        async def queues() -> None:
            await self._sqs.start()
            await sqs.ensure_queues(self._queues)

        await asyncio.gather(self._database.start(), queues())
        custom = CustomResources(self._state / "custom_resources.json", self._template.stack_id)
        for spec in resources.custom_resources(self._template):
            await custom.apply(spec, self._functions[spec.function])
        users = {function.spec.environment.get("DATABASE_USER") for function in self._functions.values()}
        await asyncio.to_thread(self._database.set_passwords, {user for user in users if user})

    async def _serve(self) -> None:
        await self._lambda_api.start(self._ports.lambda_api)
        await self._gateway.start(self._ports.api)
        for mapping in self._mappings:
            mapping.start()

    async def _announce(self, session: aiohttp.ClientSession, seed: Seed) -> None:
        api_url = addresses.url(self._ports.api)
        admin_key = seed.secret(self._admin_key_arn())
        project = await ensure_project(
            session, api_url=api_url, admin_key=admin_key, file=self._state / "project.json"
        )
        facts = {
            "api_url": api_url,
            "admin_key": admin_key,
            **asdict(project),
            "database_url": self._database.url(stores.database(self._template).admin),
            "sqs_url": addresses.url(self._ports.sqs),
            "aws_url": addresses.url(self._ports.aws),
            "lambda_url": addresses.url(self._ports.lambda_api),
            **({"receiver_url": addresses.url(self._ports.receiver)} if self._options.demo else {}),
            "queues": {queue.name: queue.url for queue in self._queues},
            "functions": sorted(self._functions),
            "log_file": str(self._options.log_file),
        }
        self._stack_file.write(facts, self._processes())
        self._keep_doing(self._tend())
        for subscription in self._subscriptions:
            self._keep_doing(subscription.keep_delivering())
        for schedule in self._schedules:
            self._keep_doing(keep_firing(schedule, self._fire))
        if self._options.demo:
            self._keep_doing(self._show())
        say(f"ready after {time.monotonic() - self._began:.1f} s: {api_url}/docs (Ctrl-C stops it)")

    async def _show(self) -> None:
        status = await in_foreground(python("local.demo", "--stack", str(self._stack_file.path)))
        if status:
            say(f"the demo ended with exit status {status}", logging.WARNING)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS)
            for function in self._functions.values():
                function.reap()
            self._stack_file.update(self._processes())

    def _processes(self) -> dict[str, list[int]]:
        emulators = {"postgres": self._database.pids, "sqs": self._sqs.pids, "aws": self._aws.pids}
        if self._options.demo:
            emulators["receiver"] = self._receiver.pids
        functions = {self._short_name(name): function.pids for name, function in self._functions.items()}
        return {"supervisor": [os.getpid()], **emulators, **functions}

    def _admin_key_arn(self) -> str:
        for function in self._functions.values():
            if ADMIN_KEY_VARIABLE in function.spec.environment:
                return function.spec.environment[ADMIN_KEY_VARIABLE]
        raise LocalError(f"no function has {ADMIN_KEY_VARIABLE}: nobody would know the admin key")

    def _own(self, function: str) -> Function:
        if function not in self._functions:
            raise LocalError(f"{function} is invoked by the stack, and is no function of it that runs here")
        return self._functions[function]

    async def _invoke(self, function: str, payload: bytes) -> Result:
        return await self._functions[function].invoke(payload)

    async def _run_behind(self, function: str, payload: bytes) -> None:
        await self._background.run(self._functions[function], payload)

    async def _fire(self, schedule: ScheduleSpec, payload: bytes) -> None:
        self._background.invoke(self._functions[schedule.function], payload)

    def _keep_doing(self, work: Coroutine[Any, Any, None]) -> None:
        self._at_end.callback(watched(work).cancel)

    def _short_name(self, function: str) -> str:
        return function.removeprefix(f"{self._template.stack_name}-")
