"""deploy/kubernetes fits together and to the program: names, ports, variables, metrics, and a bound on its workers."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mts_stream import metrics
from mts_stream.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: dict[str, dict[str, Any]] = {
    each["kind"]: each
    for name in KUSTOMIZATION["resources"]
    for each in yaml.safe_load_all((FOLDER / name).read_text())
}
SET = OBJECTS["StatefulSet"]
POD = SET["spec"]["template"]
(WORKER,) = POD["spec"]["containers"]
SCALING = OBJECTS["ScaledObject"]["spec"]
(CONFIG,) = KUSTOMIZATION["configMapGenerator"]
VARIABLES = dict(line.split("=", 1) for line in CONFIG["literals"])


def built() -> list[dict[str, Any]]:
    """What kustomize makes of the folder, or what stands in it where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_kustomize_builds_it() -> None:
    """Every object comes out, and the worker reads the generated map by the name that it has then."""
    objects = {each["kind"]: each for each in built()}

    assert set(objects) == {*OBJECTS, "ConfigMap"}
    container = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": objects["ConfigMap"]["metadata"]["name"]}}]


def test_its_variables_are_settings_with_valid_values(ours_settings: Callable[[dict[str, str]], Settings]) -> None:
    """A variable that nobody reads would be a setting that is not in force."""
    named = {each["name"] for each in WORKER["env"]}

    settings = ours_settings(VARIABLES | dict.fromkeys(named, "mts-worker-0"))

    assert named == {"WORKER_INSTANCE_ID"}
    assert settings.worker_web_port == WORKER["ports"][0]["containerPort"]


def test_there_are_never_more_workers_than_partitions() -> None:
    """One more would have nothing to read; and the set itself says no number, or each apply would undo the scaling."""
    assert 1 <= SCALING["minReplicaCount"] <= SCALING["maxReplicaCount"] == int(VARIABLES["PARTITIONS"])
    assert "replicas" not in SET["spec"]


def test_it_scales_the_worker_by_a_metric_that_exists() -> None:
    """The query asks for a metric of ours, and its bound is the lag that the worker itself calls too much."""
    lag, cpu = SCALING["triggers"]
    asked = set(re.findall(r"mts_\w+", lag["metadata"]["query"]))

    assert asked == {"mts_event_lag_seconds"} <= {family.name for family in metrics.WORKER.collect()}
    assert float(lag["metadata"]["threshold"]) * 1000 == int(VARIABLES["MAX_LAG_MS"])
    assert SCALING["scaleTargetRef"] == {k: SET[k] for k in ("apiVersion", "kind")} | {"name": SET["metadata"]["name"]}
    assert cpu["type"] == "cpu" and "cpu" in WORKER["resources"]["requests"]


def test_selectors_find_the_pods() -> None:
    """The set, its service and its budget all speak of the same labels."""
    labels = POD["metadata"]["labels"]

    assert SET["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert SET["spec"]["serviceName"] == OBJECTS["Service"]["metadata"]["name"]


def test_a_pod_has_no_rights_it_does_not_need() -> None:
    """As in the compose file: not root, nothing written but /tmp, no capability, memory bounded, one pinned image."""
    assert POD["spec"]["securityContext"]["runAsUser"] == 10001
    assert WORKER["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert "memory" in WORKER["resources"]["limits"]
    assert re.fullmatch(r"mts-stream:\d+\.\d+\.\d+", WORKER["image"])
