"""How benchmarks print what they measured several times, and whether it is what the documentation promises."""
import json
import statistics


class Report:
    """A line per figure with its median and range, or with as_json one object a line."""

    def __init__(self, as_json):
        self.as_json, self.kept = as_json, True

    def add(self, name, values, unit, promise="", kept=True):
        self.kept = self.kept and kept
        median = statistics.median(values)
        if self.as_json:
            print(json.dumps({"figure": name, "values": values, "median": median, "unit": unit,
                              "promise": promise, "kept": kept}), flush=True)
        else:
            print(f"{name:40}{median:10.2f} ({min(values):.2f} to {max(values):.2f}) {unit:6}"
                  f"{promise:16}{'' if not promise else 'kept' if kept else 'NOT KEPT'}".rstrip(), flush=True)
