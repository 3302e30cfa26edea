"""deploy/up.sh, with the real AWS CLI, on moto."""

import os
import pathlib
import re
import stat
import subprocess
import threading
import time

import pytest

import cli
import stacks

UP = pathlib.Path(__file__).parent.parent / "up.sh"

RUNS = 5  # seconds that a task runs: longer than the requests about it after its start

# No registry is available here.
DOCKER = """#!/bin/sh
echo docker "$@" >> "$CALLS"
if [ "$1" = login ]; then cat > "$CALLS.password"; fi
"""


class Machine:
    """A machine whose AWS is moto."""

    def __init__(self, aws, server, folder):
        self.aws, self.calls = aws, folder / "calls"
        for name, text in {"aws": cli.CLIENT, "docker": DOCKER}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(stat.S_IRWXU)
        self.environment = os.environ | {
            "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(self.calls), "CLI": server,
            "AWS_ENDPOINT_URL": aws.url.replace("127.0.0.1", "localhost"), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": stacks.REGION,
            "BUILDER": "docker", "HOME": str(folder),
        }  # fmt: skip

    def up(self, *arguments, code=0, **environment):
        """Runs up.sh, with an exit code for the task that sets up the domain."""
        return self.attended([UP, *arguments], code, **environment)

    def attended(self, command, code=0, **environment):
        """Runs a command, with an exit code for the tasks that it starts."""
        ended = threading.Event()
        attendant = threading.Thread(target=self.attend, args=(ended, code))
        attendant.start()
        try:
            return subprocess.run(command, env=self.environment | environment, capture_output=True, text=True, timeout=600)
        finally:
            ended.set()
            attendant.join()

    def attend(self, ended, code):
        """Ends the task of a stack after a while, which moto does not do."""
        ecs, logs, seen = self.aws("ecs"), self.aws("logs"), {}
        while not ended.wait(1):
            for cluster in ecs.list_clusters()["clusterArns"]:
                for arn in ecs.list_tasks(cluster=cluster)["taskArns"]:
                    if arn not in seen:  # only once, because each request advances a task in moto
                        seen[arn] = time.monotonic(), *ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
                    begun, task = seen[arn]
                    if task["lastStatus"] == "STOPPED" or not task["overrides"] or time.monotonic() - begun < RUNS:
                        continue
                    task["lastStatus"] = "STOPPED"
                    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
                    group = definition["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"]
                    place = {"logGroupName": group, "logStreamName": "task/logsluice/" + arn.rsplit("/", 1)[1]}
                    logs.create_log_stream(**place)
                    line = "ran " +  " ".join(task["overrides"]["containerOverrides"][0]["command"])
                    logs.put_log_events(**place, logEvents=[{"timestamp": int(time.time() * 1000), "message": line}])
                    stacks.end_task(cluster, arn, code)

    def called(self):
        return self.calls.read_text() if self.calls.exists() else ""


def stacks_image(aws, name):
    (stack,) = aws("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return next(p["ParameterValue"] for p in stack["Parameters"] if p["ParameterKey"] == "Image")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("cli") / "socket")
    with cli.server(path):
        yield path


@pytest.fixture
def machine(aws, server, tmp_path):
    return Machine(aws, server, tmp_path)


@pytest.fixture
def network(aws):
    ec2 = aws("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    return [f"VpcId={vpc}", "SubnetIds=" + ",".join(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:2])]


def test_from_nothing(aws, machine, network):
    given = ["OpenSearchUrl=https://search-logs.example.com", f"OpenSearchArn={stacks.DOMAIN}", *network]
    done = machine.up("up-first", *given)
    assert done.returncode == 0, done.stderr
    outputs = {o["OutputKey"]: o["OutputValue"] for o in aws("cloudformation").describe_stacks(StackName="up-first")["Stacks"][0]["Outputs"]}
    assert "ran setup" in done.stdout and done.stdout.endswith(f"Running. Dashboard: {outputs['DashboardUrl']}\n")

    (repository,) = aws("ecr").describe_repositories(repositoryNames=["logsluice"])["repositories"]
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in aws("cloudformation").describe_stacks(StackName="up-first")["Stacks"][0]["Parameters"]}
    registry = repository["repositoryUri"].split("/")[0]
    assert parameters["Image"].startswith(repository["repositoryUri"] + ":")
    assert parameters["ImageRepositoryArn"] == repository["repositoryArn"]
    assert f"docker login --username AWS --password-stdin {registry}\n" in machine.called()
    assert pathlib.Path(f"{machine.calls}.password").read_text().strip()
    (build,) = [line for line in machine.called().splitlines() if line.startswith("docker buildx build ")]
    assert "--platform linux/arm64 " in build and f"--tag {parameters['Image']} --push" in build
    (template,) = aws("s3").list_objects_v2(Bucket=f"logsluice-deploy-{stacks.ACCOUNT}-{stacks.REGION}", Prefix="up-first/")["Contents"]
    assert template["Key"].endswith(".template")

    # Again, when the repository and the stack exist.
    again = machine.up("up-first", *given, "MinTasks=3", SETUP="0")
    assert again.returncode == 0, again.stderr
    assert "ran setup" not in again.stdout
    assert len(aws("ecr").describe_repositories()["repositories"]) == 1
    assert machine.called().count("docker buildx build ") == 2 and machine.called().count("s3 mb ") == 1
    assert machine.called().count("create-service-linked-role") == 1


def runbook(aws, machine, name):
    """The shell functions of docs/operations.md run commands as tasks of a stack, and print their output."""
    page = (UP.parent.parent / "docs/operations.md").read_text()
    script = re.search(r"```sh\n(.+?)```", page, re.DOTALL)[1]
    assert "STACK=logsluice " in script and "\nrun '\"doctor\"'" in script
    script = script.replace("STACK=logsluice ", f"STACK={name} ") + "run '\"doctor\",\"--log-group=/ecs/shop\"'\nresource SubscriptionRole\n"
    done = machine.attended(["bash", "-euc", script], AWS_DEFAULT_REGION=stacks.REGION)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[0] == "ran doctor" and "ran doctor --log-group=/ecs/shop" in printed, done.stdout
    assert printed[-1] == aws("cloudformation").describe_stack_resource(StackName=name, LogicalResourceId="SubscriptionRole")["StackResourceDetail"]["PhysicalResourceId"]


def test_given_image(aws, machine, network):
    given = ["OpenSearchUrl=https://search-logs.example.com", f"OpenSearchArn={stacks.DOMAIN}", *network]
    done = machine.up("up-given", "Image=example.com/logsluice:1.0", *given, code=1)
    assert done.returncode == 1
    role = next(o["OutputValue"] for o in aws("cloudformation").describe_stacks(StackName="up-given")["Stacks"][0]["Outputs"] if o["OutputKey"] == "TaskRoleArn")
    assert "ran setup" in done.stdout and "ended with 1" in done.stderr and role in done.stderr
    assert "docker" not in machine.called() and "ecr" not in machine.called()
    runbook(aws, machine, "up-given")

    # Later updates keep the image until Image= is given. The architecture is the stack's.
    changed = machine.up("up-given", *given, "CpuArchitecture=X86_64", SETUP="0", TEMPLATE_BUCKET="logsluice-own")
    assert changed.returncode != 0 and "logsluice-own" in changed.stderr, "a given bucket is not created"
    aws("s3").create_bucket(Bucket="logsluice-own", CreateBucketConfiguration={"LocationConstraint": stacks.REGION})
    changed = machine.up("up-given", *given, "CpuArchitecture=X86_64", SETUP="0", TEMPLATE_BUCKET="logsluice-own")
    assert changed.returncode == 0 and "docker" not in machine.called(), changed.stderr
    assert aws("s3").list_objects_v2(Bucket="logsluice-own", Prefix="up-given/")["KeyCount"] == 1
    assert stacks_image(aws, "up-given") == "example.com/logsluice:1.0"
    built = machine.up("up-given", *given, "Image=", SETUP="0")
    assert built.returncode == 0 and "--platform linux/amd64 " in machine.called(), built.stderr
    assert "/logsluice:" in stacks_image(aws, "up-given") and "example.com" not in stacks_image(aws, "up-given")


def test_task_does_not_start(aws, machine, network):
    machine.environment["NO_TASK"] = "yes"
    done = machine.up("up-idle", "Image=x/y:1", "OpenSearchUrl=https://search-logs.example.com", f"OpenSearchArn={stacks.DOMAIN}", *network)
    assert done.returncode == 1 and done.stderr.endswith("the stack is deployed, but ECS does not start the task that sets up the domain: RESOURCE:ENI\n"), done


def test_rolled_back(aws, machine):
    aws("cloudformation").create_stack(StackName="up-back", TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}')
    stacks.roll_back("up-back")
    done = machine.up("up-back", "Image=x")
    assert done.returncode == 1 and "aws cloudformation delete-stack --stack-name up-back" in done.stderr
    assert "cloudformation deploy" not in machine.called()


def test_failure(machine):
    def f(*arguments, error, **environment):
        done = machine.up(*arguments, **environment)
        assert done.returncode == 1 and done.stdout == "" and error in done.stderr and done.stderr.count("\n") == 1, done
        assert "cloudformation" not in machine.called()

    f(error="no stack is named")
    f("OpenSearchUrl=https://x", error="no stack is named")
    f("stack", "https://x", error="'https://x' is not a parameter")
    f("stack", "Image=x", AWS_REGION="", error="AWS_REGION is not set")


def test_no_credentials(machine):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del machine.environment[name]
    done = machine.up("stack", "Image=x", AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 1 and "the AWS CLI has no valid credentials" in done.stderr, done
    assert "cloudformation" not in machine.called()
