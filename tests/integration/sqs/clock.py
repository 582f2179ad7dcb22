"""A clock that tests move."""

from dataclasses import dataclass

from local.sqs.broker import Broker
from local.sqs.emulator import Identity

IDENTITY = Identity("000000000000", "eu-central-1")


@dataclass
class FakeClock:
    now: int = 1_700_000_000_000  # ms since the epoch

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def broker_at(clock: FakeClock, starts: int = 1) -> Broker:
    return Broker(account=IDENTITY.account, region=IDENTITY.region, clock=clock, starts=starts)
