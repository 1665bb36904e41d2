"""Prometheus' configuration and rules: valid, tested, documented."""

import re

import deployment

PROMETHEUS = deployment.DEPLOY / "prometheus"
TESTS = [deployment.ROOT / "tests" / "deploy" / n for n in ("rules_test.yml", "slow_rules_test.yml")]


def alerts():
    return [rule for path in deployment.RULES for group in deployment.load_yaml(path)["groups"]
            for rule in group["rules"] if "alert" in rule]


def test_promtool_accepts_configuration_and_rules():
    promtool = deployment.tool("promtool")
    deployment.run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    deployment.run(promtool, "check", "rules", *deployment.RULES)


def test_the_unit_tests_of_the_rules_pass():
    deployment.run(deployment.tool("promtool"), "test", "rules", *TESTS)


def test_every_alert_is_shown_to_fire():
    shown = {case["alertname"] for path in TESTS for group in deployment.load_yaml(path)["tests"]
             for case in group.get("alert_rule_test", []) if case.get("exp_alerts")}
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    assert set(names) == shown


def test_every_alert_says_how_soon_and_what_and_the_documentation_what_to_do():
    text = (deployment.ROOT / "docs" / "deployment.md").read_text()
    for rule in alerts():
        assert rule["alert"].startswith("Atelier")
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"].endswith(".")
        assert f"| `{rule['alert']}` |" in text, f"docs/deployment.md has no line on {rule['alert']}"


def test_rules_ask_for_series_that_are_exported():
    for path in deployment.RULES:
        for group in deployment.load_yaml(path)["groups"]:
            for rule in group["rules"]:
                deployment.assert_documented(rule["expr"])


def test_the_same_codes_count_as_the_servers_fault_everywhere():
    files = [*deployment.RULES, *deployment.DASHBOARDS]
    lists = {codes for path in files for codes in re.findall(r'code=~\\?"([A-Z_|]+)', path.read_text())}
    assert len(lists) == 1, lists


def test_jobs_keep_their_own_label():
    config = deployment.load_yaml(PROMETHEUS / "prometheus.yml")
    atelier, = [s for s in config["scrape_configs"] if s["job_name"] == "atelier"]
    assert atelier["honor_labels"] is True
