"""The compose file: of the published schema, restrained throughout, and of one mind with the other files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.clearance import Clearance, load
from gateway.operations import processes, settings
from gateway.storage import Ledger
from tests.deploy.files import DEPLOY, document, program, said
from tests.postgres import PostgresServer

FILE = DEPLOY / "compose" / "compose.yaml"
COMPOSE = document(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = ("gateway-a", "gateway-b")
each = pytest.mark.parametrize("name", SERVICES)


def test_it_is_of_the_schema() -> None:
    check = program("check-jsonschema", beside=True)
    done = said(check, "--builtin-schema", "vendor.compose-spec", FILE)
    assert done.returncode == 0, done.stdout


def test_what_is_not_of_the_schema_is_noticed(tmp_path: Path) -> None:
    check = program("check-jsonschema", beside=True)
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text("utf-8").replace("read_only: true", "read_only_root: true"), "utf-8")
    assert said(check, "--builtin-schema", "vendor.compose-spec", wrong).returncode != 0


@each
def test_every_service_is_restrained_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"] not in ("root", "0", "0:0")
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "privileged" not in service


@each
def test_images_have_tags(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.search(r":[\w.-]+$", image)
    assert image == "localhost/cvan-gateway:latest" or not image.endswith(":latest")


def test_secrets_are_files_and_nowhere_else() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    used = {s if isinstance(s, str) else s["source"] for v in SERVICES.values() for s in v.get("secrets", ())}
    assert used == set(COMPOSE["secrets"])
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), value


def test_configurations_are_used_and_lie_there() -> None:
    used = {c["source"] for v in SERVICES.values() for c in v.get("configs", ())}
    assert used == set(COMPOSE["configs"])
    for name, config in COMPOSE["configs"].items():
        if "${" not in config["file"]:
            assert (FILE.parent / config["file"]).is_file(), name


def test_only_the_balancer_is_reached_from_outside() -> None:
    assert [name for name, v in SERVICES.items() if "ports" in v] == ["balancer"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert SERVICES["database"]["networks"] == ["back"]
    assert "outside" not in SERVICES["gateway-a"]["networks"]


def test_nodes_differ_in_nothing_but_their_own_disk() -> None:
    one, other = (dict(SERVICES[name]) for name in GATEWAYS)
    for mine in ("hostname", "volumes"):
        assert one.pop(mine) != other.pop(mine)
    assert one == other
    assert float(one["stop_grace_period"].removesuffix("s")) > processes.DOOR_SECONDS


def test_settings_are_taken_and_agree(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    text = (DEPLOY / "container" / "gateway.toml").read_text("utf-8")
    (tmp_path / "conf" / "gateway.toml").write_text(text, "utf-8")
    chosen = settings.load(tmp_path)
    assert "@database:5432/cvan" in chosen.database.ledger
    assert chosen.database.ledger == chosen.database.clearance
    assert f":{chosen.listen.operations_port + 1}/health/ready" in json.dumps(
        SERVICES["gateway-a"]["healthcheck"]
    )
    assert {SERVICES["balancer"]["environment"][f"CVAN_NODE_{x}"] for x in "AB"} == set(GATEWAYS)


def test_the_gateway_s_login_owns_its_database_and_nothing_else(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A superuser's may run programs on the database's machine, and turn its syncs off."""
    assert SERVICES["database"]["environment"]["POSTGRES_USER"] == "postgres"
    (tmp_path / "password").write_text("a 'b\\c\n")
    text = (DEPLOY / "compose" / "database.sql").read_text("utf-8")
    text = text.replace("/run/secrets/database_password", str(tmp_path / "password"))
    (tmp_path / "database.sql").write_text(text.replace("cvan", "compose"), "utf-8")
    server = f"host={postgres_server.folder} user=cvan dbname=postgres"
    done = said(program("psql"), "--no-psqlrc", "--dbname", server, "--file", tmp_path / "database.sql")
    assert done.returncode == 0, done.stderr
    url = f"postgresql+psycopg://compose@/compose?host={postgres_server.folder}"
    Ledger.open(url, create=True).close()
    Clearance.open(url, load(DEPLOY.parent / "clearance")).close()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as login:
        for forbidden in ("COPY (SELECT 1) TO PROGRAM 'true'", "ALTER SYSTEM SET fsync = off"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                login.execute(forbidden.encode())
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("DROP DATABASE compose")
        admin.execute("DROP ROLE compose")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")


def test_own_keys_are_those_of_a_keystore() -> None:
    targets = {s["target"] for s in SERVICES["gateway-a"]["secrets"]}
    assert targets == {"signing.key.pem", "signing.crt.pem", "tls.key.pem", "tls.crt.pem", "pgpass"}
    assert any(mount.startswith("/run/cvan:") for mount in SERVICES["gateway-a"]["tmpfs"])
