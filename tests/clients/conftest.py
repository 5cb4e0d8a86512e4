"""The server that the clients are tried on: the gateway, or where the suite is asked for by its path, CLICKHOUSE_URL's.

CLICKHOUSE_URL=https://host:8443 CLICKHOUSE_USER=me CLICKHOUSE_PASSWORD=... python -m pytest tests/clients
"""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clickhouse.asking import ask
from tests.clients.adapters import PYTHON, Client, Curl, JavaScript, Server

# Read before tests/conftest.py takes our variables away.
GIVEN = {name: os.environ.get(f"CLICKHOUSE_{name}", "") for name in ("URL", "USER", "PASSWORD")}
FOLDER = Path(__file__).parent / "javascript"
MODULES = Path(__file__).parents[2] / "build" / "clients" / "javascript"
NODE_MIN = 20
INSTALL_S = 90
CLIENTS = {kind.name: kind for kind in (*PYTHON, Curl, JavaScript)}


@pytest.fixture(scope="session")
def is_given(request: pytest.FixtureRequest) -> bool:
    """Whether a server of somebody's own takes the gateway's place."""
    return bool(GIVEN["URL"]) and any("clients" in argument for argument in request.config.args)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, is_given: bool) -> Iterator[Server]:
    """A server with a database of this run's own, which is dropped at the end."""
    database = f"clients_{secrets.token_hex(4)}"
    url = GIVEN["URL"].rstrip("/") if is_given else request.getfixturevalue("clickhouse")
    user = (is_given and GIVEN["USER"]) or "default"
    password = GIVEN["PASSWORD"] if is_given else ""
    ask(url, f"CREATE DATABASE {database}", user=user, password=password)
    yield Server(url, user, password, database)
    ask(url, f"DROP DATABASE {database}", user=user, password=password)


@pytest.fixture(scope="session")
def node_program() -> list[str]:
    """The command of the JavaScript client, with what it needs in build/; skips where there is no Node.js for it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node and npm here")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < NODE_MIN:
        pytest.skip(f"the client needs Node.js {NODE_MIN}, here is {version.strip()}")
    wanted = (FOLDER / "package.json").read_text()
    program, stamp = MODULES / "client.mjs", MODULES / "package.json"
    MODULES.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / "client.mjs", program)
    if not (MODULES / "node_modules").is_dir() or not stamp.exists() or stamp.read_text() != wanted:
        shutil.copy(FOLDER / "package.json", stamp)
        options = ["--fetch-retries=0", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        try:
            subprocess.run(
                [npm, "install", *options], cwd=MODULES, capture_output=True, text=True, timeout=INSTALL_S, check=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(MODULES)  # half of it would be taken for all the next time
            pytest.skip(f"npm could not install the client: {str(error.stderr).strip()[-300:]}")
    return [node, str(program)]


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """Each client in turn."""
    yield from connected(request, server)


def connected(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """The client that a fixture's parameter names."""
    if request.param == JavaScript.name:
        client: Client = JavaScript(server, request.getfixturevalue("node_program"))
    elif request.param == Curl.name and shutil.which("curl") is None:
        pytest.skip("no curl here")
    else:
        client = CLIENTS[request.param](server)
    yield client
    client.close()
