"""The page at /docs: Swagger UI as it comes with Powertools, from this origin alone.

Its parts are files of their own and not in the page, so that the page's policy can forbid inline scripts; styles
it sets itself, which is why those may be inline.
"""

from importlib.resources import files

from aws_lambda_powertools.event_handler import Response

from functions.errors import NotFound

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: dict[str, str | list[str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
DAY = {"cache-control": "max-age=86400"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hookline API</title>
<link rel="stylesheet" href="docs/swagger-ui.min.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.min.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  docExpansion: "list",
  showCommonExtensions: true,
  validatorUrl: null,  // else the document's address goes to swagger.io
});
"""
UI = "aws_lambda_powertools.event_handler.openapi.swagger_ui"
TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


def page() -> Response[str]:
    return Response(200, "text/html; charset=utf-8", PAGE, headers=HEADERS)


def part(name: str) -> Response[str]:
    """A file that the page asks for, compressed where the browser takes it. Raises NotFound."""
    if name == "start.js":
        text = START
    elif name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"):
        text = files(UI).joinpath(name).read_text("utf-8")
    else:
        raise NotFound("there is no such page; see /docs")
    kind = TYPES[name.rpartition(".")[2]]
    return Response(200, kind, text, headers={**HEADERS, **DAY}, compress=True)
