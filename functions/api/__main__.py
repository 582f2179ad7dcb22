"""`python -m functions.api` prints the OpenAPI document, as it is committed in docs/openapi.json."""

import json
import sys

from functions.api.app import app

json.dump(json.loads(app.get_openapi_json_schema()), sys.stdout, indent=2)
sys.stdout.write("\n")
