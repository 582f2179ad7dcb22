"""`python -m functions.api` prints the OpenAPI document, as it is committed in docs/openapi.json."""

import json
import sys

from functions.api.app import app
from functions.api.document import written

json.dump(json.loads(written(app)), sys.stdout, indent=2, ensure_ascii=False)
sys.stdout.write("\n")
