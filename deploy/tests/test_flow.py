"""An event in a subscribed log group is indexed in OpenSearch by the real program with the
environment of the task definition."""

import base64
import contextlib
import gzip
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import pytest

import calls
import stacks
from recorder import Recorder
from test_roles import listed
from test_stack import environment, task

OPENSEARCH = os.environ.get("LOGSLUICE_TEST_OPENSEARCH_URL")
PROGRAM = os.environ.get("LOGSLUICE_TEST_PROGRAM")
needs_services = pytest.mark.skipif(not (OPENSEARCH and PROGRAM), reason="needs OpenSearch and the program: go test ./deploy")


def search(path, body=None, method=None):
    request = urllib.request.Request(
        OPENSEARCH + path, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def found(prefix):
    """Returns the log group and message of each document."""
    try:
        hits = search(f"/{prefix}-*/_search?size=1000&ignore_unavailable=true")["hits"]["hits"]
    except urllib.error.HTTPError:
        return []
    return sorted((h["_source"]["log_group"], h["_source"]["message"]) for h in hits)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def stack(aws):
    prefix = f"flow-{uuid.uuid4().hex[:8]}"
    yield stacks.deploy(aws, prefix, stacks.SETS["plain"] | {"IndexPrefix": prefix})
    for path in (f"/{prefix}-*", f"/_index_template/{prefix}*"):
        with contextlib.suppress(urllib.error.HTTPError):  # they do not exist
            search(path, method="DELETE")


class Worker:
    """The container's process, with the endpoints and credentials of the test."""

    def __init__(self, aws, stack, command, folder, **settings):
        definition = task(aws, stack)
        user = stack.name
        basic = base64.b64encode(f"{user}:test".encode()).decode()
        self.aws, self.opensearch = Recorder(aws.url, f"Credential={user}/"), Recorder(OPENSEARCH, f"Basic {basic}")
        self.environment = environment(definition) | {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": user,
            "AWS_SECRET_ACCESS_KEY": "test",
            "OPENSEARCH_URL": self.opensearch.url,
            "OPENSEARCH_SIGV4": "",
            "OPENSEARCH_USERNAME": user,
            "OPENSEARCH_PASSWORD": "test",
            "METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
        } | settings
        self.log = pathlib.Path(folder) / "worker.log"
        self.check = definition["containerDefinitions"][0]["healthCheck"]["command"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([PROGRAM, *command], env=self.environment, stderr=log, cwd="/")

    def healthy(self):
        kind, program, *arguments = self.check
        assert (kind, program) == ("CMD", "/logsluice")
        return subprocess.run([PROGRAM, *arguments], env=self.environment, capture_output=True, cwd="/").returncode == 0

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self.aws.stop()
            self.opensearch.stop()


def until(condition, worker, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        assert worker.process.poll() is None, worker.log.read_text()
        time.sleep(0.2)
    pytest.fail(f"waited {seconds} s: " + worker.log.read_text()[-4000:])


@needs_services
def test_flow(aws, stack, tmp_path):
    logs = aws("logs")
    for i in stack.ids("AWS::Logs::SubscriptionFilter"):
        group = stack.properties(i)["LogGroupName"]
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="task/1")
        (call,) = calls.of(stack, i)
        call.make(aws)
        (filtered,) = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        assert filtered["destinationArn"] == stack.resolve({"Fn::GetAtt": ["Stream", "Arn"]})
        assert (filtered["filterName"], filtered["roleArn"]) == (stack.name, stack.resolve({"Fn::GetAtt": ["SubscriptionRole", "Arn"]}))

    put = []

    def log(*lines):
        now = int(time.time() * 1000)
        for group in stacks.GROUPS:
            logs.put_log_events(logGroupName=group, logStreamName="task/1", logEvents=[{"timestamp": now, "message": f"{line} of {group}"} for line in lines])
            put.extend((group, f"{line} of {group}") for line in lines)

    log(*(f"early {n}" for n in range(20)))
    worker = Worker(aws, stack, ["run"], tmp_path)
    try:
        until(lambda: found(stack.name) == sorted(put), worker)
        assert worker.healthy(), "the health check of the task definition fails"
        log(*(f"late {n}" for n in range(30)))
        until(lambda: found(stack.name) == sorted(put), worker)
    finally:
        code = worker.stop()
    assert code == 0, worker.log.read_text()
    assert found(stack.name) == sorted(put), "each once"
    rows = aws("dynamodb").scan(TableName=stack.ref("LeaseTable"))["Items"]
    shards = [r for r in rows if r["ShardID"]["S"].startswith("shardId-")]
    assert shards and any("Checkpoint" in r for r in shards), "the leases are in the stack's table"
    assert "creating the lease table" not in worker.log.read_text()

    # The dead-letter index and the store for dead letters were tried at the start.
    assert aws("s3").get_object(Bucket=stack.ref("ArchiveBucket"), Key="dead-letters/_check")["Body"].read()
    assert search(f"/{stack.name}-dead-letter/_count")["count"] == 0

    # The task role allows each request that was made.
    requests = set(asked(stack, worker))
    assert {r for r in requests if not allowed(stack, *r)} == set()
    assert len(requests) > 8, requests


SERVICES = {"Kinesis_20131202": "kinesis", "DynamoDB_20120810": "dynamodb"}


def asked(stack, worker):
    """Yields the IAM action and resource of each request."""
    resources = {"kinesis": "Stream", "dynamodb": "LeaseTable"}
    for method, path, target in worker.aws.requests:
        if not target:  # S3's requests have no target, but the bucket in the path
            yield f"s3:{method.capitalize()}Object", f"arn:aws:s3:::{path[1:]}"
            continue
        version, operation = target.split(".")
        service = SERVICES[version]
        yield f"{service}:{operation}", stack.resolve({"Fn::GetAtt": [resources[service], "Arn"]})
    for method, path, _ in worker.opensearch.requests:
        yield f"es:ESHttp{method.capitalize()}", stacks.DOMAIN + path


def allowed(stack, action, resource):
    return any(
        action in listed(s["Action"]) and any(re.fullmatch(re.escape(r).replace(r"\*", ".*"), resource) for r in listed(s["Resource"]))
        for s in stack.statements("TaskRole").values()
    )


@needs_services
def test_recorder_failure():
    """A request without the mark is neither recorded nor forwarded."""
    recorder = Recorder(OPENSEARCH, "Basic x")
    try:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(recorder.url + "/_nodes", timeout=10)
    finally:
        recorder.stop()
    assert recorder.requests == set()


def test_allowed_failure(deploy):
    def f(action, path):
        assert not allowed(deploy("plain"), action, stacks.DOMAIN + path)

    assert allowed(deploy("plain"), "es:ESHttpPost", stacks.DOMAIN + "/_bulk")
    f("es:ESHttpGet", "/_bulk")
    f("es:ESHttpPost", "/_bulkx")
    f("es:ESHttpDelete", "/ecs-2026-01-01")
    f("es:ESHttpPost", "/ecs-2026-01-01/_delete_by_query")
    f("es:ESHttpGet", "/ecs-2026-01-01/_search")
    f("es:ESHttpPut", "/_index_template/other")
    f("es:ESHttpPut", "/_plugins/_security/api/roles/x")


@needs_services
def test_same_table_as_run(aws, stack, tmp_path):
    """run creates the same table if it does not exist."""
    other = stack.name + "-created-by-run"
    worker = Worker(aws, stack, ["run"], tmp_path, APPLICATION_NAME=other)
    try:
        until(lambda: other in aws("dynamodb").list_tables()["TableNames"], worker)
    finally:
        worker.stop()

    def schema(table):
        described = aws("dynamodb").describe_table(TableName=table)["Table"]
        return described["KeySchema"], described["AttributeDefinitions"], described["BillingModeSummary"]["BillingMode"]

    assert schema(other) == schema(stack.ref("LeaseTable"))


@needs_services
def test_envelope(aws, stack):
    """moto's filter writes the envelope that CloudWatch writes, except for ids."""
    # A check of moto, so that a moto that no longer delivers fails here.
    logs, group = aws("logs"), f"/{stack.name}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    (call,) = calls.of(stack, stack.ids("AWS::Logs::SubscriptionFilter")[0])
    call.arguments["logGroupName"] = group
    call.make(aws)
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "hello"}])
    kinesis, name = aws("kinesis"), stack.ref("Stream")
    records = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        records += kinesis.get_records(ShardIterator=iterator)["Records"]
    (record,) = records
    envelope = json.loads(gzip.decompress(record["Data"]))
    assert (envelope["messageType"], envelope["logGroup"], envelope["subscriptionFilters"]) == ("DATA_MESSAGE", group, [stack.name])
