"""The manifests: of the published schemas, within the restricted profile, of one mind with the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.operations import processes, settings
from tests.deploy.files import DEPLOY, document, program, said

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATION = document(FOLDER / "kustomization.yaml")
OBJECTS: list[dict[str, Any]] = [
    one
    for name in KUSTOMIZATION["resources"]
    for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]
VERSIONS = ("1.29", "1.33", "1.37")


def of(kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (o for o in OBJECTS if o["kind"] == kind and name in ("", o["metadata"]["name"]))
    return found


POD = of("StatefulSet")["spec"]["template"]
SPEC = POD["spec"]
(CONTAINER,) = SPEC["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda o: f"{o['kind']}-{o['metadata']['name']}")
def test_each_is_of_the_schema(manifest: dict[str, Any], version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    validate.validate(manifest, version, strict=True)
    wrong = {**manifest, "nonsense": 1}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, version, strict=True)


def test_every_file_is_used() -> None:
    there = {p.name for p in FOLDER.iterdir()} - {"kustomization.yaml"}
    generated = {name for one in KUSTOMIZATION["configMapGenerator"] for name in one["files"]}
    assert there == {*KUSTOMIZATION["resources"], *generated}


def test_kustomize_builds_it() -> None:
    done = said(program("kubectl"), "kustomize", FOLDER)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert {o["kind"] for o in built} == {*(o["kind"] for o in OBJECTS), "ConfigMap"}
    (settings_map,) = (o for o in built if o["kind"] == "ConfigMap")
    (gateways,) = (o for o in built if o["kind"] == "StatefulSet")
    volumes = {v["name"]: v for v in gateways["spec"]["template"]["spec"]["volumes"]}
    assert volumes["settings"]["configMap"]["name"] == settings_map["metadata"]["name"]
    assert all(o["metadata"].get("namespace") == "cvan" for o in built if o["kind"] != "Namespace")
    image = gateways["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("registry.example/cvan-gateway:")


def test_the_pod_is_within_the_restricted_profile() -> None:
    """What the pod security standard calls restricted; the namespace enforces it."""
    assert of("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    secure, own = SPEC["securityContext"], CONTAINER["securityContext"]
    assert secure["runAsNonRoot"] is True
    assert secure["runAsUser"] > 0
    assert secure["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(SPEC)
    assert {k for v in SPEC["volumes"] for k in v} <= {"name", "configMap", "secret", "emptyDir"}
    assert SPEC["automountServiceAccountToken"] is False


def test_selectors_find_the_pods_and_nothing_is_selected_by_nothing() -> None:
    labels = POD["metadata"]["labels"].items()
    selectors = [
        of("StatefulSet")["spec"]["selector"]["matchLabels"],
        of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(o["spec"]["selector"] for o in OBJECTS if o["kind"] == "Service"),
        *(c["labelSelector"]["matchLabels"] for c in SPEC["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels


@pytest.fixture
def chosen(tmp_path: Path) -> settings.Settings:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "gateway.toml").write_text((FOLDER / "gateway.toml").read_text("utf-8"), "utf-8")
    return settings.load(tmp_path)


def test_a_large_body_has_room_in_the_home(chosen: settings.Settings) -> None:
    """Else each is refused, for ever."""
    (claim,) = of("StatefulSet")["spec"]["volumeClaimTemplates"]
    room = claim["spec"]["resources"]["requests"]["storage"]
    assert room.endswith("Gi")
    wanted = chosen.limits.spool_bytes + chosen.limits.spool_reserve_bytes
    assert int(room.removesuffix("Gi")) * 2**30 > 1.2 * wanted


def test_ports_are_those_of_the_settings(chosen: settings.Settings) -> None:
    listen = chosen.listen
    ports = {p["name"]: p["containerPort"] for p in CONTAINER["ports"]}
    doors = {f"door-{n}": listen.operations_port + n for n in range(1, listen.processes + 1)}
    assert ports == {"partners": listen.port, "operations": listen.operations_port, **doors}
    assert listen.operations_host == "0.0.0.0"
    (watching,) = (i for i in of("NetworkPolicy")["spec"]["ingress"] if "from" in i)
    assert watching["ports"][0]["port"] == listen.operations_port
    assert watching["ports"][0]["endPort"] == listen.operations_port + listen.processes
    for service in (o for o in OBJECTS if o["kind"] == "Service"):
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= set(ports)


def test_probes_ask_what_they_are_for() -> None:
    def asked(name: str) -> tuple[str, str]:
        return CONTAINER[name]["httpGet"]["port"], CONTAINER[name]["httpGet"]["path"]

    assert asked("readinessProbe") == ("door-1", "/health/ready")
    assert asked("livenessProbe") == ("operations", "/health/live")
    assert asked("startupProbe") == ("door-1", "/health/live")


def test_an_end_is_longer_than_the_doors_take() -> None:
    pause = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert SPEC["terminationGracePeriodSeconds"] > processes.DOOR_SECONDS + pause


def test_one_may_be_away_and_no_more() -> None:
    assert of("PodDisruptionBudget")["spec"]["maxUnavailable"] < of("StatefulSet")["spec"]["replicas"] - 1


def test_volumes_and_mounts_fit() -> None:
    claims = {c["metadata"]["name"] for c in of("StatefulSet")["spec"]["volumeClaimTemplates"]}
    mounts = {m["name"]: m["mountPath"] for m in CONTAINER["volumeMounts"]}
    assert set(mounts) == claims | {v["name"] for v in SPEC["volumes"]}
    (keys,) = (v for v in SPEC["volumes"] if v["name"] == "keys")
    assert keys["secret"]["defaultMode"] == 0o440
    (keystore,) = (v for v in SPEC["volumes"] if v["name"] == "keystore")
    assert keystore["emptyDir"]["medium"] == "Memory"
    (given,) = (e["value"] for e in CONTAINER["env"] if e["name"] == "CVAN_SECRETS")
    assert mounts["keys"] == given


def test_services_tell_partners_addresses_and_prometheus_nodes() -> None:
    assert of("Service", "gateway")["spec"]["externalTrafficPolicy"] == "Local"
    nodes = of("Service", "gateway-nodes")
    assert nodes["spec"]["clusterIP"] == "None"
    assert of("StatefulSet")["spec"]["serviceName"] == nodes["metadata"]["name"]
