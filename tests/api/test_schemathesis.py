"""Requests generated from the OpenAPI document cause no server errors and no undocumented answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.api.client import OPENSTACK, Client, client_environment, controller_with

OBJECTS = 12
"""Of each kind: some get deleted on the way, and the rest is still there to be found."""

SAME_AS_OTHERS = "/v2.0/(networks|ports|security-groups|security-group-rules|address-groups)/.*/tags"
"""Tags are one piece of code for all; those of subnets are kept in their own way."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def test_generated_requests(openstack_client: None, private_network: None, tmp_path: Path) -> None:
    with controller_with("--sgctl-api-rate=0") as running:
        generate(Client(running.wsapi_port), tmp_path)


def generate(api: Client, tmp_path: Path) -> None:
    document = api("GET", "/openapi.json").document
    use_real_ids(document, make_objects(api))
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [
            OPENSTACK / "schemathesis",
            *("run", path, f"--url=http://127.0.0.1:{api.port}"),
            *(f"--checks={','.join(CHECKS)}", "--phases=coverage,fuzzing"),
            f"--exclude-path-regex={SAME_AS_OTHERS}",
            # One worker: Python 3.11 cannot parse in one thread while another changes its recursion limit.
            *("--max-examples=5", "--seed=1", "--workers=1", "--no-color", "--continue-on-failure"),
        ],
        env=client_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    paths = {path: item for path, item in document["paths"].items() if not re.match(SAME_AS_OTHERS, path)}
    operations = [step for item in paths.values() for step in item if step != "parameters"]
    assert f"Tested: {len(operations)}" in done.stdout


def make_objects(api: Client) -> dict[str, list[str]]:
    """Ids by resource."""
    made: dict[str, list[str]] = {}
    networks = [api.make("network", name=f"st{number}") for number in range(OBJECTS)]
    made["network"] = [network["id"] for network in networks]
    for number, network in enumerate(made["network"]):
        keep(made, "subnet", api.make("subnet", network_id=network, cidr=f"10.200.{number}.0/24"))
        keep(made, "port", api.make("port", network_id=network))
        keep(made, "security_group", api.make("security_group", name=f"st{number}"))
        group = made["security_group"][-1]
        rule = {"security_group_id": group, "direction": "ingress"}
        keep(made, "security_group_rule", api.make("security_group_rule", **rule))
        keep(made, "address_group", api.make("address_group", addresses=[f"192.0.2.{number}"]))
    return made


def keep(made: dict[str, list[str]], kind: str, obj: Any) -> None:
    made.setdefault(kind, []).append(obj["id"])


def use_real_ids(document: Any, made: dict[str, list[str]]) -> None:
    """Fill in ids of existing objects; otherwise most requests would get 404."""
    for path, item in document["paths"].items():
        kind = path.split("/")[2].replace("-", "_").removesuffix("s") if path.startswith("/v2.0/") else ""
        for parameter in item.get("parameters", ()):
            if parameter["name"] == "id" and kind in made:
                parameter["schema"] = {"enum": made[kind]}
    references = {
        "network_id": "network",
        "subnet_id": "subnet",
        "security_group_id": "security_group",
        "remote_group_id": "security_group",
        "remote_address_group_id": "address_group",
    }
    for schema in request_schemas(document):
        for name, kind in references.items():
            if name in schema.get("properties", {}):
                schema["properties"][name] = {"enum": made[kind]}


def request_schemas(document: Any) -> Iterator[Any]:
    """Every schema inside a request body."""
    pending = [
        operation["requestBody"]
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "requestBody" in operation
    ]
    while pending:
        schema = pending.pop()
        if isinstance(schema, dict):
            yield schema
            pending += schema.values()
        elif isinstance(schema, list):
            pending += schema
