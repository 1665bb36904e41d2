"""Runs stream_bench against a server of its own that trains: what 1,000 watchers cost, as JSON.

    ATELIER_BIN=build/release/bin tests/bench/stream_bench.py [--connections=1000] [--stuck=100] …
"""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402


def main():
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        folder = pathlib.Path(folder)
        (folder / "small").mkdir()
        small = harness.make_subset(folder / "small", training=2000, test=500)
        with harness.Server(folder / "data", {"small": small}) as server:
            job = server.start_job("watched", epochs=10000, patience=10000)
            server.wait_event(job, "epoch")
            subprocess.run([harness.BIN / "stream_bench", f"--server={server.address}",
                            f"--pid={server.process.pid}", f"--job={job}", "--json",
                            *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
