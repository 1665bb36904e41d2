"""The Kubernetes manifests: what kustomize makes of them, against Kubernetes' own schemas and
against what the server needs."""

import pathlib
import subprocess
import sys

import pytest
import yaml

import deployment
import dockerfile

FOLDER = deployment.DEPLOY / "kubernetes"
VARIANTS = [".", "server", "tls", "workers", "copies", "replicas"]
SCHEMAS = deployment.ROOT / "build" / "deploy-tests" / "kubernetes-validate"


def kustomize(variant):
    built = deployment.run(deployment.tool("kubectl"), "kustomize", FOLDER / variant)
    return list(yaml.safe_load_all(built))


def sources():
    """Every manifest as it is written, so that these tests need no tool."""
    return [document for path in sorted(FOLDER.rglob("*.yaml"))
            for document in yaml.safe_load_all(path.read_text())
            if path.name != "kustomization.yaml" and path.parent.name not in ("tls", "workers")]


def source(kind, name="atelier"):
    found, = [d for d in sources() if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def pod():
    return source("StatefulSet")["spec"]["template"]["spec"]


def container():
    only, = pod()["containers"]
    return only


def find(documents, kind):
    return [d for d in documents if d["kind"] == kind]


def test_every_manifest_is_part_of_a_kustomization():
    for folder in (FOLDER / "server", FOLDER / "monitoring", FOLDER / "workers",
                   FOLDER / "replicas"):
        kustomization = deployment.load_yaml(folder / "kustomization.yaml")
        listed = kustomization["resources"]
        patches = {patch["path"] for patch in kustomization.get("patches", [])}
        written = {p.name for p in folder.glob("*.yaml")} - {"kustomization.yaml"} - patches
        assert written == {r for r in listed if r.endswith(".yaml")}


def test_the_base_is_complete():
    kinds = sorted(d["kind"] for d in kustomize("."))
    assert kinds == ["ConfigMap", "Namespace", "NetworkPolicy", "PodDisruptionBudget",
                     "PrometheusRule", "Service", "Service", "ServiceAccount", "ServiceMonitor",
                     "ServiceMonitor", "StatefulSet"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_is_in_one_namespace(variant):
    for document in kustomize(variant):
        assert document["metadata"].get("namespace", "atelier") == "atelier"


@pytest.fixture(scope="module")
def schemas():
    """A folder with Kubernetes' schemas and their validator, from PyPI's package of them."""
    if not SCHEMAS.exists():
        partial = SCHEMAS.with_suffix(".partial")
        installed = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(partial),
             "kubernetes-validate==1.31.0"], capture_output=True, text=True, timeout=300)
        if installed.returncode != 0:
            pytest.skip(f"kubernetes-validate cannot be had: {installed.stderr[-300:]}")
        partial.rename(SCHEMAS)
    return SCHEMAS


# In a process of its own: it brings a newer jsonschema than Debian's.
VALIDATE = """
import sys, yaml, kubernetes_validate
for document in yaml.safe_load_all(sys.stdin):
    if not document["apiVersion"].startswith("monitoring.coreos.com/"):
        kubernetes_validate.validate(document, "1.31", strict=True)
        print(document["kind"])
"""


@pytest.mark.parametrize("variant", VARIANTS)
def test_kubernetes_schemas_accept_it(schemas, variant):
    accepted = deployment.run(sys.executable, "-c", VALIDATE, env={"PYTHONPATH": str(schemas)},
                              input=yaml.safe_dump_all(kustomize(variant)))
    assert {"StatefulSet", "Deployment"} & set(accepted.split())


def test_kubernetes_schemas_reject_what_is_wrong(schemas):
    wrong = yaml.safe_dump(source("StatefulSet") | {"spec": {"replicas": "one"}})
    with pytest.raises(AssertionError, match="replicas|required"):
        deployment.run(sys.executable, "-c", VALIDATE, env={"PYTHONPATH": str(schemas)}, input=wrong)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_servers_flags_are_known(variant):
    pods = [d for d in kustomize(variant) if d["kind"] in ("StatefulSet", "Deployment")]
    assert len(pods) == 1
    deployment.assert_known_flags(pods[0]["spec"]["template"]["spec"]["containers"][0]["args"])


def test_it_runs_without_privilege_as_the_images_user():
    security = pod()["securityContext"]
    stage = dockerfile.read_stages(deployment.DEPLOY / "Dockerfile")[-1][2]
    user, = [i.text for i in stage if i.name == "USER"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
    assert security["runAsNonRoot"] and security["fsGroup"] == security["runAsGroup"]
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container()["securityContext"]
    assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    namespace = source("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_workers_run_as_the_server_does():
    job = deployment.load_yaml(FOLDER / "workers" / "job.json")
    template = job["spec"]["template"]["spec"]
    assert template["securityContext"] == pod()["securityContext"]
    worker, = template["containers"]
    assert worker["name"] == "worker" and worker["securityContext"] == container()["securityContext"]
    image, = deployment.load_yaml(FOLDER / "server" / "kustomization.yaml")["images"]
    assert worker["image"] == f"{image['newName']}:{image['newTag']}"
    stateful, = find(kustomize("workers"), "StatefulSet")
    flags = deployment.flag_values(stateful["spec"]["template"]["spec"]["containers"][0]["args"])
    service, = [d for d in find(kustomize("workers"), "Service") if d["metadata"]["name"] == "atelier-workers"]
    assert flags["worker_address"] == f"atelier-workers:{service['spec']['ports'][0]['port']}"
    mounts = {mount["mountPath"] for mount in worker["volumeMounts"]}
    assert flags["data_dir"] in mounts


def test_workers_without_a_volume_have_a_folder_for_copies():
    job = deployment.load_yaml(FOLDER / "copies" / "job.json")
    shared = deployment.load_yaml(FOLDER / "workers" / "job.json")
    worker, = job["spec"]["template"]["spec"]["containers"]
    other, = shared["spec"]["template"]["spec"]["containers"]
    assert {**worker, "volumeMounts": []} == {**other, "volumeMounts": []}
    built = kustomize("copies")
    stateful, = find(built, "StatefulSet")
    flags = deployment.flag_values(stateful["spec"]["template"]["spec"]["containers"][0]["args"])
    mounts = {mount["mountPath"] for mount in worker["volumeMounts"]}
    # The worker makes the folder, for an emptyDir itself is open to all users.
    assert str(pathlib.PurePosixPath(flags["worker_cache_dir"]).parent) in mounts and flags["data_dir"] not in mounts
    assert all("persistentVolumeClaim" not in volume for volume in job["spec"]["template"]["spec"]["volumes"])
    given, = [d for d in find(built, "ConfigMap") if "job.json" in d["data"]]
    assert given["data"]["job.json"] == (FOLDER / "copies" / "job.json").read_text()


def test_replicas_run_as_the_server_does_and_scale():
    deployed = source("Deployment", "atelier-replicas")
    template = deployed["spec"]["template"]["spec"]
    assert template["securityContext"] == pod()["securityContext"]
    replica, = template["containers"]
    assert replica["securityContext"] == container()["securityContext"]
    flags = deployment.flag_values(replica["args"])
    assert flags["role"] == "serving"
    built = kustomize("replicas")
    settings, = find(built, "ConfigMap")
    variable, = [name for name in settings["data"] if flags["registry"] == f"$({name})"]
    assert settings["data"][variable].startswith("s3://")
    assert {one.get("configMapRef", one.get("secretRef"))["name"] for one in
            find(built, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["envFrom"]} == {
                settings["metadata"]["name"], "atelier-s3"}
    assert "replicas" not in deployed["spec"], "the autoscaler sets it"
    scaler = source("HorizontalPodAutoscaler", "atelier-replicas")["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployed["metadata"]["name"] and scaler["minReplicas"] == 2
    service = source("Service", "atelier-replicas")["spec"]
    assert service["clusterIP"] == "None"
    labels = deployed["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels == deployed["spec"]["selector"]["matchLabels"]
    assert {p["targetPort"] for p in service["ports"]} == {p["name"] for p in replica["ports"]}
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert source(kind, "atelier-replicas")["spec"][field]["matchLabels"] == labels


def test_probes_ask_the_port_it_listens_on():
    flags = deployment.flag_values(container()["args"])
    port = int(flags["listen"].rsplit(":", 1)[1])
    ports = {p["name"]: p["containerPort"] for p in container()["ports"]}
    assert ports == {"grpc": port, "metrics": int(flags["metrics_listen"].rsplit(":", 1)[1])}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container()[probe]["grpc"] == {"port": port}


def test_with_tls_the_client_probes_and_the_server_is_not_insecure():
    stateful, = find(kustomize("tls"), "StatefulSet")
    only, = stateful["spec"]["template"]["spec"]["containers"]
    assert "--allow_insecure" not in only["args"] and "--allow_insecure" in container()["args"]
    known = deployment.flags_of("atelier")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "grpc" not in only[probe]
        command = only[probe]["exec"]["command"]
        assert command[0] == "atelier" and command[-1] == "health"
        assert deployment.flag_names(command) <= known


def test_data_outlives_the_pod_and_temporary_files_do_not_need_the_root():
    mounts = {m["name"]: m["mountPath"] for m in container()["volumeMounts"]}
    claim, = source("StatefulSet")["spec"]["volumeClaimTemplates"]
    data_dir = deployment.flag_values(container()["args"])["data_dir"]
    assert mounts[claim["metadata"]["name"]] == data_dir
    assert mounts["tmp"] == "/tmp"
    assert source("StatefulSet")["spec"]["replicas"] == 1
    assert set(container()["resources"]["limits"]) == {"cpu", "memory"}


def test_selectors_find_the_pod():
    labels = source("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert source("StatefulSet")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert source("StatefulSet")["spec"]["serviceName"] == "atelier-pods"
    for kind, name in (("Service", "atelier"), ("Service", "atelier-pods")):
        service = source(kind, name)
        assert service["spec"]["selector"].items() <= labels.items()
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= {"grpc", "metrics"}
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert source(kind)["spec"][field]["matchLabels"].items() <= labels.items()


def test_the_monitor_selects_one_service_and_keeps_the_jobs_labels():
    monitor = source("ServiceMonitor")
    endpoint, = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True

    def selected(labels):
        return all((labels.get(e["key"]) in e["values"]) if e["operator"] == "In"
                   else e["key"] not in labels
                   for e in monitor["spec"]["selector"]["matchExpressions"])

    services = [d for d in sources() if d["kind"] == "Service"]
    chosen, = [s for s in services if selected(s["metadata"]["labels"])]
    assert endpoint["port"] in {p["name"] for p in chosen["spec"]["ports"]}
    assert chosen["metadata"]["name"] == "atelier", "the rules ask for job=atelier"


def test_the_rules_are_prometheus_own():
    groups = [g for name in ("recording", "alerts")
              for g in deployment.load_yaml(deployment.DEPLOY / f"prometheus/rules/{name}.yml")["groups"]]
    assert source("PrometheusRule")["spec"]["groups"] == groups


def test_the_dashboards_are_grafanas_own():
    config, = find(kustomize("."), "ConfigMap")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"] == {p.name: p.read_text() for p in deployment.DASHBOARDS}


def test_the_image_is_the_projects_version():
    for folder in ("server", "replicas"):
        image, = deployment.load_yaml(FOLDER / folder / "kustomization.yaml")["images"]
        assert image["newTag"] == deployment.project_version()
