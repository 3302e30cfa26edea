"""Roles have exactly the permissions that they need."""

import calls
import stacks

ARN = f"arn:aws:%s:{stacks.REGION}:{stacks.ACCOUNT}:%s"
# Actions that do not support resources.
# See https://docs.aws.amazon.com/service-authorization/latest/reference/.
WITHOUT_RESOURCE = {"logs:DescribeAccountPolicies", "ecr:GetAuthorizationToken"}


def listed(value):
    return value if isinstance(value, list) else [value]


def granted(stack, role):
    """Returns the actions and resources of each statement by Sid."""
    statements = {sid: s for sid, s in stack.statements(role).items() if sid != "OneIndex"}
    assert all(s["Effect"] == "Allow" for s in statements.values())
    return {sid: (set(listed(s["Action"])), set(listed(s["Resource"]))) for sid, s in statements.items()}


def arn(stack, logical_id):
    return stack.resolve({"Fn::GetAtt": [logical_id, "Arn"]})


def via(service):
    return {"StringEquals": {"kms:ViaService": f"{service}.{stacks.REGION}.amazonaws.com"}}


def test_narrow(stack):
    for role in stack.ids("AWS::IAM::Role"):
        for sid, (actions, resources) in granted(stack, role).items():
            assert not any("*" in a for a in actions), (role, sid)
            if "*" in resources:
                assert actions <= WITHOUT_RESOURCE and resources == {"*"}, (role, sid)
            else:
                assert not actions & WITHOUT_RESOURCE, (role, sid)
                assert {r.split(":")[2] for r in resources} == {a.split(":")[0] for a in actions}, (role, sid)


def test_trust(stack):
    """Each trust policy is the one that AWS documents for the service, without other keys."""
    tasks = ("ecs-tasks", {"StringEquals": {"aws:SourceAccount": stacks.ACCOUNT}, "ArnLike": {"aws:SourceArn": ARN % ("ecs", "*")}})
    services = {
        "SubscriptionRole": ("logs", {"StringLike": {"aws:SourceArn": ARN % ("logs", "*")}}),
        "FirehoseRole": ("firehose", {"StringEquals": {"sts:ExternalId": stacks.ACCOUNT}}),
        "TaskRole": tasks,
        "ExecutionRole": tasks,
    }
    assert set(stack.ids("AWS::IAM::Role")) == set(services)
    for role, (service, condition) in services.items():
        (statement,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": condition}


def test_read_back(aws, stack):
    for role in stack.ids("AWS::IAM::Role"):
        name = stack.ref(role)
        policies = {p["PolicyName"]: p["PolicyDocument"] for p in stack.properties(role)["Policies"]}
        assert aws("iam").list_role_policies(RoleName=name)["PolicyNames"] == list(policies)
        for call in calls.of(stack, role)[1:]:  # moto's CloudFormation does not store JSON
            call.make(aws)
        for policy, document in policies.items():
            assert aws("iam").get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] == document
        assert not aws("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]


def test_task_role(deploy):
    def common(stack):
        return {
            "Read": ({"kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:DescribeStreamSummary"}, {arn(stack, "Stream")}),
            "Leases": ({f"dynamodb:{a}" for a in ("DescribeTable", "CreateTable", "Scan", "UpdateItem", "DeleteItem")}, {arn(stack, "LeaseTable")}),
            "DeadLetters": ({"s3:PutObject"}, {f"{arn(stack, 'ArchiveBucket')}/dead-letters/*"}),
            "DoctorSubscriptions": ({"logs:DescribeLogGroups", "logs:DescribeSubscriptionFilters"}, {ARN % ("logs", "log-group:*")}),
            "DoctorAccountPolicy": ({"logs:DescribeAccountPolicies"}, {"*"}),
            "DoctorArchive": ({"s3:ListBucket"}, {arn(stack, "ArchiveBucket")}),
        }

    stack, domain = deploy("plain"), stacks.DOMAIN
    assert granted(stack, "TaskRole") == common(stack) | {
        "Index": ({"es:ESHttpPost"}, {f"{domain}/_bulk"}),
        "Templates": ({"es:ESHttpGet", "es:ESHttpPut"}, {f"{domain}/_index_template/ecs", f"{domain}/_index_template/ecs-dead-letter", f"{domain}/ecs-*/_mapping"}),
        "TemplatesOfOthers": ({"es:ESHttpGet"}, {f"{domain}/_index_template"}),
        "Simulate": ({"es:ESHttpPost"}, {f"{domain}/_index_template/_simulate_index/ecs-*"}),
        "Names": ({"es:ESHttpGet"}, {f"{domain}/ecs/_settings", f"{domain}/ecs-*/_settings"}),
        "DeadLetterIndex": ({"es:ESHttpPut"}, {f"{domain}/ecs-dead-letter"}),
        "SetupPolicy": ({"es:ESHttpGet", "es:ESHttpPut"}, {f"{domain}/_plugins/_ism/policies/ecs*"}),
        "SetupWhichIndices": ({"es:ESHttpGet"}, {f"{domain}/_plugins/_ism/explain/ecs*"}),
        "SetupSwitchedOn": ({"es:ESHttpGet"}, {f"{domain}/_cluster/settings"}),
        "SetupExisting": ({"es:ESHttpPost"}, {f"{domain}/_plugins/_ism/add/ecs*", f"{domain}/_plugins/_ism/change_policy/ecs*"}),
        "SetupDashboards": ({"es:ESHttpPost"}, {f"{domain}/_dashboards/api/saved_objects/_bulk_get", f"{domain}/_dashboards/api/saved_objects/_import"}),
        "DoctorDashboards": ({"es:ESHttpGet"}, {f"{domain}/_dashboards/api/status"}),
        "DoctorOpenSearch": ({"es:ESHttpGet"}, {f"{domain}/"}),
        "DoctorScratch": ({"es:ESHttpGet", "es:ESHttpDelete"}, {f"{domain}/ecs-doctor-*"}),
        "DoctorIndices": ({"es:ESHttpGet"}, {f"{domain}/ecs-*/_alias"}),
        "DoctorDeadLetters": ({"es:ESHttpPost"}, {f"{domain}/ecs-dead-letter/_search"}),
    }
    # IAM's * covers commas, and a request can name several indices.
    assert stack.statements("TaskRole")["OneIndex"] == {"Sid": "OneIndex", "Effect": "Deny", "Action": "es:ESHttpDelete", "Resource": f"{domain}/*,*"}
    stack = deploy("all")
    assert granted(stack, "TaskRole") == common(stack) | {"Decrypt": ({"kms:Decrypt"}, {stacks.KEY}), "EncryptDeadLetters": ({"kms:GenerateDataKey"}, {stacks.KEY})}
    assert stack.statements("TaskRole")["Decrypt"]["Condition"] == via("kinesis")
    assert stack.statements("TaskRole")["EncryptDeadLetters"]["Condition"] == via("s3")
    stack = deploy("few")
    assert granted(stack, "TaskRole") == common(stack)
    stack = deploy("serverless")
    assert granted(stack, "TaskRole") == common(stack) | {
        "Collection": ({"aoss:APIAccessAll"}, {stack.given["OpenSearchArn"]}),
        "Dashboards": ({"aoss:DashboardsAccessAll"}, {ARN % ("aoss", "dashboards/default")}),
    }


def test_execution_role(deploy):
    def logs(stack):
        return {"Logs": ({"logs:CreateLogStream", "logs:PutLogEvents"}, {ARN % ("logs", f"log-group:{stack.ref('LogGroup')}:*")})}

    stack = deploy("plain")
    assert granted(stack, "ExecutionRole") == logs(stack)
    stack = deploy("few")
    assert granted(stack, "ExecutionRole") == logs(stack) | {"Password": ({"secretsmanager:GetSecretValue"}, {stacks.SECRET})}
    stack = deploy("all")
    assert granted(stack, "ExecutionRole") == logs(stack) | {
        "Image": ({"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}, {stack.given["ImageRepositoryArn"]}),
        "Registry": ({"ecr:GetAuthorizationToken"}, {"*"}),
        "Password": ({"secretsmanager:GetSecretValue"}, {stacks.SECRET}),
        "DecryptPassword": ({"kms:Decrypt"}, {stacks.KEY}),
    }
    assert stack.statements("ExecutionRole")["DecryptPassword"]["Condition"] == via("secretsmanager")


def test_firehose_role(deploy):
    def f(name, prefixes, more):
        stack = deploy(name)
        bucket = arn(stack, "ArchiveBucket")
        assert granted(stack, "FirehoseRole") == {
            "Read": ({"kinesis:DescribeStream", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"}, {arn(stack, "Stream")}),
            "Bucket": ({"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}, {bucket}),
            "Objects": ({"s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"}, {f"{bucket}/{p}*" for p in prefixes}),
            "Errors": ({"logs:PutLogEvents"}, {ARN % ("logs", f"log-group:{stack.ref('FirehoseLogGroup')}:log-stream:S3Delivery")}),
        } | more
        return stack.statements("FirehoseRole")

    f("plain", ["_/cwl/ecs/", "_/cwl-errors/ecs/"], {})
    more = {"DecryptStream": ({"kms:Decrypt"}, {stacks.KEY}), "EncryptArchive": ({"kms:GenerateDataKey", "kms:Decrypt"}, {stacks.KEY})}
    statements = f("all", ["archive/", "failed/"], more)
    assert statements["DecryptStream"]["Condition"] == via("kinesis")
    assert statements["EncryptArchive"]["Condition"] == via("s3")


def test_subscription_role(deploy):
    write = {"kinesis:PutRecord"}
    stack = deploy("plain")
    assert granted(stack, "SubscriptionRole") == {"Write": (write, {arn(stack, "Stream")})}
    stack = deploy("all")
    assert granted(stack, "SubscriptionRole") == {"Write": (write, {arn(stack, "Stream")}), "Encrypt": ({"kms:GenerateDataKey"}, {stacks.KEY})}
    assert stack.statements("SubscriptionRole")["Encrypt"]["Condition"] == via("kinesis")
