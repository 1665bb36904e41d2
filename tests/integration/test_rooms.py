"""The table of rooms in docs/architecture.md is what the sources include, and its file names exist."""
import collections
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
TOPS = ("models", "server", "client", "proto")

LIBRARIES = {
    "LibTorch": r"(torch|ATen|c10)/",
    "Highway": r"hwy/",
    "ONNX": r"onnx/",
    "libpng, libjpeg-turbo, libwebp": r"((png|jpeglib)\.h|webp/)",
    "libarchive": r"archive(_entry)?\.h",
    "SQLite": r"(SQLiteCpp/|sqlite3)",
    "libcurl": r"curl/",
    "libseccomp": r"seccomp\.h",
    "prometheus-cpp": r"prometheus/",
    "libmicrohttpd": r"microhttpd\.h",
    "gRPC": r"(grpcpp/|grpc/|.*\.grpc\.pb\.h)",
    "CLI11": r"CLI/",
}


def rows(heading):
    """The rows of the table whose first column has this heading, as lists of cells."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def names(cell):
    return set(re.findall(r"`([^`]+)`", cell))


def includes():
    """Every source file with the headers it includes."""
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield (path.relative_to(ROOT),
                       re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE))


def room(path):
    return str(pathlib.PurePath(path).parent)


def test_rooms_include_what_the_table_says():
    found = collections.defaultdict(set)
    for path, headers in includes():
        found[room(path)].update(room(header) for header in headers
                                 if header.startswith(TOPS) and (ROOT / header).exists())
    written = {names(row[0]).pop(): names(row[2]) for row in rows("room")}
    assert {name: sorted(rooms - {name}) for name, rooms in found.items()} == \
        {name: sorted(rooms) for name, rooms in written.items()}


def test_rooms_include_only_rooms_above_them_in_the_table_or_wire_them():
    order = [names(row[0]).pop() for row in rows("room")]
    for name, _, cell in rows("room"):
        for other in names(cell):
            assert order.index(other) < order.index(names(name).pop()), f"{name} includes {other}"


def test_libraries_stay_in_their_rooms():
    found = collections.defaultdict(set)
    for path, headers in includes():
        for library, pattern in LIBRARIES.items():
            if any(re.match(pattern, header) for header in headers):
                found[library].add(room(path))
    assert found == {row[0]: names(row[1]) for row in rows("library")}


def test_files_that_the_page_names_exist():
    written = re.findall(r"`((?:models|server|client|proto|tests|deploy|docs)/[\w./-]*\.\w+)`", PAGE)
    assert written
    assert [name for name in written if not (ROOT / name).exists()] == []
