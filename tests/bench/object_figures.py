#!/usr/bin/python3
"""How fast a large object goes to a real S3-compatible store on this machine and comes back (object_bench),
beside what the disk takes, and what the store takes without S3: four plain uploads at once to its filer.

    tests/bench/object_figures.py [--mib=512] [--rounds=5] [--bench=build/release/bin/object_bench] [--json]

With --bench another build of object_bench is measured in turn with this one.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "beyond")]

import harness  # noqa: E402
import report  # noqa: E402
import s3_store  # noqa: E402


def disk(source, target):
    """MB/s of a copy that is durable."""
    content = source.read_bytes()
    begin = time.monotonic()
    with open(target, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    return len(content) / 1e6 / (time.monotonic() - begin)


def plain(store, number, source):
    """MB/s of plain uploads in parts, without signatures and checks."""
    part = source.read_bytes()[:16 << 20]
    parts = source.stat().st_size // len(part)

    def put(name):
        request = urllib.request.Request(
            f"http://127.0.0.1:{store.ports[2]}/buckets/{s3_store.BUCKET}/plain-{number}-{name}", part, method="PUT")
        urllib.request.urlopen(request).read()

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(put, range(parts)))
    return parts * len(part) / 1e6 / (time.monotonic() - begin)


def move(bench, store, number, source, back):
    """MB/s of the upload and of the fetch."""
    back.unlink(missing_ok=True)
    done = subprocess.run(
        [bench, f"--artifacts=s3://{s3_store.BUCKET}/{number}", f"--s3_endpoint={store.url}", f"--file={source}",
         f"--back={back}"], capture_output=True, text=True, check=True,
        env=dict(os.environ, AWS_ACCESS_KEY_ID=s3_store.KEY, AWS_SECRET_ACCESS_KEY=s3_store.SECRET))
    assert back.read_bytes() == source.read_bytes()
    return [float(speed) for speed in re.findall(r"(\d+) MB/s", done.stdout)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bench", help="another object_bench to measure in turn")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    program, missing = s3_store.program()
    if missing:
        sys.exit(f"object_figures.py: SKIPPED: {missing}")
    benches = {"": str(harness.BIN / "object_bench")}
    if flags.bench:
        benches["other: "] = flags.bench
    figures = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        folder = pathlib.Path(folder)
        source = folder / "object"
        source.write_bytes(os.urandom(1 << 20) * flags.mib)
        with s3_store.Store(program, folder / "store", s3_store.free_ports()) as store:
            for number in range(flags.rounds):
                figures.setdefault("disk", []).append(disk(source, folder / "copy"))
                figures.setdefault("store, plain uploads", []).append(plain(store, number, source))
                for name, bench in benches.items():
                    sent, fetched = move(bench, store, f"{number}{len(name)}", source, folder / "back")
                    figures.setdefault(f"{name}upload", []).append(sent)
                    figures.setdefault(f"{name}fetch", []).append(fetched)
    out = report.Report(flags.json)
    for name, speeds in figures.items():
        out.add(name, speeds, "MB/s")


if __name__ == "__main__":
    sys.exit(main())
