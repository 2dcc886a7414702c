"""The Dockerfile and the files in deploy/ are valid, and agree with the program."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.fixtures import needs_servers
from tests.servers.processes import PROGRAMS
from thumbsmith.dispatch.jetstream import CONSUMER
from thumbsmith.environment import Setting

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "deploy" / "compose"
KUBERNETES = ROOT / "deploy" / "kubernetes"
STREAM = "nats://{host}:4222/photos"


def _program(name: str) -> str:
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        pytest.skip(f"{name} is not installed: run `make .venv/dev`")
    return str(found)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def _manifests() -> list[dict[str, Any]]:
    files = sorted(KUBERNETES.glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]


def _named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in _manifests() if (each["kind"], each.get("metadata", {}).get("name")) == (kind, name)]
    return found


def _compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return content


def _parsed(command: list[str]) -> dict[str, Any]:
    """Return the values of a command of Thumbsmith. click refuses unknown options and wrong values."""
    name, *words = command
    found = getattr(import_module(f"thumbsmith.cli.{name}"), name)
    values: dict[str, Any] = found.make_context(name, list(words)).params
    return values


def test_the_dockerfile_passes_its_linter():
    """Hadolint finds nothing in the Dockerfile."""
    _run(_program("hadolint"), "Dockerfile")


def test_the_image_is_built_from_files_that_exist():
    """What the Dockerfile copies exists, and .dockerignore lets it pass."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text())
    names = {name for line in copied for name in line.split()}
    assert names == allowed
    assert all((ROOT / name).exists() for name in names)


def test_the_manifests_are_valid():
    """kubernetes-validate accepts every object that is part of Kubernetes, without unknown fields."""
    files = [str(KUBERNETES / name) for name in ("settings.yaml", "worker.yaml", "api.yaml")]
    _run(_program("kubernetes-validate"), "--strict", *files)


def test_the_manifests_agree_with_each_other():
    """All files are in the kustomization, and the scaling names the deployment, the stream and the consumer."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in KUBERNETES.iterdir()}
    scaled = _named("ScaledObject", "thumbsmith-worker")["spec"]
    assert scaled["scaleTargetRef"]["name"] == _named("Deployment", "thumbsmith-worker")["metadata"]["name"]
    (trigger,) = scaled["triggers"]
    assert (trigger["metadata"]["stream"], trigger["metadata"]["consumer"]) == ("photos", CONSUMER)
    selector = _named("Service", "thumbsmith")["spec"]["selector"]
    assert selector == _named("Deployment", "thumbsmith-api")["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("name", ["thumbsmith-worker", "thumbsmith-api"])
def test_the_pods_are_confined(name: str):
    """A pod is not root, gets no privilege and no token of the cluster, and writes to /tmp only."""
    pod = _named("Deployment", name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert "memory" in container["resources"]["limits"]


def test_the_worker_does_not_get_the_token_of_the_api():
    """A worker handles pictures, so it has the credentials of the stores and nothing else."""
    (container,) = _named("Deployment", "thumbsmith-worker")["spec"]["template"]["spec"]["containers"]
    names = {each["name"] for each in container["env"]}
    assert names == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert not [each for each in container["envFrom"] if "secretRef" in each]
    assert "THUMBSMITH_TOKEN" not in _compose()["services"]["worker"]["environment"]


def test_the_commands_are_understood():
    """Every command of the compose file and the manifests is one of the program, with options that it has."""
    services = _compose()["services"]
    deployments = {name: _named("Deployment", f"thumbsmith-{name}") for name in ("worker", "api")}
    for name, deployment in deployments.items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for command, host in ((services[name]["command"], "queue"), (container["args"], "nats")):
            values = _parsed([str(word) for word in command])
            queue = values["addresses"][0] if name == "worker" else values["events_to"]
            assert queue == STREAM.format(host=host)


def test_the_variables_exist():
    """Every variable of Thumbsmith in these files is a setting that it reads."""
    text = "".join(path.read_text() for path in (*COMPOSE.iterdir(), *KUBERNETES.iterdir()))
    assert set(re.findall(r"THUMBSMITH_\w+", text)) <= {each.value for each in Setting}
    assert {"THUMBSMITH_TOKEN", "THUMBSMITH_SOURCE"} <= set(re.findall(r"THUMBSMITH_\w+", text))


def test_the_compose_file_agrees_with_itself():
    """Services, volumes and files that the compose file names exist."""
    content = _compose()
    services = content["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", ()):
            origin = volume.partition(":")[0]
            assert (COMPOSE / origin).exists() if origin.startswith("./") else origin in content["volumes"]
    assert json.loads((COMPOSE / "s3.json").read_text())["identities"][0]["credentials"][0]["secretKey"] == "SECRET"


def test_the_compose_file_follows_its_schema():
    """The schema of Compose accepts each key and value."""
    tool = ROOT / ".venv-release" / "bin" / "check-jsonschema"
    if not tool.exists():
        pytest.skip("`make .venv/release` installs the schema of compose files")
    _run(str(tool), "--builtin-schema", "vendor.compose-spec", str(COMPOSE / "compose.yaml"))


def test_the_server_of_s3_cannot_use_the_api():
    """It gets a token with which it may send events, and nothing else."""
    services = _compose()["services"]
    assert "THUMBSMITH_EVENTS_TOKEN" in services["s3"]["environment"]
    assert "THUMBSMITH_TOKEN" not in services["s3"]["environment"]
    assert {"THUMBSMITH_TOKEN", "THUMBSMITH_EVENTS_TOKEN"} <= set(services["api"]["environment"])


def test_the_ports_are_those_of_the_commands():
    """Each container opens the ports on which its command listens, and the probes ask for paths that exist."""
    for name, path in (("worker", "/health"), ("api", "/health")):
        (container,) = _named("Deployment", f"thumbsmith-{name}")["spec"]["template"]["spec"]["containers"]
        values = _parsed([str(word) for word in container["args"]])
        listens = values["port"] if name == "api" else int(values["listen"].rpartition(":")[2])
        (port,) = container["ports"]
        assert port["containerPort"] == listens
        for probe in (container[key] for key in container if key.endswith("Probe")):
            assert (probe["httpGet"]["path"], probe["httpGet"]["port"]) == (path, port["name"])
        service = _compose()["services"][name]
        assert _parsed([str(word) for word in service["command"]]).get("port", listens) == listens


def test_the_scaler_has_the_settings_of_its_kind():
    """KEDA's scaler for JetStream gets the settings that it requires, as text, and no other.

    https://keda.sh/docs/2.17/scalers/nats-jetstream/
    """
    spec = _named("ScaledObject", "thumbsmith-worker")["spec"]
    required = {"natsServerMonitoringEndpoint", "account", "stream", "consumer", "lagThreshold"}
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "nats-jetstream"
    assert required <= set(trigger["metadata"]) <= required | {"activationLagThreshold", "useHttps"}
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert 0 < spec["minReplicaCount"] <= spec["maxReplicaCount"]


@needs_servers
def test_seaweedfs_knows_the_options_of_its_notifications():
    """Every option of notification.toml is in the file that this version of SeaweedFS prints as a pattern."""
    printed = subprocess.run(
        [str(PROGRAMS / "weed"), "scaffold", "-config=notification"], capture_output=True, text=True, check=True
    ).stdout
    section = printed.partition("[notification.webhook]")[2]
    used = tomllib.loads((COMPOSE / "notification.toml").read_text())["notification"]["webhook"]
    assert set(used) <= set(re.findall(r"(?m)^#? ?(\w+) =", section))
