"""What each part of the network reaches."""

from ipaddress import ip_address, ip_network

import pytest

from tests.infrastructure.synthesized import Template, referred

TCP = 6


def test_each_kind_of_subnet_is_in_both_zones(template: Template) -> None:
    kinds: dict[str, int] = {}
    for subnet in template.of_type("AWS::EC2::Subnet").values():
        [kind] = [tag["Value"] for tag in subnet["Properties"]["Tags"] if tag["Key"] == "aws-cdk:subnet-name"]
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds == {"public": 2, "functions": 2, "senders": 2, "data": 2}


def test_the_addresses_customers_allow_are_fixed_and_shown(dev: Template, prod: Template) -> None:
    for template, count in ((dev, 1), (prod, 2)):
        addresses = template.of_type("AWS::EC2::EIP")
        assert len(addresses) == count
        used = {
            gateway["Properties"]["AllocationId"]["Fn::GetAtt"][0]
            for gateway in template.of_type("AWS::EC2::NatGateway").values()
        }
        assert used == addresses.keys()
        assert set(referred(template.document["Outputs"]["NatAddresses"])) == used
    assert {address["DeletionPolicy"] for address in prod.of_type("AWS::EC2::EIP").values()} == {"Retain"}


def test_senders_go_out_through_the_fixed_addresses(template: Template) -> None:
    gateways = template.of_type("AWS::EC2::NatGateway").keys()
    for subnet in _subnets(template, "senders"):
        assert gateways & template.after(_default_route(template, subnet))


@pytest.mark.parametrize(
    ("kind", "port", "reached"),
    [
        ("data", 5432, True),
        ("data", 443, False),
        ("functions", 5432, False),
        ("functions", 443, False),
        ("senders", 443, False),
        ("public", 443, False),
    ],
)
def test_of_the_vpc_a_sender_reaches_postgres_and_nothing_else(
    template: Template, kind: str, port: int, reached: bool
) -> None:
    for subnet in _subnets(template, kind):
        address = ip_network(template.resources[subnet]["Properties"]["CidrBlock"])[10]
        assert _allows(template, str(address), port, outward=True) is reached


@pytest.mark.parametrize("port", [443, 8443])
def test_a_sender_reaches_the_world_and_hears_its_answer(template: Template, port: int) -> None:
    assert _allows(template, "1.1.1.1", port, outward=True)
    assert _allows(template, "1.1.1.1", 32768, outward=False)


def test_nobody_calls_a_sender(template: Template) -> None:
    assert not _allows(template, "1.1.1.1", 443, outward=False)
    for subnet in _subnets(template, "functions"):
        address = ip_network(template.resources[subnet]["Properties"]["CidrBlock"])[10]
        assert not _allows(template, str(address), 40000, outward=False)


def test_the_acl_is_that_of_the_sender_subnets_and_of_no_others(template: Template) -> None:
    associations = template.of_type("AWS::EC2::SubnetNetworkAclAssociation").values()
    guarded = {association["Properties"]["SubnetId"]["Ref"] for association in associations}
    assert guarded == set(_subnets(template, "senders"))
    assert guarded == set(referred(template.function("deliver")[1]["VpcConfig"]["SubnetIds"]))


def test_security_groups_open_postgres_to_those_who_need_it(template: Template) -> None:
    opened = {
        (
            _group(template, rule["Properties"]["SourceSecurityGroupId"]),
            _group(template, rule["Properties"]["GroupId"]),
        )
        for rule in template.of_type("AWS::EC2::SecurityGroupIngress").values()
    }
    assert opened == {
        ("Functions that use the proxy", "The proxy in front of Postgres"),
        ("Functions that call webhooks", "The proxy in front of Postgres"),
        ("The proxy in front of Postgres", "The Postgres instance"),
        ("Functions on the instance", "The Postgres instance"),
    }
    # AWS refuses a rule that is there already, whatever its logical id.
    assert len(opened) == len(template.of_type("AWS::EC2::SecurityGroupIngress"))
    assert len(opened) == len(template.of_type("AWS::EC2::SecurityGroupEgress"))
    for group in template.of_type("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]


def test_senders_may_use_the_ports_that_the_code_allows(template: Template) -> None:
    allowed = {int(port) for port in template.environment("deliver")["EGRESS_PORTS"].split(",")}
    [group] = [
        g["Properties"]
        for g in template.of_type("AWS::EC2::SecurityGroup").values()
        if g["Properties"]["GroupDescription"] == "Functions that call webhooks"
    ]
    assert {rule["FromPort"] for rule in group["SecurityGroupEgress"]} == allowed
    assert all(rule["FromPort"] == rule["ToPort"] for rule in group["SecurityGroupEgress"])


def test_s3_is_reached_without_the_nat(template: Template) -> None:
    endpoint = template.only("AWS::EC2::VPCEndpoint")["Properties"]
    assert endpoint["VpcEndpointType"] == "Gateway"
    tables = {
        association["Properties"]["RouteTableId"]["Ref"]
        for association in template.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if association["Properties"]["SubnetId"]["Ref"] in _subnets(template, "functions")
    }
    assert set(referred(endpoint["RouteTableIds"])) == tables


def test_what_the_network_refused_is_logged(template: Template) -> None:
    assert template.only("AWS::EC2::FlowLog")["Properties"]["TrafficType"] == "REJECT"


def _subnets(template: Template, kind: str) -> list[str]:
    return [
        name
        for name, subnet in template.of_type("AWS::EC2::Subnet").items()
        if {"Key": "aws-cdk:subnet-name", "Value": kind} in subnet["Properties"]["Tags"]
    ]


def _default_route(template: Template, subnet: str) -> str:
    [association] = [
        a["Properties"]
        for a in template.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if a["Properties"]["SubnetId"] == {"Ref": subnet}
    ]
    [route] = [
        name
        for name, r in template.of_type("AWS::EC2::Route").items()
        if r["Properties"]["RouteTableId"] == association["RouteTableId"]
        and r["Properties"]["DestinationCidrBlock"] == "0.0.0.0/0"
    ]
    return route


def _group(template: Template, reference: object) -> str:
    [name] = referred(reference)
    return template.resources[name]["Properties"]["GroupDescription"]


def _allows(template: Template, address: str, port: int, *, outward: bool) -> bool:
    """What AWS would decide: the first rule by number that fits, else deny."""
    rules = [entry["Properties"] for entry in template.of_type("AWS::EC2::NetworkAclEntry").values()]
    for rule in sorted(rules, key=lambda rule: rule["RuleNumber"]):
        ports = rule.get("PortRange", {"From": 0, "To": 65535})
        if (
            rule["Egress"] is outward
            and ip_address(address) in ip_network(rule["CidrBlock"])
            and rule["Protocol"] in (TCP, -1)
            and ports["From"] <= port <= ports["To"]
        ):
            return rule["RuleAction"] == "allow"
    return False
