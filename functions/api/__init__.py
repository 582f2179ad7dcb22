"""The function behind the HTTP API: one resolver, one file of routes a resource, one error shape."""
