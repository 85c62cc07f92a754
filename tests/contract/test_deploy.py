"""What runs the service elsewhere: manifests that a cluster takes, in agreement with the settings and the counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from prometheus_client.parser import text_string_to_metric_families

from gradient_service import __version__
from gradient_service.app import create_app
from gradient_service.settings import Settings
from tests.service.conftest import client_of

from .programs import python_with, run

ROOT = Path(__file__).parents[2]
KUBERNETES, COMPOSE = ROOT / "deploy" / "kubernetes", ROOT / "deploy" / "compose"
VALIDATOR = "kubernetes-validate==1.37.0"
MADE_OF_SAMPLES = ("_total", "_bucket", "_count", "")
Manifest = dict[str, Any]


def loaded(file: Path) -> Any:
    """What a file of YAML holds."""
    return yaml.safe_load(file.read_text())


BASE = {file.stem: loaded(file) for file in sorted((KUBERNETES / "base").glob("*.yaml"))}
POD = BASE["deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
VARIABLES = {each["name"]: each.get("value") for each in CONTAINER["env"]}


def resources() -> dict[str, Manifest]:
    """The manifests that are sent to a cluster."""
    return {name: manifest for name, manifest in BASE.items() if name != "kustomization"}


def overlaid() -> dict[str, Manifest]:
    """The same with the patches of the overlay, each of which replaces what is there."""
    found = {manifest["kind"]: deepcopy(manifest) for manifest in resources().values()}
    for patch in loaded(KUBERNETES / "overlays/production/kustomization.yaml")["patches"]:
        for step in yaml.safe_load(patch["patch"]):
            assert step["op"] == "replace"
            place: Any = found[patch["target"]["kind"]]
            *way, last = [int(key) if key.isdecimal() else key for key in step["path"].strip("/").split("/")]
            for key in way:
                place = place[key]
            assert isinstance(last, int) or last in place
            place[last] = step["value"]
    return found


@pytest.mark.full
def test_a_cluster_takes_the_manifests(tmp_path: Path) -> None:
    """Each manifest, with the overlay and without, is valid by the schemas of Kubernetes, unknown fields refused."""
    for place, manifests in (("base", resources()), ("overlay", overlaid())):
        for name, manifest in manifests.items():
            (tmp_path / f"{place}-{name}.yaml").write_text(yaml.safe_dump(manifest))
    files = sorted(tmp_path.glob("*.yaml"))
    assert len(files) == 2 * len(resources())
    programs = python_with(tmp_path, VALIDATOR)
    run(programs / "kubernetes-validate", "--strict", *files, folder=tmp_path)


def test_every_manifest_is_listed() -> None:
    """The base names each of its files, and all are of the same application."""
    assert sorted(BASE["kustomization"]["resources"]) == sorted(f"{name}.yaml" for name in resources())
    assert {manifest["metadata"]["name"] for manifest in resources().values()} == {"gradient-service"}


def test_the_pod_is_that_of_the_image() -> None:
    """User, port and version are those that the image is built with."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    user, group = POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}\n" in dockerfile
    assert user >= 10_000
    assert f"EXPOSE {CONTAINER['ports'][0]['containerPort']}\n" in dockerfile
    compose = loaded(COMPOSE / "compose.yaml")["services"]["gradient-service"]
    assert CONTAINER["image"] == compose["image"] == f"gradient-service:{__version__}"
    assert CONTAINER["args"] == compose["command"]


def test_the_variables_are_settings() -> None:
    """Each variable is a setting, with a value that it takes."""
    given = {name.removeprefix("GRADIENT_").lower(): value for name, value in VARIABLES.items()}
    assert given.keys() <= Settings.model_fields.keys()
    Settings.model_validate({name: value for name, value in given.items() if value is not None})


def test_a_pod_leaves_the_service_before_it_stops_to_listen() -> None:
    """Readiness is noticed within the lead, and all that is under way has its time before the pod is killed."""
    lead, drain = (float(VARIABLES[f"GRADIENT_{name}"]) for name in ("READINESS_LEAD_SECONDS", "DRAIN_SECONDS"))
    probe = CONTAINER["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"] < lead
    assert POD["terminationGracePeriodSeconds"] >= lead + drain + 5
    stop = loaded(COMPOSE / "compose.yaml")["services"]["gradient-service"]["stop_grace_period"]
    defaults = Settings.model_construct()
    assert float(stop.removesuffix("s")) >= defaults.readiness_lead_seconds + defaults.drain_seconds + 5


@pytest.mark.anyio
async def test_probes_ask_for_what_is_there() -> None:
    """The paths of the probes answer, and those of life take longer to give up than those of readiness."""
    app = create_app(Settings.model_construct())
    app.state.lifecycle.is_started = True
    async with client_of(app) as client:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert (await client.get(CONTAINER[name]["httpGet"]["path"])).status_code == 200
    alive, ready = CONTAINER["livenessProbe"], CONTAINER["readinessProbe"]
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 10 * ready["periodSeconds"] * ready["failureThreshold"]


def queries() -> Iterator[str]:
    """What the dashboard asks Prometheus."""
    for file in (COMPOSE / "grafana/dashboards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield target["expr"]


@pytest.mark.anyio
async def test_dashboard_and_autoscaler_use_what_is_counted() -> None:
    """Each metric that is asked for, and each label by which it is grouped, is one that the service tells."""
    async with client_of(create_app(Settings.model_construct())) as client:
        told = (await client.get("/metrics")).text
    families = {family.name for family in text_string_to_metric_families(told)}
    families = {name for name in families if not name.endswith("_created")}  # the library's own, where no worker counts
    counted = {name + suffix for name in families for suffix in MADE_OF_SAMPLES}
    scaled = {each["pods"]["metric"]["name"] for each in BASE["autoscaler"]["spec"]["metrics"] if "pods" in each}
    asked = {name for query in queries() for name in re.findall(r"gradient_service_\w+", query)}
    assert len(asked) == len(families)
    assert asked | scaled <= counted
    grouped = {
        label for query in queries() for labels in re.findall(r"by \((.*?)\)", query) for label in labels.split(", ")
    }
    assert grouped <= {"le", "instance", "route", "status", "slug", "dialect", "stage", "model", "part"}
