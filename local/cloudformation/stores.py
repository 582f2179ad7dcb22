"""What keeps: the template's queues, database, secrets, keys and buckets, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.cloudformation import attributes
from local.cloudformation.template import Resource, Template, TemplateError


@dataclass(frozen=True)
class QueueSpec:
    name: str
    url: str
    arn: str
    attributes: Mapping[str, str]  # as SQS's API takes them


@dataclass(frozen=True)
class SecretSpec:
    name: str
    arn: str
    value: str | None  # given in the template
    generate: Mapping[str, Any] | None  # or to be generated: GenerateSecretString
    of_database: bool  # then RDS adds where the database is


@dataclass(frozen=True)
class DatabaseSpec:
    admin: str
    name: str
    major: str  # of Postgres's version
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class KeySpec:
    key_id: str
    arn: str
    aliases: tuple[str, ...]


def queues(template: Template) -> list[QueueSpec]:
    """Dead-letter queues first: the others refer to them when they are made."""
    found = [_queue(resource) for resource in template.of_type("AWS::SQS::Queue")]
    return sorted(found, key=lambda queue: "RedrivePolicy" in queue.attributes)


def _queue(resource: Resource) -> QueueSpec:
    values = {name: resource.get(name) for name in resource.properties if name not in ("QueueName", "Tags")}
    return QueueSpec(
        name=attributes.queue_name(resource),
        url=resource.template.attribute(resource.logical_id, None),
        arn=resource.template.attribute(resource.logical_id, "Arn"),
        attributes={name: _queue_attribute(value) for name, value in values.items() if value is not None},
    )


def _queue_attribute(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def database(template: Template) -> DatabaseSpec:
    """The stack's one database. Raises TemplateError."""
    instances = list(template.of_type("AWS::RDS::DBInstance"))
    if len(instances) != 1:
        raise TemplateError(f"one AWS::RDS::DBInstance runs here, not {len(instances)}")
    [instance] = instances
    return DatabaseSpec(
        admin=str(instance.require("MasterUsername")),
        name=str(instance.require("DBName")),
        major=str(instance.require("EngineVersion")).partition(".")[0],
        parameters=_parameters(instance),
    )


def _parameters(instance: Resource) -> dict[str, str]:
    """Postgres's own settings: not RDS's, nor those it computes from the size of the instance."""
    group_id = instance.get("DBParameterGroupName")
    if group_id is None:
        return {}
    parameters = instance.template.resource(group_id).get("Parameters", {})
    return {
        name: str(value)
        for name, value in parameters.items()
        if not name.startswith("rds.") and "{" not in str(value)
    }


def secrets(template: Template) -> list[SecretSpec]:
    attachments = template.of_type("AWS::SecretsManager::SecretTargetAttachment")
    attached = {str(attachment.require("SecretId")) for attachment in attachments}
    return [
        SecretSpec(
            name=attributes.secret_name(resource),
            arn=attributes.secret_arn(resource),
            value=resource.get("SecretString"),
            generate=resource.get("GenerateSecretString"),
            of_database=attributes.secret_arn(resource) in attached,
        )
        for resource in template.of_type("AWS::SecretsManager::Secret")
    ]


def keys(template: Template) -> list[KeySpec]:
    aliases = [
        (str(alias.require("TargetKeyId")), str(alias.require("AliasName")))
        for alias in template.of_type("AWS::KMS::Alias")
    ]
    found = []
    for resource in template.of_type("AWS::KMS::Key"):
        key_id, arn = attributes.key_id(resource), template.attribute(resource.logical_id, "Arn")
        found.append(KeySpec(key_id, arn, tuple(name for target, name in aliases if target in (key_id, arn))))
    return found


def buckets(template: Template) -> list[str]:
    return [attributes.bucket_name(resource) for resource in template.of_type("AWS::S3::Bucket")]
