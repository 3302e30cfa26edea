"""The calls that CloudFormation makes for each resource, checked against botocore's models.

Names, types, required members, ranges, patterns and enumerations are those of the
services' models. A property that its call does not have is an error.
"""

import json
import re

import botocore.session
import regex
from botocore.validate import ParamValidator

SESSION = botocore.session.get_session()


def model(service, operation):
    return SESSION.get_service_model(service).operation_model(operation).input_shape


def arguments(shape, value):
    """Returns a property as an argument, as CloudFormation converts it: the first letter of
    a member's name can differ in case, and scalars are converted to the type of the member."""
    if shape.type_name == "structure":
        members = {}
        for key, inner in value.items():
            name = next((n for n in (key, key[0].lower() + key[1:]) if n in shape.members), None)
            assert name, f"{shape.name} has no member {key}, only {sorted(shape.members)}"
            members[name] = arguments(shape.members[name], inner)
        return members
    if shape.type_name == "list":
        return [arguments(shape.member, v) for v in value]
    if shape.type_name == "map":
        return {k: arguments(shape.value, v) for k, v in value.items()}
    if shape.type_name == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if shape.type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    return value


def violations(shape, value, path=""):
    """Returns what the service would refuse."""
    problems = []
    if not path:
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            problems.append(report.generate_report())
    if shape.type_name == "structure":
        for key, inner in value.items():
            if key in shape.members:
                problems += violations(shape.members[key], inner, f"{path}.{key}")
    elif shape.type_name in ("list", "map"):
        inners = enumerate(value) if shape.type_name == "list" else value.items()
        of = shape.member if shape.type_name == "list" else shape.value
        for i, inner in inners:
            problems += violations(of, inner, f"{path}[{i}]")
    size = len(value) if shape.type_name in ("string", "list", "map") else value
    if shape.type_name not in ("structure", "boolean") and shape.metadata.get("max", size) < size:
        problems.append(f"{path}: {value!r} is beyond {shape.metadata['max']}")
    if shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if pattern and not regex.fullmatch(pattern.replace(ASTRAL, "\U00010000-\U0010FFFF"), value):
            problems.append(f"{path}: {value!r} does not match {pattern}")
        if getattr(shape, "enum", None) and value not in shape.enum:
            problems.append(f"{path}: {value!r} is not one of {shape.enum}")
    return problems


# How the models, which have Java's patterns, write all characters beyond 16 bits.
ASTRAL = r"\uD800\uDC00-\uDBFF\uDFFF"


class Call:
    def __init__(self, service, operation, values):
        self.service, self.operation = service, operation
        shape = model(service, operation)
        self.arguments = arguments(shape, values)
        problems = violations(shape, self.arguments)
        assert not problems, f"{service}:{operation}: " + "; ".join(problems)

    def make(self, aws):
        method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.operation).lower()
        return getattr(aws(self.service), method)(**self.arguments)


def of(stack, logical_id):
    """Returns the calls that create a resource."""
    kind = stack.template["Resources"][logical_id]["Type"]
    name = stack.ref(logical_id)
    return [Call(*call) for call in KINDS[kind](stack, name, stack.properties(logical_id))]


def without(properties, *names):
    return {k: v for k, v in properties.items() if k not in names}


def stream(_, name, p):
    if p["StreamModeDetails"]["StreamMode"] == "ON_DEMAND":
        assert "ShardCount" not in p
    yield "kinesis", "CreateStream", {"StreamName": name} | without(p, "RetentionPeriodHours", "StreamEncryption")
    if p["RetentionPeriodHours"] > 24:
        yield "kinesis", "IncreaseStreamRetentionPeriod", {"StreamName": name, "RetentionPeriodHours": p["RetentionPeriodHours"]}
    yield "kinesis", "StartStreamEncryption", {"StreamName": name} | p["StreamEncryption"]


def table(_, name, p):
    yield "dynamodb", "CreateTable", {"TableName": name} | without(p, "PointInTimeRecoverySpecification")
    yield "dynamodb", "UpdateContinuousBackups", {"TableName": name, "PointInTimeRecoverySpecification": p["PointInTimeRecoverySpecification"]}


def bucket(_, name, p):
    yield "s3", "CreateBucket", {"Bucket": name}
    yield "s3", "PutPublicAccessBlock", {"Bucket": name, "PublicAccessBlockConfiguration": p["PublicAccessBlockConfiguration"]}
    yield "s3", "PutBucketOwnershipControls", {"Bucket": name, "OwnershipControls": p["OwnershipControls"]}
    yield "s3", "PutBucketVersioning", {"Bucket": name, "VersioningConfiguration": p["VersioningConfiguration"]}
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": r["ServerSideEncryptionByDefault"],
            **({"BucketKeyEnabled": r["BucketKeyEnabled"]} if "BucketKeyEnabled" in r else {}),
        }
        for r in p["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ]
    yield "s3", "PutBucketEncryption", {"Bucket": name, "ServerSideEncryptionConfiguration": {"Rules": rules}}
    rules = []
    for r in p["LifecycleConfiguration"]["Rules"]:
        rule = {"ID": r["Id"], "Filter": {"Prefix": ""}} | without(r, "Id", "Transitions", "ExpirationInDays")
        if "Transitions" in r:
            rule["Transitions"] = [{"Days": t["TransitionInDays"], "StorageClass": t["StorageClass"]} for t in r["Transitions"]]
        if "ExpirationInDays" in r:
            rule["Expiration"] = {"Days": r["ExpirationInDays"]}
        rules.append(rule)
    yield "s3", "PutBucketLifecycleConfiguration", {"Bucket": name, "LifecycleConfiguration": {"Rules": rules}}


def role(_, name, p):
    yield "iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(p["AssumeRolePolicyDocument"])} | without(p, "AssumeRolePolicyDocument", "Policies")
    for policy in p["Policies"]:
        yield "iam", "PutRolePolicy", {"RoleName": name, "PolicyName": policy["PolicyName"], "PolicyDocument": json.dumps(policy["PolicyDocument"])}


def permission(rule):
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    ports = {k: rule[k] for k in ("IpProtocol", "FromPort", "ToPort")}
    if "CidrIp" in rule:
        return ports | {"IpRanges": [{"CidrIp": rule["CidrIp"]} | described]}
    return ports | {"UserIdGroupPairs": [{"GroupId": rule["SourceSecurityGroupId"]} | described]}


def security_group(_, name, p):
    yield "ec2", "CreateSecurityGroup", {"GroupName": "logsluice", "Description": p["GroupDescription"], "VpcId": p["VpcId"]}
    yield "ec2", "AuthorizeSecurityGroupEgress", {"GroupId": name, "IpPermissions": [permission(r) for r in p["SecurityGroupEgress"]]}


def policy(stack, name, p):
    target = stack.properties("ScalableTarget")
    assert p["ScalingTargetId"] == stack.ref("ScalableTarget")
    yield "application-autoscaling", "PutScalingPolicy", without(p, "ScalingTargetId") | {k: target[k] for k in ("ServiceNamespace", "ResourceId", "ScalableDimension")}


def log_group(_, name, p):
    yield "logs", "CreateLogGroup", {"logGroupName": name} | without(p, "RetentionInDays")
    yield "logs", "PutRetentionPolicy", {"logGroupName": name, "retentionInDays": p["RetentionInDays"]}


def simple(service, operation, **more):
    """Returns calls for a resource whose properties are the members of its call."""

    def calls(_, name, p):
        yield service, operation, p | {member: name for member in more.get("named", ())}

    return calls


KINDS = {
    "AWS::ApplicationAutoScaling::ScalableTarget": simple("application-autoscaling", "RegisterScalableTarget"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": policy,
    "AWS::CloudWatch::Alarm": simple("cloudwatch", "PutMetricAlarm", named=["AlarmName"]),
    "AWS::CloudWatch::Dashboard": simple("cloudwatch", "PutDashboard", named=["DashboardName"]),
    "AWS::DynamoDB::Table": table,
    "AWS::EC2::SecurityGroup": security_group,
    "AWS::EC2::SecurityGroupIngress": lambda _, name, p: [("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": p["GroupId"], "IpPermissions": [permission(p)]})],
    "AWS::ECS::Cluster": simple("ecs", "CreateCluster"),
    "AWS::ECS::Service": lambda _, name, p: [("ecs", "CreateService", {"ServiceName": name.split("/")[-1]} | p)],
    "AWS::ECS::TaskDefinition": simple("ecs", "RegisterTaskDefinition"),
    "AWS::IAM::Role": role,
    "AWS::Kinesis::Stream": stream,
    "AWS::KinesisFirehose::DeliveryStream": simple("firehose", "CreateDeliveryStream", named=["DeliveryStreamName"]),
    "AWS::Logs::AccountPolicy": simple("logs", "PutAccountPolicy"),
    "AWS::Logs::LogGroup": log_group,
    "AWS::Logs::LogStream": simple("logs", "CreateLogStream"),
    "AWS::Logs::QueryDefinition": simple("logs", "PutQueryDefinition"),
    "AWS::Logs::SubscriptionFilter": simple("logs", "PutSubscriptionFilter"),
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": lambda _, name, p: [("s3", "PutBucketPolicy", {"Bucket": p["Bucket"], "Policy": json.dumps(p["PolicyDocument"])})],
}
