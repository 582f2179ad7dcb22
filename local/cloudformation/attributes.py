"""What Ref and Fn::GetAtt give on this machine, for the resource types that have a counterpart here."""

import hashlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.cloudformation.template import Resource

    Local = Callable[[Resource], Any]


def name(resource: "Resource", property_name: str) -> str:
    """The name the template gives, else one made from the logical id as CloudFormation would."""
    given = resource.get(property_name)
    return str(given) if given else f"{resource.template.stack_name}-{resource.logical_id}"


def queue_name(queue: "Resource") -> str:
    return name(queue, "QueueName")


def function_name(function: "Resource") -> str:
    return name(function, "FunctionName")


def bucket_name(bucket: "Resource") -> str:
    return name(bucket, "BucketName").lower()


def key_id(key: "Resource") -> str:
    """The same id at every start: what was encrypted under it yesterday must decrypt today."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key.template.stack_name}/{key.logical_id}"))


def secret_name(secret: "Resource") -> str:
    return name(secret, "Name")


def secret_arn(secret: "Resource") -> str:
    """Secrets Manager ends its ARNs with six random characters; here they follow from the name."""
    secret_id = secret_name(secret)
    return secret.template.arn("secretsmanager", f"secret:{secret_id}-{_short(secret_id)[:6]}")


def api_id(api: "Resource") -> str:
    return _short(f"{api.template.stack_name}/{api.logical_id}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _arn(service: str, prefix: str, named: "Local") -> "Local":
    return lambda resource: resource.template.arn(service, f"{prefix}{named(resource)}")


def _queue_url(queue: "Resource") -> str:
    account = queue.template.intrinsics.pseudo["AWS::AccountId"]
    return f"{queue.template.addresses.sqs_url}/{account}/{queue_name(queue)}"


def _attached_secret(attachment: "Resource") -> str:
    return str(attachment.require("SecretId"))


def _database_host(resource: "Resource") -> str:
    return resource.template.addresses.database_host


def _database_port(resource: "Resource") -> str:
    return str(resource.template.addresses.database_port)


def _role_arn(role: "Resource") -> str:
    """Nothing here assumes roles, but schedules and integrations name them."""
    return f"arn:aws:iam::{role.template.intrinsics.pseudo['AWS::AccountId']}:role/{name(role, 'RoleName')}"


def _api_url(api: "Resource") -> str:
    return api.template.addresses.api_url


def _logical_id(resource: "Resource") -> str:
    return resource.logical_id


ATTRIBUTES: "dict[tuple[str, str | None], Local]" = {
    ("AWS::ApiGatewayV2::Api", None): api_id,
    ("AWS::ApiGatewayV2::Api", "ApiEndpoint"): _api_url,
    ("AWS::ApiGatewayV2::Api", "ApiId"): api_id,
    ("AWS::ApiGatewayV2::Authorizer", None): _logical_id,
    ("AWS::ApiGatewayV2::Integration", None): _logical_id,
    ("AWS::IAM::Role", "Arn"): _role_arn,
    ("AWS::KMS::Alias", None): lambda alias: alias.require("AliasName"),
    ("AWS::KMS::Key", None): key_id,
    ("AWS::KMS::Key", "Arn"): _arn("kms", "key/", key_id),
    ("AWS::KMS::Key", "KeyId"): key_id,
    ("AWS::Lambda::Function", None): function_name,
    ("AWS::Lambda::Function", "Arn"): _arn("lambda", "function:", function_name),
    ("AWS::Logs::LogGroup", None): lambda group: name(group, "LogGroupName"),
    ("AWS::RDS::DBInstance", None): _logical_id,
    ("AWS::RDS::DBInstance", "Endpoint.Address"): _database_host,
    ("AWS::RDS::DBInstance", "Endpoint.Port"): _database_port,
    ("AWS::RDS::DBParameterGroup", None): _logical_id,
    ("AWS::RDS::DBProxy", "Endpoint"): _database_host,
    ("AWS::S3::Bucket", None): bucket_name,
    ("AWS::S3::Bucket", "Arn"): lambda bucket: f"arn:aws:s3:::{bucket_name(bucket)}",
    ("AWS::SQS::Queue", None): _queue_url,
    ("AWS::SQS::Queue", "Arn"): _arn("sqs", "", queue_name),
    ("AWS::SQS::Queue", "QueueName"): queue_name,
    ("AWS::SQS::Queue", "QueueUrl"): _queue_url,
    ("AWS::SecretsManager::Secret", None): secret_arn,
    ("AWS::SecretsManager::SecretTargetAttachment", None): _attached_secret,
}
