"""The key, the archive and the admin key."""

from tests.infrastructure.synthesized import Template


def test_the_key_rotates_and_outlives_production(prod: Template, dev: Template) -> None:
    for template, policy in ((prod, "Retain"), (dev, "Delete")):
        key = template.only("AWS::KMS::Key")
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["DeletionPolicy"] == policy


def test_the_archive_is_private_encrypted_and_versioned(template: Template) -> None:
    bucket = template.only("AWS::S3::Bucket")["Properties"]
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_files_get_colder_and_only_old_versions_and_broken_uploads_go(template: Template) -> None:
    [rule] = template.only("AWS::S3::Bucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule == {
        "Status": "Enabled",
        "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


def test_the_archive_takes_tls_1_2_only(template: Template) -> None:
    statements = template.only("AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
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
        "NatAddresses",
        "DeliveryQueueUrl",
        "RetryQueueUrl",
        "DeliveryDlqArn",
        "RetryDlqArn",
        "JobsQueueUrl",
        "JobsDlqArn",
        "AlarmTopicArn",
    }
