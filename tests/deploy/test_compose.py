"""docker-compose.yml: accepted by compose, closed to the outside, restarted, limited, and made of
files and flags that exist."""

import re
import shutil
import textwrap

import pytest

import deployment

COMPOSE = deployment.load_yaml(deployment.ROOT / "docker-compose.yml")
SERVICES = COMPOSE["services"]


@pytest.fixture(params=sorted(SERVICES))
def service(request):
    return SERVICES[request.param]


def test_compose_accepts_it():
    if shutil.which("docker-compose"):
        command = ["docker-compose"]
    else:
        command = [deployment.tool("docker"), "compose"]
    deployment.run(*command, "-f", deployment.ROOT / "docker-compose.yml", "config", "--quiet")


def test_it_has_the_whole_of_the_monitoring():
    assert set(SERVICES) == {"atelierd", "replica", "prometheus", "grafana", "node-exporter"}


def test_every_service_is_checked_limited_and_restarted(service):
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_pinned(service):
    name, _, tag = service["image"].partition(":")
    assert name and tag and tag != "latest"


def test_ports_are_published_on_this_machine_only(service):
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), port


def test_what_is_mounted_exists(service):
    for volume in service.get("volumes", []):
        source, _ = volume.split(":", 1)
        if source.startswith("./"):
            assert (deployment.ROOT / source).exists(), source
            assert volume.endswith(":ro"), volume
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"], source


@pytest.mark.parametrize("name", ["atelierd", "replica"])
def test_the_servers_flags_are_known(name):
    deployment.assert_known_flags(SERVICES[name]["command"])


def test_two_replicas_follow_the_server_where_it_keeps_its_data():
    replica = SERVICES["replica"]
    flags = deployment.flag_values(replica["command"])
    assert flags["role"] == "serving" and replica["image"] == SERVICES["atelierd"]["image"]
    volume = f"{SERVICES['atelierd']['volumes'][0].split(':')[0]}:{flags['registry']}:ro"
    assert volume in replica["volumes"]
    assert replica["deploy"]["replicas"] == 2 and replica["profiles"] == ["replicas"]
    first, last = map(int, replica["ports"][0].split(":")[1].split("-"))
    assert last - first + 1 == 2


def test_the_published_ports_are_those_it_listens_on():
    flags = deployment.flag_values(SERVICES["atelierd"]["command"])
    inside = {port.rsplit(":", 1)[1] for port in SERVICES["atelierd"]["ports"]}
    assert inside == {flags[f].rsplit(":", 1)[1] for f in ("listen", "metrics_listen")}


def test_prometheus_scrapes_the_services():
    config = deployment.load_yaml(deployment.DEPLOY / "prometheus" / "prometheus.yml")
    targets = {s["job_name"]: s["static_configs"][0]["targets"] for s in config["scrape_configs"]}
    metrics = deployment.flag_values(SERVICES["atelierd"]["command"])["metrics_listen"]
    assert targets["atelier"] == [f"atelierd:{metrics.rsplit(':', 1)[1]}"]
    assert targets["node"] == ["node-exporter:9100"]
    source, = deployment.load_yaml(
        deployment.DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_nobody_can_log_in_to_grafana():
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_override_in_the_documentation_is_sound():
    """The one that opens the server with TLS: services that there are, flags that are known."""
    text = (deployment.ROOT / "docs" / "deployment.md").read_text()
    override = next(deployment.yaml.safe_load(textwrap.dedent(block))
                    for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", text, re.M | re.S)
                    if "services:" in block)
    assert set(override["services"]) == {"atelierd"}
    service = override["services"]["atelierd"]
    assert "--allow_insecure" not in service["command"]
    deployment.assert_known_flags(service["command"])
