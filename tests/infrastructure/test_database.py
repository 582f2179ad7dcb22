"""Postgres and its proxy."""

from tests.infrastructure.synthesized import Template, referred

INSTANCE = "AWS::RDS::DBInstance"
PROXY = "AWS::RDS::DBProxy"


def test_it_is_postgres_18_with_the_settings_we_explain(template: Template) -> None:
    instance = template.only(INSTANCE)["Properties"]
    assert instance["Engine"] == "postgres"
    assert instance["EngineVersion"].split(".")[0] == "18"
    assert instance["DBName"] == "hookline"
    assert instance["MasterUsername"] == "hookline_admin"
    group = template.only("AWS::RDS::DBParameterGroup")["Properties"]
    assert group["Family"] == "postgres18"
    assert group["Parameters"]["rds.force_ssl"] == "1"
    assert group["Parameters"]["jit"] == "0"
    assert referred(instance["DBParameterGroupName"])


def test_data_at_rest_is_encrypted_with_our_key(template: Template) -> None:
    instance = template.only(INSTANCE)["Properties"]
    key = {"Fn::GetAtt": [*template.of_type("AWS::KMS::Key"), "Arn"]}
    assert instance["StorageEncrypted"] is True
    assert instance["KmsKeyId"] == key
    assert instance["PerformanceInsightsKMSKeyId"] == key


def test_fourteen_days_can_be_restored_in_every_stage(template: Template) -> None:
    assert template.only(INSTANCE)["Properties"]["BackupRetentionPeriod"] == 14


def test_storage_grows_by_itself_up_to_a_limit(template: Template) -> None:
    instance = template.only(INSTANCE)["Properties"]
    assert instance["StorageType"] == "gp3"
    assert instance["MaxAllocatedStorage"] > int(instance["AllocatedStorage"])


def test_production_survives_a_zone_and_a_mistake(prod: Template) -> None:
    instance = prod.only(INSTANCE)
    assert instance["Properties"]["MultiAZ"] is True
    assert instance["Properties"]["DeletionProtection"] is True
    assert instance["Properties"]["DeleteAutomatedBackups"] is False
    assert instance["DeletionPolicy"] == "Snapshot"
    assert instance["UpdateReplacePolicy"] == "Snapshot"


def test_dev_leaves_nothing_behind(dev: Template) -> None:
    kept = [name for name, r in dev.resources.items() if r.get("DeletionPolicy") in ("Retain", "Snapshot")]
    assert kept == []
    assert dev.only(INSTANCE)["Properties"]["DeletionProtection"] is False


def test_nobody_reaches_it_from_outside(template: Template) -> None:
    assert template.only(INSTANCE)["Properties"]["PubliclyAccessible"] is False
    subnets = list(referred(template.only("AWS::RDS::DBSubnetGroup")["Properties"]["SubnetIds"]))
    assert len(subnets) == 2
    for route in template.of_type("AWS::EC2::Route").values():
        tables = {
            association["Properties"]["RouteTableId"]["Ref"]
            for association in template.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
            if association["Properties"]["SubnetId"]["Ref"] in subnets
        }
        assert route["Properties"]["RouteTableId"]["Ref"] not in tables


def test_the_proxy_is_iam_from_end_to_end_with_tls(template: Template) -> None:
    proxy = template.only(PROXY)["Properties"]
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert proxy["RequireTLS"] is True
    assert "Auth" not in proxy  # no secret, so no password of the application exists
    assert template.only(INSTANCE)["Properties"]["EnableIAMDatabaseAuthentication"] is True


def test_waiting_for_a_connection_ends_before_the_caller_s_patience(template: Template) -> None:
    pool = template.only("AWS::RDS::DBProxyTargetGroup")["Properties"]["ConnectionPoolConfigurationInfo"]
    assert pool["ConnectionBorrowTimeout"] < template.function("api")[1]["Timeout"]
    assert pool["MaxConnectionsPercent"] < 100
    assert template.only(PROXY)["Properties"]["IdleClientTimeout"] == 1800


def test_the_proxy_logs_in_as_the_application_and_as_nobody_else(template: Template) -> None:
    role = template.only(PROXY)["Properties"]["RoleArn"]["Fn::GetAtt"][0]
    [policy] = [
        policy["Properties"]["PolicyDocument"]
        for policy in template.of_type("AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Properties"]["Roles"]
    ]
    [statement] = policy["Statement"]
    assert statement["Action"] == "rds-db:connect"
    assert [*template.of_type(INSTANCE)] == [
        name for name in referred(statement["Resource"]) if name in template.resources
    ]
    assert statement["Resource"]["Fn::Join"][1][-1] == "/hookline_app"
