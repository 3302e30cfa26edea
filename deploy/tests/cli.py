"""The AWS CLI as a server that forks for each call, as its start takes a second of CPU.

CLIENT is the program `aws`: it passes its arguments, its environment and its standard streams
to the server. The server ends when its standard input does.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback

import awscli.clidriver

import stacks

CLIENT = f"""#!{sys.executable} -ISs
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(os.environ["CLI"])
socket.send_fds(server, [json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]).encode()], [0, 1, 2])
server.shutdown(socket.SHUT_WR)
sys.exit(ord(server.recv(1) or "\\1"))
"""


@contextlib.contextmanager
def server(path):
    """Runs a server on a Unix socket, and ends it."""
    command = [sys.executable, __file__, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # when it listens
        yield
        process.stdin.close()


def serve(path):
    driver = awscli.clidriver.create_clidriver()
    loader = driver.session.get_component("data_loader")
    loader.list_available_services("service-2")
    for service in ("cloudformation", "ecr", "ecs", "iam", "logs", "s3", "sts"):  # forks have their models
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # calls are not waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("listening", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            if os.fork() == 0:
                answer(client, driver)
            client.close()


def answer(client, driver):
    """Runs one call, in its own process."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message, streams, _, _ = socket.recv_fds(client, 1 << 16, 3)
        while part := client.recv(1 << 16):
            message += part
        for to, stream in enumerate(streams):
            os.dup2(stream, to)
        folder, arguments, environment = json.loads(message)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = call(arguments, driver)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        client.send(bytes([code]))
        os._exit(code)


def call(arguments, driver):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(" ".join(arguments) + "\n")
    if arguments[:2] == ["cloudformation", "deploy"]:
        arguments = expanded(arguments)
    if arguments[:2] == ["ecs", "run-task"] and "NO_TASK" in os.environ:
        print("None\tRESOURCE:ENI")
        return 0
    return driver.main(arguments)


def expanded(arguments):
    """Replaces the template by what it expands to, as moto does not support Fn::ForEach."""
    at = arguments.index("--parameter-overrides") + 1
    stacks.TEMPLATE = arguments[arguments.index("--template-file") + 1]
    template = stacks.expand(dict(p.split("=", 1) for p in arguments[at:]))
    whole = {n: str(p["Default"]) for n, p in template["Parameters"].items() if "Default" in p}  # because moto treats the default of a list as a string
    file = os.environ["CALLS"] + ".json"
    with open(file, "w") as out:
        json.dump(template, out, separators=(",", ":"))
    arguments = arguments[:at] + [f"{n}={v}" for n, v in whole.items()]
    arguments[arguments.index("--template-file") + 1] = file
    return arguments


if __name__ == "__main__":
    serve(sys.argv[1])
