"""The text of the template: linter, size, parameters, rules."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
import regex
from moto.cloudformation import parsing

import stacks


def test_lint():
    # By its file, because the folder of the virtual environment was renamed.
    linter = pathlib.Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([sys.executable, linter, "--include-checks", "I2003", "I3037", "I3042", "I3510", "--regions", "us-east-1", "eu-west-1", "ap-northeast-1", "--", stacks.TEMPLATE], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_quotas():
    """See https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    text, template = stacks.TEMPLATE.read_bytes(), stacks.template()
    groups = 400  # the limit in docs/deploy.md
    expanded = stacks.expand(stacks.COMMON | {"LogGroups": ",".join(f"/g/{i:06}" for i in range(groups))})
    assert len(json.dumps(expanded)) <= 1 << 20, "larger than CloudFormation accepts from a bucket"
    assert groups < len(expanded["Resources"]) <= 500
    assert b"cfn-lint:" not in text and b"cfn-lint" not in str(template.get("Metadata")).encode(), "no rule is switched off"
    assert len(template["Parameters"]) <= 200
    assert len(template["Outputs"]) <= 200
    assert len(template["Description"]) <= 1024
    for name, parameter in template["Parameters"].items():
        assert len(parameter["Description"]) <= 4000, name


def test_parameters():
    template = stacks.template()
    parameters = template["Parameters"]
    grouped = [p for g in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for p in g["Parameters"]]
    assert sorted(grouped) == sorted(parameters), "each parameter is in one group"
    for name, p in parameters.items():
        assert len(p["Description"]) > 10, name
        checked = "AllowedPattern" in p or "AllowedValues" in p or "MinValue" in p or p["Type"].startswith(("AWS::", "List<AWS::"))
        assert checked, f"{name} accepts anything"
        assert ("AllowedPattern" in p) == ("ConstraintDescription" in p), name
        if "AllowedValues" in p and "Default" in p:
            assert p["Default"] in p["AllowedValues"], name
        if "AllowedPattern" in p and "Default" in p:
            assert regex.fullmatch(p["AllowedPattern"], p["Default"]), f"{name}: its own default is refused"
        assert not re.search("password", name, re.I) or name.startswith("PasswordSecret"), f"{name}: a secret must not be a parameter"
    needed = {n for n, p in parameters.items() if "Default" not in p}
    assert needed == {"OpenSearchUrl", "VpcId", "SubnetIds", "Image"}


@pytest.mark.parametrize("name", stacks.SETS)
def test_sets_are_allowed(name):
    parameters = stacks.template()["Parameters"]
    for parameter, value in stacks.SETS[name].items():
        p = parameters[parameter]
        for v in value.split(",") if p["Type"] == "CommaDelimitedList" else [value]:
            if "AllowedPattern" in p and parameter != "DomainSecurityGroupId":
                assert regex.fullmatch(p["AllowedPattern"], v), (parameter, v)
            if "AllowedValues" in p:
                assert v in map(str, p["AllowedValues"]), (parameter, v)


def test_patterns():
    parameters = stacks.template()["Parameters"]

    def f(parameter, good, bad):
        pattern = parameters[parameter]["AllowedPattern"]
        for value in good:
            assert regex.search(pattern, value), (parameter, value)
        for value in bad:
            assert not regex.search(pattern, value), (parameter, value)

    f("OpenSearchUrl", ["https://a.b", "http://10.0.0.1:9200/", "https://a.b:443"], ["a.b", "https://u:p@a.b", "https://a.b/path", ""])
    f("OpenSearchArn", ["", stacks.DOMAIN, "arn:aws-cn:es:cn-north-1:123456789012:domain/a"], ["*", stacks.DOMAIN + "/*", "arn:aws:es:eu-west-1:1:domain/a"])
    f("PasswordSecretArn", ["", stacks.SECRET], ["hunter2", "*"])
    f("KmsKeyArn", ["", stacks.KEY], ["alias/x", "*", stacks.KEY.replace("key/", "alias/")])
    f("LogGroups", ["/ecs/a", "none", "a.b_c#d-e"], ["", "a b", "a*"])
    f("FilterPattern", ["", '{ $.level = "error" }', "?ERROR ?WARN"], ["a\nb", "a" * 1025])
    f("IndexPrefix", ["ecs", "a.b-c_1"], ["ECS", "-a", "", "a*", "a/b"])
    f("ConstantFields", ["", "a=b", "a=b,c=d e"], ["a", "a=b,", "=b"])
    f("InitialPosition", ["LATEST", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05+09:00"], ["latest", "2026-01-02", ""])
    # No prefix of the Firehose can be that of the dead letters, below it or above it: a prefix
    # ends with a slash, and the dead letters' prefix has one slash.
    for parameter in ("ArchivePrefix", "ArchiveErrorPrefix"):
        f(parameter, ["_/cwl/ecs/", "/", "dead/", "dead-letters-2/", "a/dead-letters/"], ["a", "a b/", "!{x}/", "", "dead-letters/", "dead-letters/a/"])
    f("DomainSecurityGroupId", ["", "sg-0123456789abcdef0"], ["sg-", "default"])
    f("ClusterName", ["", "shared-1"], ["arn:aws:ecs:eu-west-1:123456789012:cluster/x"])


def broken(parameters):
    """Returns the assertions of the rules that parameters violate."""
    template = stacks.template()
    values = {n: str(p.get("Default", "given")) for n, p in template["Parameters"].items()} | parameters

    def holds(condition):
        return parsing.parse_condition(condition, values, {})

    return [
        a["AssertDescription"]
        for rule in template["Rules"].values()
        if "RuleCondition" not in rule or holds(rule["RuleCondition"])
        for a in rule["Assertions"]
        if not holds(a["Assert"])
    ]


def test_rules():
    for name, parameters in stacks.SETS.items():
        assert broken(parameters) == [], name


def test_rules_failure():
    def f(error, **parameters):
        (assertion,) = broken(parameters)
        assert error in assertion

    f("OpenSearchArn must", OpenSearchAuth="es")
    f("OpenSearchArn must", OpenSearchAuth="aoss")
    f("OpenSearchUser and", OpenSearchAuth="basic", OpenSearchUser="u")
    f("OpenSearchUser and", OpenSearchAuth="basic", PasswordSecretArn=stacks.SECRET)
    f("read as logs", OpenSearchArn=stacks.DOMAIN, ArchivePrefix="a/", ArchiveErrorPrefix="a/")


def test_kept_when_deleted():
    resources = stacks.template()["Resources"]
    kept = {i: r["DeletionPolicy"] for i, r in resources.items() if "DeletionPolicy" in r}
    assert kept == {"ArchiveBucket": "RetainExceptOnCreate", "ArchiveBucketPolicy": "RetainExceptOnCreate", "LeaseTable": "Retain"}
    for logical_id in kept:
        assert resources[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_names():
    """No resource has a fixed name, which a second stack could not use."""
    given = {"BucketName", "TableName", "RoleName", "LogGroupName", "ClusterName", "ServiceName", "AlarmName", "DashboardName", "GroupName", "DeliveryStreamName"}
    for logical_id, resource in stacks.template()["Resources"].items():
        if isinstance(resource, dict) and resource["Type"] not in ("AWS::Logs::LogStream", "AWS::Logs::SubscriptionFilter"):
            assert not given & set(resource.get("Properties", {})), logical_id


def test_archive_before_subscriptions():
    """A Firehose begins at the newest record of its stream."""
    resources = stacks.expand(stacks.COMMON | {"LogGroups": "/ecs/a,/ecs/b"})["Resources"]
    subscriptions = [r for r in resources.values() if r["Type"] in ("AWS::Logs::SubscriptionFilter", "AWS::Logs::AccountPolicy")]
    assert [r["DependsOn"] for r in subscriptions] == ["Firehose"] * 3
