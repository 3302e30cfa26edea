"""Dashboard, alarms, saved queries and scaling."""

import json
import pathlib
import re

import calls
import stacks

# The metrics of logsluice, each with the single dimension application. e2e/emf_test.go checks
# a worker's lines against this list. The metric of rules exists only with a schema that has rules.
EMF = pathlib.Path(__file__).parents[2] / "e2e" / "emf_test.go"
OURS = set(re.findall(r'"(\w+)"', re.search(r"metricNames = \[\]string\{(.+?)\}", EMF.read_text(), re.DOTALL)[1])) | {"events_dropped"}
# https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html,
# https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html,
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
KNOWN = {
    "logsluice": ("application", "LeaseTable", OURS),
    "AWS/Kinesis": ("StreamName", "Stream", {"IncomingRecords", "WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "GetRecords.IteratorAgeMilliseconds"}),
    "AWS/Firehose": ("DeliveryStreamName", "Firehose", {"DeliveryToS3.DataFreshness", "DeliveryToS3.Success"}),
}
STATISTICS = {"Sum", "Maximum", "Minimum", "Average", "SampleCount"}


def check_metric(stack, namespace, name, dimensions, statistic):
    dimension, resource, names = KNOWN[namespace]
    assert name in names, (namespace, name)
    assert dimensions == {dimension: stack.ref(resource)}, (namespace, name)
    assert statistic in STATISTICS


def full(rows):
    """Yields a widget's metrics with dots replaced by what they stand for."""
    before = []
    for row in rows:
        options = row[-1] if isinstance(row[-1], dict) else {}
        row = [before[i] if v == "." else v for i, v in enumerate(r for r in row if isinstance(r, str))]
        before = row
        yield row, options


def widgets(aws, stack):
    body = aws("cloudwatch").get_dashboard(DashboardName=stack.ref("Dashboard"))["DashboardBody"]
    return json.loads(body)["widgets"]


def test_dashboard(aws, stack):
    seen = set()
    for widget in widgets(aws, stack):
        p = widget["properties"]
        if widget["type"] == "alarm":
            alarms = {f"arn:aws:cloudwatch:{stacks.REGION}:{stacks.ACCOUNT}:alarm:{stack.ref(i)}" for i in stack.ids("AWS::CloudWatch::Alarm") if i != "LagToScale"}
            assert set(p["alarms"]) == alarms
            continue
        assert p["title"] and p["region"] == stacks.REGION and 1 <= widget["width"] <= 24
        if widget["type"] == "log":
            source, query = p["query"].split(" | ", 1)
            assert source == f"SOURCE '{stack.ref('LogGroup')}'"
            check_query(query)
            continue
        assert widget["type"] == "metric"
        for row, options in full(p["metrics"]):
            namespace, name, *dimensions = row
            check_metric(stack, namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)), options.get("stat", p["stat"]))
            seen.add((namespace, name, options.get("stat", p["stat"])))
    assert {n for _, n, _ in seen} >= {
        "lag_seconds", "oldest_document_seconds", "events", "documents_indexed", "bulk_request_seconds_p99", "documents_rejected", "documents_retried", "dead_letters",
        "DeliveryToS3.DataFreshness", "GetRecords.IteratorAgeMilliseconds", "WriteProvisionedThroughputExceeded",
    }
    assert {("logsluice", "shards", "Maximum"), ("logsluice", "shards", "SampleCount")} <= seen, "shards, and workers as the number of samples"
    titles = {w["properties"].get("title") for w in widgets(aws, stack)}
    assert {"Lag by shard", "Leases by worker"} <= titles


# Fields of logsluice's lines that queries use.
FIELDS = set("@timestamp level message error reason remedy index shard worker lag_seconds leases documents_indexed stage reasons checkpoint from_worker to_worker".split())
MESSAGES = {"lag", "summary", "record kept as a dead letter", "OpenSearch did not accept all documents"}
WORDS = set("fields filter stats sort limit by as desc in and or not latest max sum count coalesce ispresent".split())


def check_query(query):
    """Each name in a query is a field of the lines, a keyword, or defined in the query."""
    for message in re.findall(r"message !?= '([^']+)'", query):
        assert message in MESSAGES, message
    made = set(re.findall(r" as (\w+)", query))
    names = set(re.findall(r"@?[a-z_]+", re.sub(r"'[^']*'", "", query)))
    assert names <= FIELDS | WORDS | made, names - FIELDS - WORDS - made
    for command in query.split(" | "):
        assert command.split()[0] in ("fields", "filter", "stats", "sort", "limit"), command


def test_messages():
    """The code logs the messages that queries look for."""
    code = "".join(p.read_text() for folder in ("indexer", "telemetry", "checkpoint", "consumer") for p in (stacks.TEMPLATE.parent.parent / folder).glob("*.go"))
    for message in MESSAGES - {"lag"}:
        assert f'.Msg("{message}")' in code, message


def test_queries(stack):
    ids = stack.ids("AWS::Logs::QueryDefinition")
    assert len(ids) == 5
    for i in ids:
        p = stack.properties(i)
        assert p["LogGroupNames"] == [stack.ref("LogGroup")]
        assert p["Name"].startswith(stack.name + "/")
        check_query(p["QueryString"])


def test_alarms(aws, stack):
    ids = stack.ids("AWS::CloudWatch::Alarm")
    for i in ids:
        (call,) = calls.of(stack, i)
        call.make(aws)
        p = call.arguments
        assert len(p["AlarmDescription"]) > 60, f"{i}: the description lacks what to do"
        if "Metrics" not in p:
            check_metric(stack, p["Namespace"], p["MetricName"], {d["Name"]: d["Value"] for d in p["Dimensions"]}, p["Statistic"])
        else:
            assert len(p["Metrics"]) <= 10
            assert [m["ReturnData"] for m in p["Metrics"]].count(True) == 1
            for m in p["Metrics"]:
                if "MetricStat" in m:
                    of = m["MetricStat"]["Metric"]
                    check_metric(stack, of["Namespace"], of["MetricName"], {d["Name"]: d["Value"] for d in of["Dimensions"]}, m["MetricStat"]["Stat"])
        actions = [stacks.TOPIC] if stack.name == "all" else []
        if i == "LagToScale":
            assert p["AlarmActions"] == [stack.ref("AddTasks")] and "OKActions" not in p
        else:
            assert p["AlarmActions"] == p["OKActions"] == actions
    found = {a["AlarmName"]: a for a in aws("cloudwatch").describe_alarms(AlarmNames=[stack.ref(i) for i in ids], MaxRecords=100)["MetricAlarms"]}
    assert set(found) == {stack.ref(i) for i in ids}
    assert len(ids) == (11 if stack.name == "all" else 10)

    lag = found[stack.ref("LagAlarm")]
    assert (lag["MetricName"], lag["Statistic"], lag["TreatMissingData"]) == ("lag_seconds", "Maximum", "breaching"), "no data is the worst lag"
    assert (lag["Threshold"], lag["ComparisonOperator"]) == (60 if stack.name == "all" else 300, "GreaterThanThreshold")
    unread = found[stack.ref("UnreadAlarm")]
    assert (unread["MetricName"], unread["Statistic"], unread["Threshold"], unread["EvaluationPeriods"]) == ("shards_unread", "Maximum", 0, 5)
    gaps = found[stack.ref("GapAlarm")]
    assert (gaps["MetricName"], gaps["Statistic"], gaps["Threshold"], gaps["EvaluationPeriods"]) == ("gaps", "Sum", 0, 1)
    letters = found[stack.ref("DeadLetterAlarm")]
    assert (letters["MetricName"], letters["Statistic"], letters["Threshold"], letters["EvaluationPeriods"]) == ("dead_letters", "Sum", 0, 1)
    wait = found[stack.ref("WaitAlarm")]
    assert (wait["MetricName"], wait["Statistic"], wait["Threshold"], wait["ComparisonOperator"]) == (
        "oldest_document_seconds", "Maximum", 120 if stack.name == "all" else 600, "GreaterThanThreshold")
    assert wait["Threshold"] + wait["Period"] * wait["EvaluationPeriods"] < 30 * 60, "it goes off before WAIT_FOR_INDEX ends"
    archive = found[stack.ref("ArchiveAlarm")]
    assert (archive["Threshold"], archive["ComparisonOperator"], archive["EvaluationPeriods"]) == (3600 if stack.name == "all" else 1800, "GreaterThanThreshold", 4)
    assert (lag["Period"], lag["EvaluationPeriods"], letters["ComparisonOperator"]) == (60, 10, "GreaterThanThreshold")
    throttled = found[stack.ref("StreamThrottledAlarm")]
    assert (throttled["MetricName"], throttled["Statistic"]) == ("WriteProvisionedThroughputExceeded", "Sum")
    for name in set(found) - {lag["AlarmName"]}:
        assert found[name]["TreatMissingData"] == "notBreaching", name


def test_forwarding(stack):
    for logical_id, metric in {"ForwardingAlarm": "DeliveryErrors", "ForwardingThrottledAlarm": "DeliveryThrottling"}.items():
        (query,) = stack.properties(logical_id)["Metrics"]
        expected = f'SELECT SUM({metric}) FROM "AWS/Logs"'
        if not stack.has("AccountSubscription"):
            expected += f" WHERE FilterName = '{stack.name}'"
        assert (query["Expression"], query["Period"]) == (expected, 300)
        for i in stack.ids("AWS::Logs::SubscriptionFilter"):
            assert stack.properties(i)["FilterName"] == stack.name


def test_archive_late(deploy):
    """A Firehose that is completely blocked reports nothing: it counts as a day late while records come."""
    metrics = {m["Id"]: m for m in deploy("plain").properties("ArchiveAlarm")["Metrics"]}
    assert metrics["late"]["Expression"] == "IF(FILL(incoming, 0) > 0, FILL(age, 86400), FILL(age, 0))"
    assert [metrics[i]["MetricStat"]["Metric"]["MetricName"] for i in ("incoming", "age")] == ["IncomingRecords", "DeliveryToS3.DataFreshness"]
    assert [metrics[i]["MetricStat"]["Stat"] for i in ("incoming", "age")] == ["Sum", "Maximum"]


def test_no_progress(deploy):
    """The alarm's expression, evaluated: each finished record is progress, whatever its outcome."""
    metrics = {m["Id"]: m for m in deploy("plain").properties("NoProgressAlarm")["Metrics"]}
    expression = metrics["stuck"]["Expression"]
    assert "FILL(done, 0)" in expression, "without a worker, nothing is done"
    text = re.sub(r"FILL\((\w+), 0\)", r"\1", expression)
    condition = re.fullmatch(r"IF\((.+), 1, 0\)", text)[1].replace("AND", "and")
    ids = set(metrics) - {"stuck"}
    assert [metrics[i]["MetricStat"]["Metric"]["MetricName"] for i in sorted(ids)] == ["put_to_acknowledged_seconds_count", "IncomingRecords"]
    assert all(metrics[i]["MetricStat"]["Stat"] == "Sum" for i in ids)

    def f(stuck, **values):
        assert eval(condition, {"__builtins__": {}}, dict.fromkeys(ids, 0) | values) is stuck, values  # noqa: S307

    f(False)
    f(True, incoming=1)
    f(False, incoming=5, done=1)
    f(False, done=1)


def test_scaling(aws, stack):
    (call,) = calls.of(stack, "ScalableTarget")
    call.make(aws)
    minimum, maximum, each = (3, 40, 5) if stack.name == "all" else (2, 50, 8)
    cluster = "shared" if stack.name == "all" else stack.ref("Cluster")
    service = stack.resolve({"Fn::GetAtt": ["Service", "Name"]})
    (found,) = aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[f"service/{cluster}/{service}"])["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"], found["ScalableDimension"]) == (minimum, maximum, "ecs:service:DesiredCount")

    policy = stack.properties("ScaleByShards")
    calls.of(stack, "ScaleByShards")[0].make(aws)
    assert policy["PolicyType"] == "TargetTrackingScaling"
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == each
    assert not tracking.get("DisableScaleIn")
    metrics = {m["Id"]: m for m in tracking["CustomizedMetricSpecification"]["Metrics"]}
    assert [i for i, m in metrics.items() if m["ReturnData"]] == ["each"]
    # Shards per worker: twice as many workers halve it, as target tracking requires. Without
    # samples it has no value, so nothing is scaled in when all workers are gone.
    assert metrics["each"]["Expression"] == "shards / workers"
    for i, statistic in {"shards": "Maximum", "workers": "SampleCount"}.items():
        of = metrics[i]["MetricStat"]
        assert of["Stat"] == statistic and of["Metric"]["MetricName"] == "shards"
        check_metric(stack, of["Metric"]["Namespace"], "shards", {d["Name"]: d["Value"] for d in of["Metric"]["Dimensions"]}, statistic)


def test_scaling_by_lag(aws, deploy):
    assert not deploy("plain").has("AddTasks") and not deploy("plain").has("LagToScale")
    stack = deploy("all")
    (call,) = calls.of(stack, "AddTasks")
    steps = call.arguments["StepScalingPolicyConfiguration"]
    assert all(s["ScalingAdjustment"] > 0 for s in steps["StepAdjustments"]), "it never removes tasks"
    alarm = stack.properties("LagToScale")
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (90, "notBreaching")
