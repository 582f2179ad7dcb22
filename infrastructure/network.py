"""Where things run and what they may reach."""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.config import Stage

HTTPS = 443
POSTGRES = 5432
EPHEMERAL = ec2.AclTraffic.tcp_port_range(1024, 65535)  # the ports Lambda calls from, as AWS documents them


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The subnets and the security group a function runs in."""

    subnets: ec2.SubnetSelection
    security_group: ec2.SecurityGroup


class Network(Construct):
    """A VPC in two zones: public (NAT), functions, senders, data.

    Two zones, because a stack that names no account cannot know of a third. `functions` call AWS and the
    database. `senders` call addresses that customers chose, so they have subnets of their own whose
    network ACL hides the rest of the VPC. `data` has no way out.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.nat_addresses = [self._address(number) for number in range(1, stage.nat_gateways + 1)]
        self.vpc = self._vpc()
        self._log_rejected_traffic()
        self.data_subnets = ec2.SubnetSelection(subnet_group_name="data")

        self.database = self._security_group("Database", "The Postgres instance")
        self.proxy = self._security_group("Proxy", "The proxy in front of Postgres")
        self.functions = self._placement("Functions", "Functions that use the proxy", subnets="functions")
        self.maintenance = self._placement("Maintenance", "Functions on the instance", subnets="functions")
        self.senders = self._placement("Senders", "Functions that call webhooks", subnets="senders")
        self._allow_what_is_needed()
        self._hide_the_vpc_from_senders()

    def _address(self, number: int) -> ec2.CfnEIP:
        """A fixed address: customers put it on their allow lists, so in production it outlives the stack."""
        address = ec2.CfnEIP(self, f"NatAddress{number}", domain="vpc")
        address.apply_removal_policy(
            cdk.RemovalPolicy.RETAIN if self._stage.protect_data else cdk.RemovalPolicy.DESTROY
        )
        return address

    def _vpc(self) -> ec2.Vpc:
        private = ec2.SubnetType.PRIVATE_WITH_EGRESS
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(self._stage.vpc_cidr),
            max_azs=2,
            nat_gateways=self._stage.nat_gateways,
            nat_gateway_provider=ec2.NatProvider.gateway(
                eip_allocation_ids=[address.attr_allocation_id for address in self.nat_addresses]
            ),
            # Emptying the default security group would need a seventh function; nothing uses the group.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=26,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(name="functions", subnet_type=private, cidr_mask=22),
                ec2.SubnetConfiguration(name="senders", subnet_type=private, cidr_mask=22),
                ec2.SubnetConfiguration(name="data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
        )
        # S3 without the NAT's price per byte: the answers of custom resources go there, archives will.
        vpc.add_gateway_endpoint(
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=[ec2.SubnetSelection(subnet_group_name="functions")],
        )
        return vpc

    def _log_rejected_traffic(self) -> None:
        """A webhook that tries to reach the VPC shows up here, whatever the code thought of it."""
        group = logs.LogGroup(
            self,
            "RejectedTraffic",
            retention=logs.RetentionDays[self._stage.log_retention],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.vpc.add_flow_log(
            "FlowLog",
            traffic_type=ec2.FlowLogTrafficType.REJECT,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
        )

    def _security_group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, f"{name}Group", vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _placement(self, name: str, description: str, *, subnets: str) -> Placement:
        return Placement(
            subnets=ec2.SubnetSelection(subnet_group_name=subnets),
            security_group=self._security_group(name, description),
        )

    def _allow_what_is_needed(self) -> None:
        """All but the way from the proxy to the database: the proxy's own construct opens that."""
        postgres = ec2.Port.tcp(POSTGRES)
        self.maintenance.security_group.connections.allow_to(self.database, postgres)
        for placement in (self.functions, self.senders):
            placement.security_group.connections.allow_to(self.proxy, postgres)
        for placement in (self.functions, self.maintenance):
            placement.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "AWS APIs")
        for port in self._sender_ports():
            self.senders.security_group.add_egress_rule(ec2.Peer.any_ipv4(), port, "Webhooks and AWS APIs")

    def _sender_ports(self) -> Sequence[ec2.Port]:
        """HTTPS is always among them: the senders call SQS and KMS too."""
        if not self._stage.egress_ports:
            return [ec2.Port.all_tcp()]
        return [ec2.Port.tcp(port) for port in sorted({HTTPS, *self._stage.egress_ports})]

    def _hide_the_vpc_from_senders(self) -> None:
        """Of the VPC, senders reach Postgres in the data subnets and nothing else (PRODUCT.md P10).

        DNS needs no rule: AWS documents that network ACLs do not see queries to the VPC's resolver.
        """
        acl = ec2.NetworkAcl(self, "SenderAcl", vpc=self.vpc, subnet_selection=self.senders.subnets)
        postgres = ec2.AclTraffic.tcp_port(POSTGRES)
        data_subnets = self.vpc.select_subnets(subnet_group_name="data").subnets
        outward = _Rules(acl, ec2.TrafficDirection.EGRESS)
        inward = _Rules(acl, ec2.TrafficDirection.INGRESS)
        for number, subnet in enumerate(data_subnets, start=101):
            outward.add(number, subnet.ipv4_cidr_block, postgres, ec2.Action.ALLOW)
            inward.add(number, subnet.ipv4_cidr_block, EPHEMERAL, ec2.Action.ALLOW)
        for rules in (outward, inward):
            rules.add(200, self._stage.vpc_cidr, ec2.AclTraffic.all_traffic(), ec2.Action.DENY)
        # Which ports are allowed is the security group's business; this list only hides the VPC.
        outward.add(300, "0.0.0.0/0", ec2.AclTraffic.tcp_port_range(0, 65535), ec2.Action.ALLOW)
        inward.add(300, "0.0.0.0/0", EPHEMERAL, ec2.Action.ALLOW)
        cdk.Validations.of(acl).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-VPC3",
                reason="Security groups cannot deny: 443 to anywhere would include the VPC's own addresses.",
            )
        )


@dataclass(frozen=True)
class _Rules:
    """One direction of a network ACL; rules are tried by number and the first that fits decides."""

    acl: ec2.NetworkAcl
    direction: ec2.TrafficDirection

    def add(self, number: int, cidr: str, traffic: ec2.AclTraffic, action: ec2.Action) -> None:
        self.acl.add_entry(
            f"{self.direction.name.title()}{number}",
            rule_number=number,
            cidr=ec2.AclCidr.ipv4(cidr),
            traffic=traffic,
            direction=self.direction,
            rule_action=action,
        )
