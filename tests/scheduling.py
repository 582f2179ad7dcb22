"""Which tests share a process when several run at once.

A folder, or a file, whose tests start the whole service is one process's: there the service is started once, and
no test disturbs another's. (Markers of xdist do not reach its scheduler under pytest 9.2, whose node ids plugins
cannot change.)
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/e2e/", "tests/contract/running/", "tests/faults/test_faults.py")


class ByService(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        """The folder or file, or the test alone; the largest groups are begun first."""
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)
