"""What is kept outside Postgres: the key, the archive, documents, and the operator's own API key."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infrastructure.config import Stage


class Storage(Construct):
    """The KMS key that encrypts everything at rest, the two buckets, the secret with the admin key."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        keep_or_destroy = cdk.RemovalPolicy.RETAIN if stage.protect_data else cdk.RemovalPolicy.DESTROY
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/hookline-{stage.name}",
            description=f"Hookline {stage.name}: database, archive, and the data keys of webhook secrets",
            enable_key_rotation=True,
            removal_policy=keep_or_destroy,
        )
        self.archive = self._archive(keep_or_destroy)
        self.documents = self._documents(keep_or_destroy, stage.documents_days)
        self.admin_key = self._admin_key()

    def _archive(self, removal_policy: cdk.RemovalPolicy) -> s3.Bucket:
        # An archive that was overwritten by mistake can be brought back.
        bucket = self._bucket("Archive", removal_policy, written_by="maintain", versioned=True)
        self._age(bucket)
        return bucket

    def _documents(self, removal_policy: cdk.RemovalPolicy, days: int) -> s3.Bucket:
        """What rescrapes brought. Each has a name of its own, so nothing is ever overwritten by another."""
        bucket = self._bucket("Documents", removal_policy, written_by="rescrape", versioned=False)
        bucket.add_lifecycle_rule(expiration=cdk.Duration.days(days))
        return bucket

    def _bucket(
        self, name: str, removal_policy: cdk.RemovalPolicy, *, written_by: str, versioned: bool
    ) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,  # one KMS call per bucket and day instead of one per object
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=versioned,
            # Emptying a bucket automatically would need a function of CDK's own, so in dev a bucket that holds
            # objects stops `cdk destroy` and says so.
            removal_policy=removal_policy,
        )
        cdk.Validations.of(bucket).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-S1",
                reason=f"Only the {written_by} function writes here, and CloudTrail records who read.",
            )
        )
        return bucket

    def _age(self, bucket: s3.Bucket) -> None:
        """What becomes of the files: colder, but never gone. How long to keep them is not ours to say."""
        bucket.add_lifecycle_rule(
            # A fifth of the price, and still readable at once: a restore does not wait for a day, and what is to
            # be erased can be taken out of a file. Reading costs more there, but few restores are so old.
            transitions=[
                s3.Transition(
                    storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
                    transition_after=cdk.Duration.days(90),
                )
            ],
            # Long enough to notice that an archive was overwritten; what was erased from it is then gone, too.
            noncurrent_version_expiration=cdk.Duration.days(30),
            abort_incomplete_multipart_upload_after=cdk.Duration.days(7),  # an upload is resumed within the hour
        )

    def allow_archiving(self, function: lambda_.Function) -> None:
        """Let the function write, read and verify archives, and take old versions of their files away."""
        actions = ("PutObject", "GetObject", "AbortMultipartUpload", "DeleteObjectVersion")
        self._allow(function, self.archive, "archive", actions, "Files are named by table, time and number")
        function.add_to_role_policy(
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.archive.bucket_arn])
        )

    def allow_documents(self, function: lambda_.Function) -> None:
        """Let the function write documents, and sign links by which others read them in its name."""
        self._allow(
            function, self.documents, "documents", ("PutObject", "GetObject"), "Files are named by project"
        )

    def allow_handing_out_documents(self, function: lambda_.Function) -> None:
        """Let the function sign links to documents, and delete them."""
        self._allow(
            function, self.documents, "documents", ("GetObject", "DeleteObject"), "Files are named by project"
        )
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[self.documents.bucket_arn],
                conditions={"StringLike": {"s3:prefix": "documents/*"}},
            )
        )

    def _allow(
        self, function: lambda_.Function, in_bucket: s3.Bucket, folder: str, actions: tuple[str, ...], naming: str
    ) -> None:
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=[f"s3:{action}" for action in actions],
                resources=[in_bucket.arn_for_objects(f"{folder}/*")],
            )
        )
        # S3 asks KMS in the function's name, and with a bucket key for the bucket as a whole.
        stack = cdk.Stack.of(self)
        bucket, role = in_bucket.node.default_child, function.role
        if role is None or not isinstance(bucket, s3.CfnBucket):
            raise TypeError("a function of ours has a role, and a bucket is one resource")
        cdk.Validations.of(role).acknowledge(
            cdk.Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::<{stack.get_logical_id(bucket)}.Arn>/{folder}/*]",
                reason=f"{naming}; nothing else is kept below {folder}/.",
            )
        )
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self.key.key_arn],
                conditions={
                    "StringEquals": {
                        "kms:ViaService": f"s3.{stack.region}.{stack.url_suffix}",
                        "kms:EncryptionContext:aws:s3:arn": in_bucket.bucket_arn,
                    }
                },
            )
        )

    def _admin_key(self) -> secretsmanager.Secret:
        """The key that creates projects: made by AWS, never seen by a template or a log."""
        secret = secretsmanager.Secret(
            self,
            "AdminKey",
            description="Hookline's admin key: Authorization: Bearer <this value>",
            encryption_key=self.key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=48,  # 62^48 is 285 bits; letters and digits survive every shell and header
                exclude_punctuation=True,
            ),
        )
        cdk.Validations.of(secret).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-SMG4",
                reason="People hold this key. They change it by putting a new value: it counts in two minutes.",
            )
        )
        return secret
