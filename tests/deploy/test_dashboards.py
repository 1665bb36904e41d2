"""The dashboards are sound: laid out, described, linked, and about series that exist."""

import itertools
import re

import pytest

import deployment
from dashboards import BUILT_IN, Dashboard, with_values

BOARDS = [Dashboard(path) for path in deployment.DASHBOARDS]
# Metrics that no panel shows and no rule uses, and why.
SHORT = "takes seconds to minutes; `atelier watch` shows it"
NOT_CHARTED = {
    "atelier_job_imported_images": SHORT,
    "atelier_job_scored_images": SHORT,
    "atelier_log_lines_dropped_total": "the log itself tells how many, once it is read again",
}


@pytest.fixture(params=BOARDS, ids=repr)
def board(request):
    return request.param


def all_panels(board):
    return [p for panel in board.json["panels"] for p in (panel, *panel.get("panels", []))]


def test_there_are_the_two_that_the_documentation_names():
    assert [b.path.stem for b in BOARDS] == ["serving", "training"]
    assert [b.json["uid"] for b in BOARDS] == ["atelier-serving", "atelier-training"]


def test_the_frame_is_complete(board):
    assert board.json["title"] and board.json["description"]
    assert board.json["schemaVersion"] >= 39 and board.json["tags"] == ["atelier"]
    assert board.json["refresh"] and board.json["graphTooltip"] == 1
    ids = [p["id"] for p in all_panels(board)]
    assert len(ids) == len(set(ids)), "panel ids are not unique"


def test_panels_lie_on_the_grid_and_do_not_overlap(board):
    panels = all_panels(board)
    for panel in panels:
        at = panel["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24 and at["w"] > 0 and at["h"] > 0, panel["title"]
    for a, b in itertools.combinations(panels, 2):
        p, q = a["gridPos"], b["gridPos"]
        apart = (p["x"] + p["w"] <= q["x"] or q["x"] + q["w"] <= p["x"]
                 or p["y"] + p["h"] <= q["y"] or q["y"] + q["h"] <= p["y"])
        assert apart, f"{a['title']} lies on {b['title']}"


def test_every_panel_says_what_it_shows(board):
    for panel in board.panels():
        title = panel["title"]
        assert title and panel["description"].endswith("."), title
        defaults = panel["fieldConfig"]["defaults"]
        unit = panel["options"]["yAxis"]["unit"] if panel["type"] == "heatmap" else defaults["unit"]
        assert unit, title
        if panel["type"] != "heatmap":
            assert defaults["thresholds"]["steps"][0]["value"] is None, title
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"], title
            legends = [t["legendFormat"] for t in panel["targets"]]
            assert all(legends) and len(set(legends)) == len(legends), title


def test_units_fit_the_metrics(board):
    """A byte is drawn as bytes, a second as seconds, a fraction as a percentage."""
    for panel in board.panels():
        if panel["type"] in ("table", "heatmap"):
            continue
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            expression = target["expr"]
            names = [n for n, _ in deployment.used_metrics(expression)]
            if " / " in expression or expression.startswith("count("):
                continue
            if "_bucket" in expression and names[0].endswith("_seconds_bucket"):
                expected = "s"
            elif all(re.search(r"_bytes(_total)?$", n) for n in names):
                expected = "Bps" if "rate(" in expression else "bytes"
            elif names[0].endswith("cpu_seconds_total"):
                expected = "suffix: cores" if "rate(" in expression else "s"
            elif names[0].endswith("_timestamp_seconds") or names[0].endswith("_start_time_seconds"):
                expected = "s"
            elif names[0].endswith("_ratio"):
                expected = "percentunit"
            else:
                continue
            assert unit == expected, (panel["title"], expression)


def test_nothing_names_a_data_source_of_its_own(board):
    for panel in board.panels():
        for source in [panel["datasource"], *(t["datasource"] for t in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    for variable in board.variables().values():
        if variable["type"] == "query":
            assert variable["datasource"]["uid"] == "${datasource}"
    for annotation in board.annotations():
        assert annotation["datasource"]["uid"] == "${datasource}"


def test_variables_are_declared_and_used(board):
    declared = set(board.variables())
    used = set(re.findall(r"\$\{?(\w+)", board.path.read_text())) - BUILT_IN
    assert used == declared
    wanted = {"training": {"job"}, "serving": {"model", "version"}}[board.path.stem]
    assert wanted | {"datasource", "instance"} == declared


def test_the_dashboards_lead_to_each_other(board):
    uids = {b.json["uid"] for b in BOARDS}
    assert set(board.links()) == uids, "links to dashboards that are not there, or to none"
    assert all(link["keepTime"] and link["includeVars"] for link in board.json["links"])


def test_every_query_asks_for_series_that_are_exported(board):
    for _, expression in board.queries():
        deployment.assert_documented(with_values(expression))
    for selector, label in board.variable_selectors():
        deployment.assert_documented(with_values(selector))
        (name, _), = deployment.used_metrics(with_values(selector))
        assert label in deployment.base_metric(name)[1]


def test_legends_name_labels_that_the_query_keeps(board):
    for panel in board.panels():
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                kept = re.findall(r"\bby \(([^)]*)\)", target["expr"])
                if kept:
                    assert any(label in k.split(", ") for k in kept), (panel["title"], label)
                else:
                    name, _ = deployment.used_metrics(with_values(target["expr"]))[0]
                    if name in deployment.recorded_names():
                        assert label == "instance"
                    elif not name.startswith("node_"):
                        assert label in deployment.base_metric(name)[1], (panel["title"], label)


def test_every_query_is_promql(board, tmp_path):
    rules = [{"record": f"q{n}", "expr": with_values(expression)}
             for n, (_, expression) in enumerate(board.queries())]
    path = tmp_path / "queries.yml"
    path.write_text(deployment.yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    deployment.run(deployment.tool("promtool"), "check", "rules", path)


def test_every_exported_metric_is_on_a_dashboard_or_in_a_rule():
    used = set()
    for board in BOARDS:
        for _, expression in board.queries():
            used |= deployment.assert_documented(with_values(expression))
    for path in deployment.RULES:
        for group in deployment.load_yaml(path)["groups"]:
            for rule in group["rules"]:
                used |= deployment.assert_documented(rule["expr"])
    missing = set(deployment.documented_metrics()) - used - set(NOT_CHARTED)
    assert not missing, f"neither charted nor listed in NOT_CHARTED: {sorted(missing)}"
    assert not set(NOT_CHARTED) & used


def test_grafana_is_provisioned_with_them():
    provisioning = deployment.DEPLOY / "grafana" / "provisioning"
    source, = deployment.load_yaml(provisioning / "datasources" / "prometheus.yml")["datasources"]
    assert source["type"] == "prometheus" and source["isDefault"] and source["uid"]
    scrape = deployment.load_yaml(deployment.DEPLOY / "prometheus" / "prometheus.yml")["global"]
    assert source["jsonData"]["timeInterval"] == scrape["scrape_interval"]
    provider, = deployment.load_yaml(provisioning / "dashboards" / "atelier.yml")["providers"]
    grafana = deployment.load_yaml(deployment.ROOT / "docker-compose.yml")["services"]["grafana"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/training.json"
