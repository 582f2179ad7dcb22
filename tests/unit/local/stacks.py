"""Small templates for tests: only what the part under test reads."""

from typing import Any

from local.cloudformation.template import Addresses, Template

ADDRESSES = Addresses("http://127.0.0.1:8080", "http://127.0.0.1:9324", "127.0.0.1", 5433)


def template(resources: dict[str, Any], **sections: Any) -> Template:
    """A template with these resources, and other sections such as Conditions."""
    return Template({"Resources": resources, **sections}, "shop-dev", ADDRESSES)


def function(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {"FunctionName": name, "Handler": f"{name}.handler", "Runtime": "python3.13", **properties},
    }


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}
