"""What API Gateway does for an HTTP API: routes, authorizer, payload 2.0, throttling."""
