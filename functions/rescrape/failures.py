"""Why a rescrape did not come off, and whether another try makes sense."""

from dataclasses import dataclass

MOST_CHARACTERS = 500  # of a reason: it stands in a column and in lists


@dataclass(eq=False)
class Failure(Exception):
    """`code` is stable, `said` is for people. `is_passing`: it may be otherwise in a while."""

    code: str
    said: str
    is_passing: bool = False
    after_seconds: int = 0  # not before, as the other side asks

    @property
    def reason(self) -> str:
        """As it is stored: in one line, without what Postgres does not take."""
        readable = "".join(one if one.isprintable() else " " for one in f"{self.code}: {self.said}")
        return readable if len(readable) <= MOST_CHARACTERS else readable[: MOST_CHARACTERS - 1] + "…"
