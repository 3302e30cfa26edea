"""The resources that the template creates in moto, read back.

moto's CloudFormation ignores many properties. The tests set them by the calls for the
resource.
"""

import json
import shlex

import pytest

import calls
import stacks


def test_stream(aws, deploy):
    def f(name, mode, shards, hours, key):
        stack = deploy(name)
        made = calls.of(stack, "Stream")
        for call in made:  # moto's CloudFormation does not support modes and encryption
            call.arguments["StreamName"] = f"read-back-{name}"
            call.make(aws)
        summary = aws("kinesis").describe_stream_summary(StreamName=f"read-back-{name}")["StreamDescriptionSummary"]
        assert summary["StreamModeDetails"]["StreamMode"] == mode
        assert shards is None or summary["OpenShardCount"] == shards
        assert summary["RetentionPeriodHours"] == hours
        assert (summary["EncryptionType"], summary["KeyId"]) == ("KMS", key)

    f("plain", "ON_DEMAND", None, 24, "alias/aws/kinesis")
    f("all", "PROVISIONED", 3, 168, stacks.KEY)


def test_bucket(aws, stack):
    s3, bucket = aws("s3"), stack.ref("ArchiveBucket")
    for call in calls.of(stack, "ArchiveBucket")[1:] + calls.of(stack, "ArchiveBucketPolicy"):
        call.make(aws)
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert statement == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    if stack.name == "all":
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": stacks.KEY}
        assert rule["BucketKeyEnabled"]
    else:
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}

    rules = {r["ID"]: r for r in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert all(r["Status"] == "Enabled" for r in rules.values())
    assert rules["colder"]["Transitions"] == [{"Days": 30, "StorageClass": "STANDARD_IA"}]
    assert rules["tidy"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["tidy"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["expire"]["Expiration"]["Days"] == 400 if stack.name == "all" else "expire" not in rules


def test_table(aws, stack):
    name = stack.ref("LeaseTable")
    described = aws("dynamodb").describe_table(TableName=name)["Table"]
    assert described["KeySchema"] == [{"AttributeName": "ShardID", "KeyType": "HASH"}]
    assert described["AttributeDefinitions"] == [{"AttributeName": "ShardID", "AttributeType": "S"}]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["DeletionProtectionEnabled"]
    calls.of(stack, "LeaseTable")[1].make(aws)
    backups = aws("dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_log_groups(aws, stack):
    assert stack.ids("AWS::Logs::LogGroup") == ["FirehoseLogGroup", "LogGroup"]
    days = 7 if stack.name == "all" else 30
    for logical_id in stack.ids("AWS::Logs::LogGroup"):
        name = stack.ref(logical_id)
        (group,) = aws("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert group["retentionInDays"] == days


def test_firehose(aws, stack):
    (call,) = calls.of(stack, "Firehose")
    call.arguments["DeliveryStreamName"] = f"read-back-{stack.name}"
    call.make(aws)
    found = aws("firehose").describe_delivery_stream(DeliveryStreamName=call.arguments["DeliveryStreamName"])["DeliveryStreamDescription"]
    role, source = stack.resolve({"Fn::GetAtt": ["FirehoseRole", "Arn"]}), found["Source"]["KinesisStreamSourceDescription"]
    assert found["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert (source["KinesisStreamARN"], source["RoleARN"]) == (stack.resolve({"Fn::GetAtt": ["Stream", "Arn"]}), role)
    s3 = found["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (s3["BucketARN"], s3["RoleARN"]) == (stack.resolve({"Fn::GetAtt": ["ArchiveBucket", "Arn"]}), role)
    prefix, errors, compression = ("archive/", "failed/", "GZIP") if stack.name == "all" else ("_/cwl/ecs/", "_/cwl-errors/ecs/", "UNCOMPRESSED")
    assert s3["Prefix"] == prefix + "!{timestamp:yyyy/MM/dd/HH}/"
    assert s3["ErrorOutputPrefix"] == errors + "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
    assert s3["CompressionFormat"] == compression
    assert s3["BufferingHints"] == {"SizeInMBs": 64, "IntervalInSeconds": 300}
    logging = s3["CloudWatchLoggingOptions"]
    assert logging == {"Enabled": True, "LogGroupName": stack.ref("FirehoseLogGroup"), "LogStreamName": stack.properties("FirehoseLogStream")["LogStreamName"]}
    assert stack.template["Resources"]["Firehose"]["DependsOn"] == "FirehoseLogStream"


# See https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html.
FARGATE = {256: [512, 1024, 2048], 512: range(1024, 4097, 1024), 1024: range(2048, 8193, 1024), 2048: range(4096, 16385, 1024), 4096: range(8192, 30721, 1024)}


def test_sizes():
    template = stacks.template()
    sizes = template["Mappings"]["Sizes"]
    assert template["Parameters"]["TaskSize"]["AllowedValues"] == list(sizes)
    for name, size in sizes.items():
        cpu, memory = int(size["Cpu"]), int(size["Memory"])
        assert name == f"{cpu}-{memory}" and memory in FARGATE[cpu]
        # logsluice uses less than this (docs/guarantees.md).
        assert int(size["InFlightBytes"]) + (256 << 20) < memory << 20


def seconds(duration):
    assert duration.endswith("s")
    return int(duration[:-1])


def task(aws, stack):
    """Returns the task definition as registered with ECS."""
    (call,) = calls.of(stack, "TaskDefinition")
    return call.make(aws)["taskDefinition"]


def environment(definition):
    return {e["name"]: e["value"] for e in definition["containerDefinitions"][0]["environment"]}


def test_task(aws, stack):
    definition = task(aws, stack)
    (container,) = definition["containerDefinitions"]
    cpu, memory, processor = ("1024", "4096", "X86_64") if stack.name == "all" else ("512", "1024", "ARM64")
    assert (definition["cpu"], definition["memory"], definition["networkMode"]) == (cpu, memory, "awsvpc")
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert definition["runtimePlatform"] == {"cpuArchitecture": processor, "operatingSystemFamily": "LINUX"}
    for member, role in {"taskRoleArn": "TaskRole", "executionRoleArn": "ExecutionRole"}.items():
        assert definition[member] == stack.resolve({"Fn::GetAtt": [role, "Arn"]})

    assert container["readonlyRootFilesystem"] is True
    assert container["user"] == "65532:65532"
    assert not container.get("privileged")
    assert container["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    assert "dockerSecurityOptions" not in container, "Fargate does not support it"
    assert not definition.get("volumes") and not container.get("mountPoints")
    assert container["entryPoint"] + container["command"] == ["/logsluice", "run"]
    assert container["healthCheck"] == {"command": ["CMD", "/logsluice", "healthcheck"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 300}
    log = container["logConfiguration"]
    assert (log["logDriver"], log["options"]["awslogs-group"], log["options"]["mode"]) == ("awslogs", stack.ref("LogGroup"), "non-blocking")

    env = environment(definition)
    assert seconds(env["DRAIN_TIMEOUT"]) + 10 <= container["stopTimeout"] <= 120, "ECS would kill it while it drains, or Fargate refuses"
    assert int(env["IN_FLIGHT_BYTES"]) + (256 << 20) < int(definition["memory"]) << 20
    assert env["METRICS_ADDRESS"], "the address of the health check"
    assert env["STREAM_NAME"] == stack.ref("Stream")
    assert env["APPLICATION_NAME"] == stack.ref("LeaseTable")
    assert env["AWS_REGION"] == stacks.REGION
    assert env["EMF_NAMESPACE"] == "logsluice"
    assert env["OPENSEARCH_URL"] == stack.given["OpenSearchUrl"]
    prefix = "archive/" if stack.name == "all" else "_/cwl/ecs/"
    assert env["ARCHIVE_URL"] == f"s3://{stack.ref('ArchiveBucket')}/{prefix}"
    assert env["DEAD_LETTER_URL"] == f"s3://{stack.ref('ArchiveBucket')}/dead-letters/"
    assert "OPENSEARCH_PASSWORD" not in env
    signing = {"plain": "es", "serverless": "aoss"}.get(stack.name, "")
    assert env["OPENSEARCH_SIGV4"] == signing
    assert env["OPENSEARCH_USERNAME"] == ("" if signing else "writer")
    secrets = {"all": f"{stacks.SECRET}:password::", "few": stacks.SECRET}.get(stack.name)
    assert container.get("secrets", []) == ([{"name": "OPENSEARCH_PASSWORD", "valueFrom": secrets}] if secrets else [])
    # The rest comes from the parameters, and nothing else is set.
    given = {
        "DASHBOARDS_URL": "DashboardsUrl", "INDEX_PREFIX": "IndexPrefix", "INDEX_DATE": "IndexDate", "INDEX_TIMEZONE": "IndexTimezone",
        "INDEX_SHARDS": "IndexShards", "INDEX_REPLICAS": "IndexReplicas", "SCHEMA": "Schema", "CONSTANT_FIELDS": "ConstantFields",
        "DOCUMENT_IDS": "DocumentIds", "INITIAL_POSITION": "InitialPosition", "LOG_LEVEL": "LogLevel", "DASHBOARDS_TENANT": "DashboardsTenant",
    }  # fmt: skip
    assert {k: env[k] for k in given} == {k: stack.parameters[p] for k, p in given.items()}
    assert env["DELETE_AFTER"] == stack.parameters["DeleteAfterDays"] + "d"
    own = set("DRAIN_TIMEOUT IN_FLIGHT_BYTES METRICS_ADDRESS STREAM_NAME APPLICATION_NAME AWS_REGION EMF_NAMESPACE OPENSEARCH_URL ARCHIVE_URL DEAD_LETTER_URL OPENSEARCH_SIGV4 OPENSEARCH_USERNAME DELETE_AFTER".split())
    assert set(env) == own | set(given)


def test_service(aws, stack):
    task(aws, stack)
    (call,) = calls.of(stack, "Service")
    assert "desiredCount" not in call.arguments, "scaling sets it"
    call.arguments["serviceName"] = f"read-back-{stack.name}"
    service = call.make(aws)["service"]
    cluster = "shared" if stack.name == "all" else stack.ref("Cluster")
    assert service["clusterArn"].endswith(f"cluster/{cluster}")
    assert stack.has("Cluster") == (stack.name != "all")
    deployment = call.arguments["deploymentConfiguration"]
    assert deployment == {"minimumHealthyPercent": 100, "maximumPercent": 200, "deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    network = call.arguments["networkConfiguration"]["awsvpcConfiguration"]
    assert network == {
        "subnets": stack.given["SubnetIds"].split(","),
        "securityGroups": [stack.resolve({"Fn::GetAtt": ["SecurityGroup", "GroupId"]})],
        "assignPublicIp": "ENABLED" if stack.name == "all" else "DISABLED",
    }
    assert call.arguments["launchType"] == "FARGATE"


def test_security_group(aws, stack):
    group = stack.resolve({"Fn::GetAtt": ["SecurityGroup", "GroupId"]})
    calls.of(stack, "SecurityGroup")[1].make(aws)  # moto's CloudFormation ignores egress
    (found,) = aws("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["IpPermissions"] == [], "nothing can connect"
    out = {(p["IpProtocol"], p["FromPort"], p["ToPort"]) for p in found["IpPermissionsEgress"] if p["IpProtocol"] != "-1"}
    assert out == {("tcp", 443, 443)} | ({("tcp", 9200, 9200)} if stack.name == "all" else set())
    assert stack.has("DomainIngress") == (stack.name == "all")
    if stack.name == "all":
        (domain,) = aws("ec2").describe_security_groups(GroupIds=[stack.given["DomainSecurityGroupId"]])["SecurityGroups"]
        (rule,) = domain["IpPermissions"]
        assert (rule["FromPort"], rule["ToPort"], rule["UserIdGroupPairs"][0]["GroupId"]) == (9200, 9200, group)


def test_outputs(stack):
    out = stack.outputs
    assert {out[k] for k in ("StreamName", "LeaseTableName", "ArchiveBucketName", "LogGroupName")} == {stack.ref(i) for i in ("Stream", "LeaseTable", "ArchiveBucket", "LogGroup")}
    assert out["TaskRoleArn"] == stack.resolve({"Fn::GetAtt": ["TaskRole", "Arn"]})
    assert out["DashboardUrl"].endswith(f"region={stacks.REGION}#dashboards:name={stack.ref('Dashboard')}")


@pytest.mark.parametrize("command", ["setup", "doctor"])
def test_run_task(aws, stack, command):
    """The commands in the outputs are valid for ECS."""
    words = shlex.split(stack.outputs[f"Run{command}"])
    assert words[:3] == ["aws", "ecs", "run-task"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    cluster = "shared" if stack.name == "all" else stack.ref("Cluster")
    assert (options["--cluster"], options["--task-definition"]) == (cluster, stack.ref("TaskDefinition"))
    overrides = json.loads(options["--overrides"])
    assert overrides == {"containerOverrides": [{"name": "logsluice", "command": [command]}]}
    group = stack.resolve({"Fn::GetAtt": ["SecurityGroup", "GroupId"]})
    public = "ENABLED" if stack.name == "all" else "DISABLED"
    assert options["--network-configuration"] == f"awsvpcConfiguration={{subnets=[{stack.given['SubnetIds']}],securityGroups=[{group}],assignPublicIp={public}}}"
    calls.Call("ecs", "RunTask", {"TaskDefinition": options["--task-definition"], "Cluster": cluster, "LaunchType": options["--launch-type"], "Overrides": overrides})


def test_deleted(aws):
    """Deleting a stack keeps only the archive and the leases."""
    stack = stacks.deploy(aws, "deleted", stacks.SETS["plain"])
    names = {i: stack.ref(i) for i in ("ArchiveBucket", "LeaseTable", "Stream", "LogGroup", "TaskRole")}
    aws("cloudformation").delete_stack(StackName="deleted")
    aws("s3").head_bucket(Bucket=names["ArchiveBucket"])
    assert aws("dynamodb").describe_table(TableName=names["LeaseTable"])["Table"]["TableStatus"] == "ACTIVE"
    assert names["Stream"] not in aws("kinesis").list_streams()["StreamNames"]
    assert not aws("logs").describe_log_groups(logGroupNamePrefix=names["LogGroup"])["logGroups"]
    assert names["TaskRole"] not in [r["RoleName"] for r in aws("iam").list_roles()["Roles"]]


def test_second_stack(aws):
    """Two stacks with the same parameters share nothing."""
    first, second = (stacks.deploy(aws, name, stacks.SETS["plain"]) for name in ("first", "second"))
    for i, resource in first.template["Resources"].items():
        # The name of a log stream is unique only within its group.
        if first.has(i) and resource["Type"] != "AWS::Logs::LogStream":
            assert first.ref(i) != second.ref(i), i
