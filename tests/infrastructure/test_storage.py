"""The key, the archive, the documents and the admin key."""

import pytest

from tests.infrastructure.synthesized import Template


def test_the_key_rotates_and_outlives_production(prod: Template, dev: Template) -> None:
    for template, policy in ((prod, "Retain"), (dev, "Delete")):
        key = template.only("AWS::KMS::Key")
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["DeletionPolicy"] == policy


@pytest.mark.parametrize("name", ["Archive", "Documents"])
def test_files_are_private_and_encrypted(template: Template, name: str) -> None:
    _, bucket = template.bucket(name)
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_an_archive_that_was_overwritten_can_be_brought_back(template: Template) -> None:
    assert template.bucket("Archive")[1]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "VersioningConfiguration" not in template.bucket("Documents")[1], "each document has its own name"


def test_files_get_colder_and_only_old_versions_and_broken_uploads_go(template: Template) -> None:
    [rule] = template.bucket("Archive")[1]["LifecycleConfiguration"]["Rules"]
    assert rule == {
        "Status": "Enabled",
        "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


def test_documents_are_kept_as_long_as_change_events(template: Template) -> None:
    [rule] = template.bucket("Documents")[1]["LifecycleConfiguration"]["Rules"]
    assert rule == {"Status": "Enabled", "ExpirationInDays": 365}


@pytest.mark.parametrize("name", ["Archive", "Documents"])
def test_files_travel_by_tls_1_2_only(template: Template, name: str) -> None:
    _, policy = template.named("AWS::S3::BucketPolicy", "Bucket", {"Ref": template.bucket(name)[0]})
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    denied = [s["Condition"] for s in statements if s["Effect"] == "Deny" and s["Action"] == "s3:*"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


def test_the_admin_key_is_made_by_aws_and_shown_by_its_arn_only(template: Template) -> None:
    [output] = template.document["Outputs"]["AdminKeySecretArn"]["Value"].values()
    secret = template.resources[output]["Properties"]
    assert secret["GenerateSecretString"] == {"PasswordLength": 48, "ExcludePunctuation": True}
    assert "SecretString" not in secret


def test_the_outputs_are_what_an_operator_asks_for(template: Template) -> None:
    assert template.document["Outputs"].keys() == {
        "ApiUrl",
        "AdminKeySecretArn",
        "ArchiveBucket",
        "DocumentsBucket",
        "NatAddresses",
        "DeliveryQueueUrl",
        "RetryQueueUrl",
        "DeliveryDlqArn",
        "RetryDlqArn",
        "JobsQueueUrl",
        "JobsDlqArn",
        "RescrapeQueueUrl",
        "RescrapeDlqArn",
        "AlarmTopicArn",
    }
