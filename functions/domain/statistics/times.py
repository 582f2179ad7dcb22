"""For which times figures are kept, and the buckets that a range of time is made of. All in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)  # a bucket of any length begins there


@dataclass(frozen=True)
class Resolution:
    """How long a bucket lasts, and for how long it is kept."""

    name: str
    length: timedelta
    kept: timedelta

    @property
    def minutes(self) -> int:
        return self.length // timedelta(minutes=1)

    def floor(self, at: datetime) -> datetime:
        """When the bucket begins that has this time."""
        return at - (at - ORIGIN) % self.length

    def ceiling(self, at: datetime) -> datetime:
        """When the first bucket begins that has nothing before this time."""
        return at + (ORIGIN - at) % self.length

    def oldest(self, now: datetime) -> datetime:
        """The first bucket that is kept whole."""
        return self.ceiling(now - self.kept)


# Each is kept for as long as anybody draws with it: two days to look into an incident of yesterday, five weeks to
# compare a day with the same one of four weeks ago, a year and a month to compare with the year before.
FIVE_MINUTES = Resolution("5m", timedelta(minutes=5), timedelta(days=2))
HOUR = Resolution("1h", timedelta(hours=1), timedelta(days=35))
DAY = Resolution("1d", timedelta(days=1), timedelta(days=400))
RESOLUTIONS = (FIVE_MINUTES, HOUR, DAY)
BY_NAME = {one.name: one for one in RESOLUTIONS}

WINDOWS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
# What each window of a list of endpoints is added up from: of every webhook no more than 91 rows.
RANKED = {"1h": FIVE_MINUTES, "24h": HOUR, "7d": DAY, "30d": DAY, "90d": DAY}


@dataclass(frozen=True)
class Range:
    """Whole buckets: from the beginning of the first until the end of the last."""

    start: datetime
    end: datetime
    resolution: Resolution

    def buckets(self) -> Iterator[datetime]:
        """When each begins, oldest first."""
        at = self.start
        while at < self.end:
            yield at
            at += self.resolution.length


def covering(since: datetime, until: datetime, resolution: Resolution) -> Range:
    """The buckets that have anything of this time."""
    return Range(resolution.floor(since), resolution.ceiling(until), resolution)


def fitting(since: datetime, until: datetime, now: datetime) -> Resolution:
    """What such a range is drawn with: about a hundred buckets, or longer ones where those are kept no more."""
    length = until - since
    fine = FIVE_MINUTES if length <= timedelta(hours=6) else HOUR if length <= timedelta(days=7) else DAY
    coarser = RESOLUTIONS[RESOLUTIONS.index(fine) :]
    return next((one for one in coarser if one.floor(since) >= one.oldest(now)), DAY)
