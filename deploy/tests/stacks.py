"""Deploys the template to moto and resolves the properties of its resources.

moto resolves a template's functions, with three gaps that are filled here: it does not
support AWS::LanguageExtensions (cfn-lint expands them), it leaves AWS::NoValue as None in
lists, and it ignores unsupported resource types, so that a Ref or GetAtt to one is lost.
"""

import copy
import json
import pathlib

import cfnlint.decode
import cfnlint.template
from moto.cloudformation import cloudformation_backends, models, parsing
from moto.ecs import ecs_backends
from moto.ecs.models import EC2ContainerServiceBackend

TEMPLATE = pathlib.Path(__file__).parent.parent / "logsluice.yaml"
REGION = "eu-west-1"
ACCOUNT = "123456789012"

DOMAIN = f"arn:aws:es:{REGION}:{ACCOUNT}:domain/logs"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:logs/writer-AbCdEf"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
GROUPS = ["/ecs/shop", "/ecs/api-2"]

# VpcId and SubnetIds are moto's. Other parameters have their defaults.
COMMON = {"OpenSearchUrl": "https://search-logs.example.com", "Image": "example.com/logsluice:1.0"}
SETS = {
    "plain": COMMON | {"OpenSearchArn": DOMAIN, "LogGroups": ",".join(GROUPS)},
    "all": COMMON
    | {
        "OpenSearchUrl": "https://search-logs.example.com:9200",
        "OpenSearchAuth": "basic",
        "OpenSearchUser": "writer",
        "PasswordSecretArn": SECRET,
        "PasswordSecretKey": "password",
        "PasswordSecretKmsKeyArn": KEY,
        "OpenSearchPort": "9200",
        "DomainSecurityGroupId": "domain",  # created in moto
        "DashboardsUrl": "https://search-logs.example.com/_dashboards",
        "Subscribe": "account",
        "LogGroups": ",".join(GROUPS),
        "ExcludedLogGroups": "/aws/OpenSearchService/domains/logs/index-slow-logs,/noise",
        "FilterPattern": '{ $.level = "ERROR" && $.path != "C:\\\\x" }',
        "Distribution": "ByLogStream",
        "AssignPublicIp": "ENABLED",
        "ImageRepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/logsluice",
        "CpuArchitecture": "X86_64",
        "TaskSize": "1024-4096",
        "ClusterName": "shared",
        "MinTasks": "3",
        "MaxTasks": "40",
        "ShardsPerTask": "5",
        "ScaleByLag": "true",
        "LagSecondsToScale": "90",
        "LogRetentionDays": "7",
        "LogLevel": "warn",
        "DashboardsTenant": "team",
        "IndexPrefix": "logs",
        "IndexDate": "%Y-%m",
        "IndexShards": "2",
        "IndexReplicas": "1",
        "Schema": "ecs",
        "DocumentIds": "none",
        "DeleteAfterDays": "90",
        "InitialPosition": "LATEST",
        "IndexTimezone": "Asia/Tokyo",
        "ConstantFields": "env=prod,service=shop",
        "StreamMode": "PROVISIONED",
        "ShardCount": "3",
        "StreamRetentionHours": "168",
        "KmsKeyArn": KEY,
        "ArchivePrefix": "archive/",
        "ArchiveErrorPrefix": "failed/",
        "ArchiveCompression": "GZIP",
        "ArchiveExpireAfterDays": "400",
        "AlarmTopicArn": TOPIC,
        "AlarmLagSeconds": "60",
        "AlarmWaitSeconds": "120",
        "AlarmArchiveSeconds": "3600",
    },
    "few": COMMON | {"OpenSearchAuth": "basic", "OpenSearchUser": "writer", "PasswordSecretArn": SECRET},
    "serverless": COMMON
    | {"OpenSearchAuth": "aoss", "OpenSearchArn": f"arn:aws:aoss:{REGION}:{ACCOUNT}:collection/abc123", "DocumentIds": "none", "Subscribe": "account"},
}


class Absent:
    """Stands for a resource of a type that moto's CloudFormation ignores."""

    def __init__(self, logical_id, kind, properties, resources):
        self.logical_resource_id, self.cf_resource_type = logical_id, kind
        self.physical_resource_id = properties.get("FilterName") or f"{resources['AWS::StackName']}-{logical_id}"

    def get_cfn_attribute(self, attribute):
        raise AssertionError(f"{self.logical_resource_id}.{attribute} is used but not available here")

    def is_created(self):
        return True

    def delete(self, *_):
        pass


def complete_moto():
    """Fills the gaps of moto's resolver."""
    clean, create = parsing.clean_json, parsing.parse_and_create_resource

    def clean_json(value, resources):
        cleaned = clean(value, resources)
        return [v for v in cleaned if v is not None] if isinstance(cleaned, list) else cleaned

    def parse_and_create_resource(logical_id, resource, resources, account_id, region_name):
        condition = resource.get("Condition")
        if condition and not resources.lazy_condition_map[condition]:
            return None
        if parsing.resource_class_from_type(resource["Type"]) is None:
            return Absent(logical_id, resource["Type"], parsing.clean_json(resource.get("Properties", {}), resources), resources)
        return create(logical_id, resource, resources, account_id, region_name)

    def apply(change_set):  # updates outputs and parameters, too
        change_set.stack.update(change_set.template, parameters=change_set.parameters)

    parsing.clean_json, parsing.parse_and_create_resource = clean_json, parse_and_create_resource
    models.ChangeSet.apply = apply
    # Fargate requires the memory of the task, moto that of each container.
    needs = {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}
    EC2ContainerServiceBackend._calculate_task_resource_requirements = lambda *_: needs


def template():
    """Returns the template unchanged."""
    decoded, matches = cfnlint.decode.decode(str(TEMPLATE))
    assert not matches, matches
    return json.loads(json.dumps(decoded))


def expand(parameters):
    """Returns the template for these parameters, with Fn::ForEach expanded."""
    decoded, matches = cfnlint.decode.decode(str(TEMPLATE))
    assert not matches, matches
    for name, value in parameters.items():
        decoded["Parameters"][name]["Default"] = value
    mappings = decoded.pop("Mappings")  # cfn-lint would guess their keys
    wrapped = cfnlint.template.Template(str(TEMPLATE), decoded, [REGION])
    matches = wrapped.transform()
    assert not matches, matches
    # moto does not support RetainExceptOnCreate, which differs from Retain only if the creation
    # of a stack fails.
    return json.loads(json.dumps(wrapped.template | {"Mappings": mappings}).replace('"RetainExceptOnCreate"', '"Retain"'))


class Stack:
    def __init__(self, aws, name, parameters):
        self.name, self.given = name, parameters
        self.template = expand(parameters)
        self.parameters = {n: str(p["Default"]) for n, p in self.template["Parameters"].items()}
        cloudformation = aws("cloudformation")
        self.id = cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(self.template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            # All of them, because moto treats the default of a list as a string.
            Parameters=[{"ParameterKey": n, "ParameterValue": v} for n, v in self.parameters.items()],
        )["StackId"]
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE"
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
        self.map = cloudformation_backends[ACCOUNT][REGION].get_stack(name).resource_map

    def has(self, logical_id):
        condition = self.template["Resources"][logical_id].get("Condition")
        return not condition or self.map.lazy_condition_map[condition]

    def ids(self, kind):
        """Returns the logical ids of the existing resources of a type."""
        return [i for i, r in self.template["Resources"].items() if r["Type"] == kind and self.has(i)]

    def ref(self, logical_id):
        return self.resolve({"Ref": logical_id})

    def resolve(self, value):
        return parsing.clean_json(copy.deepcopy(value), self.map)

    def properties(self, logical_id):
        """Returns a resource's properties with all functions resolved."""
        assert self.has(logical_id), f"{self.name} has no {logical_id}"
        return self.resolve(self.template["Resources"][logical_id].get("Properties", {}))

    def statements(self, role):
        """Returns the statements of a role's inline policies by their Sid."""
        found = [s for p in self.properties(role)["Policies"] for s in p["PolicyDocument"]["Statement"]]
        by_sid = {s["Sid"]: s for s in found}
        assert len(by_sid) == len(found), f"{role} has two statements with one Sid"
        return by_sid


def deploy(aws, name, parameters):
    ec2 = aws("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]][:2]
    parameters = parameters | {"VpcId": vpc, "SubnetIds": ",".join(subnets)}
    if "DomainSecurityGroupId" in parameters:
        group = ec2.create_security_group(GroupName="domain", Description="domain", VpcId=vpc)
        parameters["DomainSecurityGroupId"] = group["GroupId"]
    if "ClusterName" in parameters:
        aws("ecs").create_cluster(clusterName=parameters["ClusterName"])
    return Stack(aws, name, parameters)


def end_task(cluster, arn, code):
    """Ends a task of moto's with an exit code."""
    task = ecs_backends[ACCOUNT][REGION].tasks[cluster.rsplit("/", 1)[1]][arn]
    task.status, task.desired_status, task.containers[0].exitCode = "STOPPED", "STOPPED", code


def roll_back(name):
    """Gives a stack the status of one whose creation failed."""
    cloudformation_backends[ACCOUNT][REGION].get_stack(name).status = "ROLLBACK_COMPLETE"
