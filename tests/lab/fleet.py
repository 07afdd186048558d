"""The fleet at the start: a VPC, instances with their tags, and the balancers before them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.lab.aws import PEEK, Aws
from tests.waiting import until

Counts = Mapping[str, Mapping[str, int]]  # environment -> type -> how many

SEED: Counts = {
    "prod": {"web": 2, "celery": 1, "manager": 1},
    "puppystream": {"web": 2},
}
KEY_PAIR = "packlead"
PROFILE = "packlead-host"
USER_DATA = "#!/bin/sh\necho kennel > /etc/motd\n"
PORT = 8000
DELAY = 10  # deregistration delay in seconds
CLASSIC = "prod-classic"
TYPES = {"web": "t3.small", "celery": "t3.medium", "manager": "t3.micro"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Fleet:
    """What a test wants to know about the fleet, by the names of its hosts."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def ids(self, environment: str = "*") -> dict[str, str]:
        """The instance id of each running host, by name."""
        return {name: str(row["InstanceId"]) for name, row in self.rows(environment).items()}

    def addresses(self, environment: str = "*") -> dict[str, str]:
        """The private address of each running host, by name."""
        return {name: str(row["PrivateIpAddress"]) for name, row in self.rows(environment).items()}

    def out(self, environment: str, name: str) -> None:
        """Have the environment's target group send nothing more to a web host."""
        elb = self.aws.client("elbv2", PEEK)
        [group] = elb.describe_target_groups(Names=[f"{environment}-web"])["TargetGroups"]
        target = {"Id": self.ids(environment)[name]}
        elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[target])
        until(lambda: self.health(environment).get(name) != "healthy", f"{name} is out")

    def health(self, environment: str) -> dict[str, str]:
        """How each web host stands in the environment's target group, by name."""
        elb = self.aws.client("elbv2", PEEK)
        [group] = elb.describe_target_groups(Names=[f"{environment}-web"])["TargetGroups"]
        rows = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        names = {id: name for name, id in self.ids(environment).items()}
        return {
            names.get(row["Target"]["Id"], row["Target"]["Id"]): str(row["TargetHealth"]["State"])
            for row in rows["TargetHealthDescriptions"]
        }

    def rows(self, environment: str = "*") -> dict[str, dict[str, Any]]:
        """Each running instance as AWS describes it, by name, in the order of launching."""
        pages = self.aws.client("ec2", PEEK).get_paginator("describe_instances")
        filters = [
            {"Name": "tag:Env", "Values": [environment]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        found = {}
        for row in pages.paginate(Filters=filters).search("Reservations[].Instances[]"):
            tags = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
            found[tags.get("Name", row["InstanceId"])] = row
        return found


def seed(aws: Aws, subnet: str, fleet: Counts = SEED) -> None:
    """Make the world that Packlead finds: nothing of this is in the log afterwards."""
    with ThreadPoolExecutor(2) as pool:  # making a client is slow, and it is three of them
        pool.submit(_profile, aws)
        pool.submit(aws.client, "elbv2")
        place = _network(aws, subnet)
    ids = {
        environment: {
            type: [_instance(aws, place, environment, type, n + 1) for n in range(count)]
            for type, count in types.items()
        }
        for environment, types in fleet.items()
    }
    for environment in dict.fromkeys([*SEED, *fleet]):
        _balancer(aws, place, environment, ids.get(environment, {}).get("web", []))
    _classic(aws, place)
    aws.log.clear()


def crowd(aws: Aws, count: int, environments: int = 10) -> None:
    """Add `count` instances in a network of their own, for benchmarks; hosts do not follow them."""
    kinds = [(f"crowd-{chr(97 + e)}", type) for e in range(environments) for type in TYPES]
    crowd_of(aws, [(*kinds[n % len(kinds)], n // len(kinds) + 1) for n in range(count)])


def crowd_of(aws: Aws, rows: Sequence[tuple[str, str, int]], network: str = "10.77.0.0/16") -> None:
    """Add these (environment, type, number) in a network of their own."""
    ec2 = aws.client("ec2", PEEK)
    vpc = ec2.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
    half = network.replace("/16", "/17")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=half)["Subnet"]["SubnetId"]
    aws.crowd(subnet, [_tags(*row) for row in rows])


def _network(aws: Aws, cidr: str) -> dict[str, Any]:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{aws.region}a")
    aws.subnet = subnet["Subnet"]["SubnetId"]
    groups = [
        ec2.create_security_group(VpcId=vpc, GroupName=name, Description=f"{name} of the lab")
        for name in ("packlead-hosts", "packlead-metrics")
    ]
    ec2.create_key_pair(KeyName=KEY_PAIR)
    return {"vpc": vpc, "subnet": aws.subnet, "groups": [group["GroupId"] for group in groups]}


def _profile(aws: Aws) -> None:
    iam = aws.client("iam")
    iam.create_role(RoleName=PROFILE, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName=PROFILE)
    iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)


def _instance(aws: Aws, place: dict[str, Any], environment: str, type: str, number: int) -> str:
    """Launch one with as little as possible as AWS has it by default: a copy has to have it too."""
    tags = [{"Key": k, "Value": v} for k, v in _tags(environment, type, number).items()]
    launched = aws.client("ec2").run_instances(
        ImageId=aws.base_image,
        InstanceType=TYPES.get(type, "t3.small"),
        MinCount=1,
        MaxCount=1,
        KeyName=KEY_PAIR,
        SubnetId=place["subnet"],
        SecurityGroupIds=place["groups"],
        IamInstanceProfile={"Name": PROFILE},
        MetadataOptions={
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "InstanceMetadataTags": "enabled",
        },
        Monitoring={"Enabled": True},
        EbsOptimized=True,
        UserData=USER_DATA,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return str(launched["Instances"][0]["InstanceId"])


def _balancer(aws: Aws, place: dict[str, Any], environment: str, ids: list[str]) -> None:
    """One application load balancer, with the target group of the web instances behind it."""
    elb = aws.client("elbv2")
    arn = elb.create_target_group(
        Name=f"{environment}-web",
        Protocol="HTTP",
        Port=PORT,
        VpcId=place["vpc"],
        HealthCheckPath="/healthz",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        TargetType="instance",
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DELAY)}
    elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    balancer = elb.create_load_balancer(
        Name=environment, Subnets=[place["subnet"]], SecurityGroups=place["groups"]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    forward = {"Type": "forward", "TargetGroupArn": arn}
    elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[forward]
    )
    if ids:
        elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": id} for id in ids])


def _classic(aws: Aws, place: dict[str, Any]) -> None:
    elb = aws.client("elb")
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": PORT}
    elb.create_load_balancer(
        LoadBalancerName=CLASSIC, Listeners=[listener], Subnets=[place["subnet"]]
    )
    check = {
        "Target": f"HTTP:{PORT}/healthz",
        "Interval": 5,
        "Timeout": 2,
        "UnhealthyThreshold": 2,
        "HealthyThreshold": 2,
    }
    elb.configure_health_check(LoadBalancerName=CLASSIC, HealthCheck=check)
    elb.modify_load_balancer_attributes(
        LoadBalancerName=CLASSIC,
        LoadBalancerAttributes={"ConnectionDraining": {"Enabled": True, "Timeout": DELAY}},
    )


def _tags(environment: str, type: str, number: int) -> dict[str, str]:
    return {"Env": environment, "Type": type, "Name": f"{environment}{type}{number}"}
