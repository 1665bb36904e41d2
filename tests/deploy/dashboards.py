"""A dashboard's JSON as its panels, variables and queries."""

import json
import re

BUILT_IN = {"__all", "__rate_interval", "__range", "__interval", "__url_time_range", "__value"}


class Dashboard:
    def __init__(self, path):
        self.path = path
        self.json = json.loads(path.read_text())

    def __repr__(self):
        return self.path.stem

    def panels(self):
        """Every panel but rows, also those of collapsed rows."""
        return [p for panel in self.json["panels"]
                for p in (panel["panels"] if panel["type"] == "row" else [panel])]

    def variables(self):
        return {v["name"]: v for v in self.json["templating"]["list"]}

    def annotations(self):
        return [a for a in self.json["annotations"]["list"] if not a.get("builtIn")]

    def queries(self):
        """(where, expression) of everything that asks Prometheus."""
        for panel in self.panels():
            for target in panel["targets"]:
                yield f"{self}: {panel['title']} {target['refId']}", target["expr"]
        for annotation in self.annotations():
            yield f"{self}: annotation {annotation['name']}", annotation["expr"]

    def variable_selectors(self):
        """The selectors of label_values(…) and the label each asks for."""
        for variable in self.variables().values():
            if variable["type"] == "query":
                query = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
                yield query[1], query[2]

    def links(self):
        """Addresses of other dashboards, wherever they stand."""
        return re.findall(r"/d/([\w-]+)", self.path.read_text())


def with_values(expression, rate_interval="1m", span="15m", **values):
    """The expression with its variables replaced, `.+` where none is given."""
    values = {"__rate_interval": rate_interval, "__range": span, "__interval": "5s", **values}
    return re.sub(r"\$\{?(\w+)\}?", lambda m: values.get(m[1], ".+"), expression)
