"""Each resource is valid for its service."""

import pytest

import calls


def test_calls(stack):
    made = {i: [c.operation for c in calls.of(stack, i)] for i in stack.template["Resources"] if stack.has(i)}
    assert len(made) > 30
    assert all(made.values()), made


def test_calls_failure():
    def f(error, service, operation, values):
        with pytest.raises(AssertionError, match=error):
            calls.Call(service, operation, values)

    good = {"LogGroupName": "/a", "FilterName": "f", "FilterPattern": "", "DestinationArn": "arn:x"}
    calls.Call("logs", "PutSubscriptionFilter", good)
    f("has no member Filter,", "logs", "PutSubscriptionFilter", good | {"Filter": "x"})
    f("Missing required", "logs", "PutSubscriptionFilter", {"LogGroupName": "/a"})
    f("not one of", "logs", "PutSubscriptionFilter", good | {"Distribution": "Even"})
    f("does not match", "logs", "PutSubscriptionFilter", good | {"LogGroupName": "a b"})
    f("beyond", "kinesis", "IncreaseStreamRetentionPeriod", {"StreamName": "s" * 200, "RetentionPeriodHours": 48})
    f("Invalid type", "kinesis", "IncreaseStreamRetentionPeriod", {"StreamName": "s", "RetentionPeriodHours": [1]})
