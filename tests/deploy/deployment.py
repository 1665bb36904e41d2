"""Reads the deployment's files the way their consumers do: what its tests share."""

import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
BIN = pathlib.Path(os.environ.get("ATELIER_BIN", ROOT / "build" / "release" / "bin"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))


def load_yaml(path):
    return yaml.safe_load(path.read_text())


def tool(name):
    """The path of a program that a test needs; skips the test where it is missing."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command, **options):
    """Runs a command and returns what it printed; its failure is the test's."""
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert finished.returncode == 0, (command, finished.stdout[-4000:], finished.stderr[-4000:])
    return finished.stdout


@functools.cache
def help_text(program, *command):
    """What `program command… --help` prints; skips where the program is not built."""
    if not (BIN / program).exists():
        pytest.skip(f"{BIN / program} is not built")
    finished = subprocess.run([str(BIN / program), *command, "--help"], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60)
    return finished.stdout + finished.stderr


def flags_of(program, *command):
    """Names of the flags that a program's --help lists: tls_cert, tls-ca. A list's line begins with
    them; examples and sentences do not count."""
    lines = re.findall(r"^ +(-.*?)(?: {2}|$)", help_text(program, *command), re.M)
    return {name for line in lines for name in re.findall(r"--([a-z][a-z0-9_-]*)", line)}


def flag_names(arguments):
    """Names of the flags among arguments: --listen=0.0.0.0:1 gives listen."""
    return {re.match(r"--([a-z0-9_-]+)", a)[1] for a in arguments if a.startswith("--")}


def flag_values(arguments):
    return dict(a[2:].split("=", 1) for a in arguments if a.startswith("--") and "=" in a)


def assert_known_flags(arguments):
    unknown = flag_names(arguments) - flags_of("atelierd")
    assert not unknown, f"atelierd does not know {sorted(unknown)}"


def project_version():
    return re.search(r"project\(atelier VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]


def documented_metrics():
    """The tables of docs/metrics.md: the type and the labels of each name."""
    metrics = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        row = re.match(r"\| `(\w+)` \| (counter|gauge|histogram|summary) \|([^|]*)\|", line)
        if row:
            metrics[row[1]] = (row[2], set(re.findall(r"`(\w+)`", row[3])))
    return metrics


def recorded_names():
    """The series that the recording rules make."""
    return {rule["record"] for path in RULES for group in load_yaml(path)["groups"]
            for rule in group["rules"] if "record" in rule}


# What others export. node_exporter's metrics are too many to list.
FOREIGN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "instance", "severity"}}
KEYWORDS = {"by", "on", "and", "or", "unless", "bool", "offset", "ignoring", "group_left", "without",
            "group_right"}


def used_metrics(expression):
    """The series that a PromQL expression selects: (name, labels it matches on)."""
    expression = re.sub(r"\[[^]]*\]", "", expression)
    expression = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ",
                        expression)
    found = []
    for name, braces in re.findall(r'([a-zA-Z_:][\w:]*)\s*(\{(?:"[^"]*"|[^}"])*\})?(?!\s*\()(?![\w:])',
                                   expression):
        if name in KEYWORDS:
            continue
        found.append((name, set(re.findall(r"(\w+)\s*[=!]~?", re.sub(r'"[^"]*"', '""', braces)))))
    return found


def base_metric(name):
    """The documented metric that a series belongs to, and the labels it has; None if there is none."""
    metrics = documented_metrics()
    common = {"instance", "job"}
    if name in metrics:
        kind, labels = metrics[name]
        return None if kind == "histogram" else (name, labels | common)
    for suffix, extra in (("_bucket", {"le"}), ("_sum", set()), ("_count", set())):
        base = name.removesuffix(suffix)
        if base != name and metrics.get(base, ("",))[0] == "histogram":
            return base, metrics[base][1] | common | extra
    return None


def assert_documented(expression):
    """Every series that an expression selects exists, with the labels it is selected by; returns
    the documented metrics among them."""
    used = set()
    for name, labels in used_metrics(expression):
        if name.startswith("node_"):
            continue
        if name in recorded_names():
            known = {"instance"}
        elif name in FOREIGN:
            known = FOREIGN[name]
        else:
            base = base_metric(name)
            assert base, f"{name} is neither in docs/metrics.md nor recorded: {expression}"
            used.add(base[0])
            known = base[1]
        assert labels <= known, f"{name} has no label {sorted(labels - known)}: {expression}"
    return used
