"""Which tests share a process when several run at once.

The tests of a folder, or a file, that start the whole service or fill a database for long are one process's: there
it is done once, and no test disturbs another's. (Markers of xdist do not reach its scheduler under pytest 9.2,
whose node ids plugins cannot change.)
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = (
    *("tests/e2e/", "tests/contract/running/", "tests/faults/test_faults.py"),
    *("tests/integration/plans/", "tests/infrastructure/"),
)


class ByService(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        """The folder or file, or the test alone; the largest groups are begun first."""
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)
