"""Fixtures: moto's server in this process, and stacks deployed to it."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

import stacks


@pytest.fixture(scope="session")
def aws():
    """A function that returns clients of moto's server."""
    stacks.complete_moto()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.Session("test", "test", region_name=stacks.REGION)
    clients = {}

    def client(service):
        if service not in clients:
            clients[service] = session.client(service, endpoint_url=f"http://{host}:{port}")
        return clients[service]

    client.url = f"http://{host}:{port}"
    yield client
    server.stop()


@pytest.fixture(scope="session")
def deploy(aws):
    """A function that deploys the template once for each set of parameters."""
    known = {}

    def stack(name):
        if name not in known:
            known[name] = stacks.deploy(aws, name, stacks.SETS[name])
        return known[name]

    return stack


@pytest.fixture(scope="session", params=list(stacks.SETS))
def stack(request, deploy):
    """Each of the stacks in turn."""
    return deploy(request.param)
