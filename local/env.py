"""`eval "$(python -m local.env)"`: where the running local service is, as shell variables."""

import argparse
import json
import shlex
import sys
from pathlib import Path

NAMES = {
    "HOOKLINE_URL": "api_url",
    "HOOKLINE_KEY": "api_key",
    "HOOKLINE_ADMIN_KEY": "admin_key",
    "HOOKLINE_PROJECT": "project_id",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.env", description=__doc__)
    default = Path(__file__).parents[1] / ".local" / "stack.json"
    parser.add_argument("--stack", type=Path, default=default, help="the service's stack.json (%(default)s)")
    stack: Path = parser.parse_args().stack
    if not stack.exists():
        print(f"no {stack}: the local service is not running; start it with make run", file=sys.stderr)
        return 1
    found = json.loads(stack.read_text())
    for name, key in NAMES.items():
        print(f"export {name}={shlex.quote(str(found[key]))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
