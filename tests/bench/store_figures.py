#!/usr/bin/python3
"""What a server with a long past costs: the figures of docs/reliability.md on many stored jobs and events.

    tests/bench/store_figures.py [--jobs=100000] [--events=10000000] [--long=1000000] [--rounds=5] [--json]

Trains one small job, stops the server and writes copies of that job into its database, so that jobs and
events are as many as asked for, one job having --long of them. Then it starts the server on it several
times and measures: start to the first answer, ListJobs of the newest and the oldest page, a job, and the events
of the long job from the first to the last. Prints a line per figure with its median and range, and whether it
is what docs/reliability.md promises; the exit code is 1 if it is not. Needs about 100 bytes an event of disk.
"""
import argparse
import json
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

import harness  # noqa: E402
from metrics_page import Page  # noqa: E402
from report import Report  # noqa: E402

job_pb, training_pb = harness.job_pb, harness.training_pb


def padded(template, count):
    """The job's events, (kind, message) each, with its first step repeated so that they are `count`."""
    step = next(i for i, event in enumerate(template) if event.WhichOneof("event") == "step")
    events = template[:step] + [template[step]] * (1 + count - len(template)) + template[step + 1:]
    for number, event in enumerate(events, 1):
        copy = job_pb.JobEvent.FromString(event.SerializeToString())
        copy.number = number
        kind = job_pb.JobEvent.DESCRIPTOR.fields_by_name[copy.WhichOneof("event")].number
        yield number, kind, copy.SerializeToString()


def multiply(database, template, flags):
    """Writes the copies, of which the last is the job `long`."""
    base = sqlite3.connect(database)
    base.row_factory = sqlite3.Row
    base.execute("PRAGMA synchronous = OFF")
    row = dict(base.execute("SELECT * FROM jobs").fetchone())
    columns = [name for name in row if name != "key"]
    insert = f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    each = max(len(template), (flags.events - flags.long) // flags.jobs)
    common = list(padded(template, each))

    def add(job_id, events):
        job = job_pb.TrainingJob.FromString(row["job"])
        job.name = f"jobs/{job_id}"
        values = {**row, "id": job_id, "job": job.SerializeToString(), "request_id": None,
                  "last_event": events[-1][0]}
        key = base.execute(insert, [values[name] for name in columns]).lastrowid
        base.executemany("INSERT INTO events (job, number, kind, event) VALUES (?, ?, ?, ?)",
                         ((key, *event) for event in events))

    with base:
        for i in range(flags.jobs - 1):
            add(f"copy-{i:07}", common)
        add("long", list(padded(template, flags.long)))
    base.close()


def timed(call):
    begin = time.monotonic()
    answer = call()
    return time.monotonic() - begin, answer


def write_logs(server):
    """Lets the server write the TensorBoard logs of all these jobs, which it did long ago for a real past."""
    server.start()
    before, used = None, 0
    while before is None or used - before > 0.2:
        time.sleep(5)
        before, used = used, Page(server).value("process_cpu_seconds_total")
    server.stop()


def measure(server, flags):
    report = Report(flags.json)
    write_logs(server)
    starts, replays = [], []
    pages = {"newest": [], "oldest": []}
    jobs = []
    for _ in range(flags.rounds):
        def ready():
            server.start()
            server.training.GetJob(training_pb.GetJobRequest(name="jobs/long"))

        starts.append(timed(ready)[0])

        def page(token=""):
            return server.training.ListJobs(training_pb.ListJobsRequest(page_size=100, page_token=token))

        token = ""
        while True:
            seconds, answer = timed(lambda token=token: page(token))
            if not token:
                pages["newest"].append(1000 * seconds)
            if not answer.next_page_token:
                pages["oldest"].append(1000 * seconds)
                break
            token = answer.next_page_token
        for i in range(0, flags.jobs - 1, max(1, flags.jobs // 50)):
            request = training_pb.GetJobRequest(name=f"jobs/copy-{i:07}")
            jobs.append(1000 * timed(lambda request=request: server.training.GetJob(request))[0])
        replay = json.loads(subprocess.check_output(
            [str(harness.BIN / "stream_bench"), f"--server={server.address}", f"--pid={server.process.pid}",
             "--job=jobs/long", "--connections=1", "--seconds=0", "--json"]))
        assert replay["events"] == flags.long, f"{replay['events']} of {flags.long} events came"
        replays.append(replay["events"] / replay["seconds_to_catch_up"])
        server.stop()
    def add(name, values, unit, most):
        report.add(name, values, unit, f"at most {most}", statistics.median(values) <= most)

    add("start to the first answer", starts, "s", 2)
    for name, values in pages.items():
        add(f"ListJobs, the {name} page", values, "ms", 20)
    add("GetJob", jobs, "ms", 20)
    report.add("events replayed to one client, a second", replays, "", "at least 100000",
               statistics.median(replays) >= 100_000)
    return report.kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--long", type=int, default=1_000_000, help="events of one of the jobs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the database is put; default: the system's for temporary files")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    if flags.jobs < 2 or flags.rounds < 1 or flags.long < 100:
        parser.error("--jobs must be at least 2, --rounds 1, --long 100")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-", dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        (folder / "small").mkdir()
        small = harness.make_subset(folder / "small", training=2000, test=500)
        server = harness.Server(folder / "data", datasets={"small": small})
        with server:
            job = server.start_job("template", epochs=1)
            server.wait_job(job)
            template = server.events(job)
            server.stop()
            seconds, _ = timed(lambda: multiply(folder / "data" / "atelier.db", template, flags))
            print(f"{flags.jobs:,} jobs with {flags.events:,} events, written in {seconds:.0f} s; the database has "
                  f"{(folder / 'data' / 'atelier.db').stat().st_size / 1e9:.1f} GB", file=sys.stderr)
            kept = measure(server, flags)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
