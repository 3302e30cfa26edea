"""Subscription filters of a list, and one policy for the account."""

import json

import pytest

import stacks


def test_list(aws, deploy):
    stack = deploy("plain")
    ids = stack.ids("AWS::Logs::SubscriptionFilter")
    assert ids == ["Filterecsshop", "Filterecsapi2"] and not stack.ids("AWS::Logs::AccountPolicy")
    assert [stack.properties(i)["LogGroupName"] for i in ids] == stacks.GROUPS
    for i in ids:
        p = stack.properties(i)
        assert p["DestinationArn"] == stack.resolve({"Fn::GetAtt": ["Stream", "Arn"]})
        assert p["RoleArn"] == stack.resolve({"Fn::GetAtt": ["SubscriptionRole", "Arn"]})
        assert (p["Distribution"], p["FilterPattern"]) == ("Random", "")


def filters(*groups):
    resources = stacks.expand(stacks.SETS["plain"] | {"LogGroups": ",".join(groups)})["Resources"]
    return {i: r for i, r in resources.items() if r["Type"] == "AWS::Logs::SubscriptionFilter"}


def test_changed_list():
    """Adding or removing a group does not change the filters of the others."""
    before, after = filters("/a", "/b", "/c"), filters("/c", "/d", "/a")
    assert set(before) == {"Filtera", "Filterb", "Filterc"} and set(after) == {"Filtera", "Filterc", "Filterd"}
    for i in set(before) & set(after):
        assert before[i] == after[i]


def test_changed_list_failure():
    """Names that would have the same logical id are refused."""
    with pytest.raises(AssertionError, match="Duplicate Filterabc"):
        filters("/a/b-c", "/a/bc")


def test_none(deploy):
    stack = deploy("few")
    assert not stack.ids("AWS::Logs::SubscriptionFilter") and not stack.ids("AWS::Logs::AccountPolicy")


def test_account(deploy):
    def f(name, excluded):
        stack = deploy(name)
        assert not stack.ids("AWS::Logs::SubscriptionFilter")
        p = stack.properties("AccountSubscription")
        assert (p["PolicyType"], p["Scope"]) == ("SUBSCRIPTION_FILTER_POLICY", "ALL")
        operator, groups = p["SelectionCriteria"].split("NOT IN ")
        assert operator == "LogGroupName "
        # The lines of logsluice and the Firehose would be forwarded in an endless loop.
        assert json.loads(groups) == [stack.ref("LogGroup"), stack.ref("FirehoseLogGroup"), *excluded]
        return json.loads(p["PolicyDocument"]), stack

    document, stack = f("serverless", [])
    assert document == {
        "DestinationArn": stack.resolve({"Fn::GetAtt": ["Stream", "Arn"]}),
        "RoleArn": stack.resolve({"Fn::GetAtt": ["SubscriptionRole", "Arn"]}),
        "FilterPattern": "",
        "Distribution": "Random",
    }
    document, _ = f("all", ["/aws/OpenSearchService/domains/logs/index-slow-logs", "/noise"])
    assert (document["FilterPattern"], document["Distribution"]) == (stacks.SETS["all"]["FilterPattern"], "ByLogStream")


def test_loop_has_no_conditional_functions():
    """CloudFormation's transform has refused Fn::If within Fn::ForEach, which cfn-lint
    accepts: https://github.com/aws-cloudformation/cfn-language-discussion/issues/135."""
    loops = {}
    for section in ("Resources", "Outputs"):
        loops |= {k: v for k, v in stacks.template()[section].items() if k.startswith("Fn::ForEach")}
    assert set(loops) == {"Fn::ForEach::Filters", "Fn::ForEach::Commands"}
    assert "Fn::If" not in json.dumps(loops)
