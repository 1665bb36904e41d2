"""The index of decisions names every decision, by its title and with one status."""
import pathlib
import re

DECISIONS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "decisions"


def test_index_of_decisions_is_complete():
    titles = {}
    for path in DECISIONS.glob("[0-9]*.md"):
        heading = re.fullmatch(r"# (\d{3}): (\S.*)", path.read_text().splitlines()[0])
        assert heading, f"{path.name} begins with '# NNN: Title'"
        assert path.name.startswith(heading.group(1) + "-"), path.name
        titles[path.name] = heading.groups()
    rows = re.findall(r"^\| \[(\d{3})\]\((.*)\) \| (.*) \| (.*) \|$",
                      (DECISIONS / "README.md").read_text(), re.MULTILINE)
    assert {name: (number, title) for number, name, title, _ in rows} == titles
    numbers = {number for number, _ in titles.values()}
    for _, name, _, status in rows:
        assert re.fullmatch(r"in force(, amended by \d{3}( and \d{3})*)?|replaced by \d{3}", status), f"{name}: {status}"
        assert set(re.findall(r"\d{3}", status)) <= numbers, f"{name}: {status}"
