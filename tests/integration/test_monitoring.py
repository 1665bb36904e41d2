"""The monitoring with the real thing: Debian's Prometheus watches a server that trains and serves,
and every query of every dashboard panel finds data."""

import json
import math
import socket
import subprocess
import sys
import threading
import urllib.parse

import grpc
import pytest

import harness
from metrics_page import get

sys.path.insert(0, str(harness.ROOT / "tests" / "deploy"))

import deployment  # noqa: E402
from dashboards import Dashboard, with_values  # noqa: E402

BOARDS = [Dashboard(path) for path in deployment.DASHBOARDS]
# As short as rates allow: a rate needs two samples in its window. What happens once must stay in the
# window until it is asked for.
SCRAPE_INTERVAL, RATE_INTERVAL = "1s", "5m"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Debian's Prometheus with the rules of deploy/, watching a server and this machine."""

    def __init__(self, folder, targets):
        self.folder, self.targets = folder, targets
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = None

    def __enter__(self):
        config = deployment.load_yaml(deployment.DEPLOY / "prometheus" / "prometheus.yml")
        config["global"] = {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL,
                            "evaluation_interval": SCRAPE_INTERVAL}
        config["rule_files"] = [str(path) for path in deployment.RULES]
        for scrape in config["scrape_configs"]:
            scrape["static_configs"] = [{"targets": [self.targets.pop(scrape["job_name"])]}]
        config["scrape_configs"] += [{"job_name": name, "static_configs": [{"targets": [target]}]}
                                     for name, target in self.targets.items()]
        (self.folder / "prometheus.yml").write_text(deployment.yaml.safe_dump(config))
        with open(self.folder / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                [deployment.tool("prometheus"), f"--config.file={self.folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={self.folder / 'tsdb'}",
                 f"--web.listen-address={self.url.removeprefix('http://')}"],
                stdout=log, stderr=log)
        harness.wait_for(self.ready, what="Prometheus to be ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def ready(self):
        assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()[-3000:]
        try:
            get(f"{self.url}/-/ready")
            return True
        except OSError:
            return False

    def api(self, path, **parameters):
        answer = json.loads(get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        return self.api("query", query=expression)["result"]

    def numbers(self, expression):
        """The values that an expression has now; NaN, which charts leave out, is left out."""
        values = [float(sample["value"][1]) for sample in self.query(expression)]
        return [v for v in values if not math.isnan(v)]


class Load(threading.Thread):
    """Classifies images without a pause until it is stopped; every tenth time also in vain."""

    def __init__(self, server, model):
        super().__init__(daemon=True)
        self.server, self.model, self.stopping = server, model, threading.Event()
        self.answered = self.refused = 0

    def classify(self, model):
        pixels = bytes(28 * 28 * 8)
        self.server.inference.Classify(harness.inference_pb.ClassifyRequest(
            model=model, raw=harness.inference_pb.RawImages(pixels=pixels)))

    def run(self):
        while not self.stopping.is_set():
            self.classify(self.model)
            self.answered += 1
            if self.answered % 10 == 0:
                try:
                    self.classify("models/missing")
                except grpc.RpcError:
                    self.refused += 1

    def finish(self):
        self.stopping.set()
        self.join(30)


@pytest.fixture(scope="module")
def watched(tmp_path_factory, small_dataset):
    """A server under training and load, its replica, and the Prometheus that has watched them from their start."""
    folder = tmp_path_factory.mktemp("monitoring")
    node = free_port()
    exporter = subprocess.Popen(
        [deployment.tool("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{node}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with (harness.Server(folder / "data", datasets={"small": small_dataset}) as server,
              harness.Server(folder / "replica", flags=["--role=serving", f"--registry={server.data_dir}"]) as replica):
            targets = {"atelier": server.metrics_address, "node": f"127.0.0.1:{node}",
                       "replica": replica.metrics_address}
            prometheus = Prometheus(folder, targets | {"prometheus": "127.0.0.1:1"})
            with prometheus:
                # What happens before the first scrape cannot be seen to happen.
                harness.wait_for(
                    lambda: prometheus.numbers('count_over_time(up{job="atelier"}[1m]) > 1'),
                    what="the first scrapes")
                server.wait_job(server.start_job("quick", model_name="net"))
                finished = server.start_job("finished", epochs=10000, patience=10000)
                harness.wait_for(
                    lambda: prometheus.numbers('atelier_job_cores{job=~"finished.*"}'),
                    what="a scrape of the job that ends")
                server.training.StopJob(harness.training_pb.StopJobRequest(name=finished))
                server.wait_job(finished, "STOPPED")
                running = server.start_job("running", epochs=10000, patience=10000)
                server.wait_event(running, "epoch")
                load = Load(server, "models/net")
                load.start()
                harness.wait_for(lambda: load.refused, what="the first answers")
                yield server, prometheus
                load.finish()
                assert load.refused == load.answered // 10
                server.training.StopJob(harness.training_pb.StopJobRequest(name=running))
                server.wait_job(running, "STOPPED")
    finally:
        exporter.terminate()
        exporter.wait(30)


def test_promtool_finds_nothing_wrong_with_the_page(watched):
    server, _ = watched
    page = get(f"http://{server.metrics_address}/metrics")
    checked = subprocess.run([deployment.tool("promtool"), "check", "metrics"], input=page,
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_targets_are_up_and_jobs_keep_their_own_label(watched):
    _, prometheus = watched
    for target in ("atelier", "node"):
        harness.wait_for(lambda name=target: prometheus.numbers(f'up{{job="{name}"}}') == [1],
                         what=f"{target} to be up")
    # By the time of the next scrape the job that ended before is gone.
    harness.wait_for(
        lambda: [s["metric"]["job"].split("-")[0] for s in prometheus.query("atelier_job_epoch")]
        == ["running"], what="the running job's series, and no other")


def test_the_rules_are_loaded_and_evaluated(watched):
    _, prometheus = watched

    def evaluated():
        groups = prometheus.api("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else None

    rules = harness.wait_for(evaluated, what="every rule to be evaluated")
    written = [rule.get("alert") or rule["record"] for path in deployment.RULES
               for group in deployment.load_yaml(path)["groups"] for rule in group["rules"]]
    assert sorted(rule["name"] for rule in rules) == sorted(written)


def test_nothing_alerts_while_all_is_well(watched):
    _, prometheus = watched
    alerts = prometheus.api("alerts")["alerts"]
    # The machine that runs the tests may itself be short of memory or disk, or busy.
    machines = ("AtelierDisk", "AtelierMemory", "AtelierLatency")
    ours = [a for a in alerts if not a["labels"]["alertname"].startswith(machines)]
    assert [a["labels"]["alertname"] for a in ours if a["state"] == "firing"] == []


@pytest.mark.parametrize("board", BOARDS, ids=repr)
def test_every_query_of_every_panel_finds_data(watched, board):
    _, prometheus = watched
    # Of Slurm and Kubernetes there are none here: tests/beyond has them.
    missing = [(panel["title"], target["expr"]) for panel in board.panels()
               for target in panel["targets"] if "atelier_engine_" not in target["expr"]]

    def all_found():
        # A query is crossed off when it has data; panels of rare events have theirs at their time.
        missing[:] = [(title, expression) for title, expression in missing
                      if not prometheus.numbers(with_values(expression, RATE_INTERVAL))]
        return not missing

    try:
        harness.wait_for(all_found, timeout=90)
    except AssertionError:
        raise AssertionError("no data for " + "\n".join(map(str, missing))) from None


@pytest.mark.parametrize("board", BOARDS, ids=repr)
def test_every_variable_has_values_and_every_annotation_is_accepted(watched, board):
    _, prometheus = watched
    for selector, label in board.variable_selectors():
        series = prometheus.api("series", **{"match[]": with_values(selector)})
        assert {s[label] for s in series}, selector
    for annotation in board.annotations():
        prometheus.query(with_values(annotation["expr"]))


def test_the_rules_pass_their_own_tests(watched):
    deployment.run(deployment.tool("promtool"), "check", "rules", *deployment.RULES)
    tests = deployment.ROOT / "tests" / "deploy" / "rules_test.yml"
    deployment.run(deployment.tool("promtool"), "test", "rules", tests)


def test_series_of_an_ended_job_are_gone_from_the_page(watched):
    server, prometheus = watched
    page = get(f"http://{server.metrics_address}/metrics")
    assert 'job="running' in page and 'job="finished' not in page
    # Prometheus has seen both.
    seen = prometheus.api("series", **{"match[]": "atelier_job_cores"})
    assert {series["job"].split("-")[0] for series in seen} >= {"finished", "running"}
