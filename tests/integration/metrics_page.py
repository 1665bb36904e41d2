"""A metrics page as its families and samples."""

import re
import urllib.request


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


class Page:
    """What a server's metrics page shows at one moment."""

    def __init__(self, server):
        self.text = get(f"http://{server.metrics_address}/metrics")
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.M))
        # (name, labels, value) of every sample.
        self.samples = []
        for line in self.text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
            self.samples.append((name, labels, float(value)))

    def values(self, name, **labels):
        """The values of the samples with this name and at least these labels."""
        return [v for n, ls, v in self.samples if n == name and labels.items() <= ls.items()]

    def value(self, name, **labels):
        value, = self.values(name, **labels)
        return value

    def family(self, name):
        """The family that a sample's name belongs to."""
        for suffix in ("_bucket", "_sum", "_count"):
            base = name.removesuffix(suffix)
            if self.types.get(base) in ("histogram", "summary"):
                return base
        return name

    def exported(self):
        """Type and labels by family; `le` and `quantile` are part of the type."""
        families = {}
        for name, labels, _ in self.samples:
            family = self.family(name)
            known = families.setdefault(family, (self.types[family], set()))
            known[1].update(set(labels) - {"le", "quantile"})
        return families
