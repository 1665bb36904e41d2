#!/usr/bin/python3
"""What nothing should break: the figures of docs/reliability.md on overload, recovery and growth.

    tests/bench/endurance_figures.py [--only=NAME,…] [--seconds=30] [--rounds=5] [--requests=1000000]
                                     [--streams=100000] [--hours=1] [--json]

overload     ten times too many jobs, watchers, uploads and requests at once: how soon health is answered
             meanwhile, and how soon the server is back when they have gone
connections  the same of ten times too many connections, by a connection made before them
recovery     kill -9 of the server and a start at once, and one after --down seconds: how soon after it is
             ready its worker, a watcher and callers are back
growth       what --requests requests and --streams short streams leave behind
soak         --hours of mixed use, sampled once a minute

Each has a server of its own. Clients and server share the machine. Prints a line per figure with its median and
range, and whether it is what docs/reliability.md promises; the exit code is 1 if it is not.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

import grpc  # noqa: E402

import harness  # noqa: E402
import http2  # noqa: E402
import metrics_page  # noqa: E402
from harness import inference_pb, training_pb, wait_for  # noqa: E402
from report import Report  # noqa: E402
from soak import TOLERATED, Footprint, Soak  # noqa: E402

MODEL = "figures"
# What the server allows (docs/serving.md, --max_queued_jobs, uploads): ten times as much is asked for.
STREAMS, CONNECTIONS, UPLOADS = 5_000, 10_000, 100
SETTLED = 50_000  # Requests after which memory counts.
NEAR_MIB = 128  # What may stay for three seconds after an overload: queued jobs, and the allocator's reserve.
# As the Python package connects.
CHANNEL = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 5000),
           ("grpc.max_reconnect_backoff_ms", 2000), ("grpc.use_local_subchannel_pool", 1)]
LONG = dict(preset="cnn-1", epochs=10_000, patience=10_000, cores=1)


def timed(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def scheduled(server):
    """Seconds for which threads of the server had a core, and for which they waited for one."""
    threads = pathlib.Path(f"/proc/{server.process.pid}/task")
    each = [path.read_text().split() for path in threads.glob("*/schedstat")]
    return [sum(int(fields[i]) for fields in each) / 1e9 for i in (0, 1)]


class Health(threading.Thread):
    """Asks for health every 20 ms by one connection and once a second for the metrics page and, if `command`, by
    `atelier health`."""

    def __init__(self, server, command):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(server.address, CHANNEL)
        self.check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.milliseconds, self.late, self.commands, self.pages = [], [], [], []
        self.failed = 0
        self.ended = threading.Event()
        self.others = [threading.Thread(target=self.each_second, args=[self.pages, lambda: metrics_page.get(
            f"http://{server.metrics_address}/metrics", timeout=60)])]
        if command:
            self.others.append(threading.Thread(target=self.each_second, args=[
                self.commands, lambda: server.run("health")]))
        self.ask()
        self.milliseconds.clear()

    def ask(self):
        begin = time.monotonic()
        try:
            self.failed += self.check(b"", timeout=30) != b"\x08\x01"
        except grpc.RpcError as error:
            note(f"health: {error.code().name}: {error.details()}")
            self.failed += 1
        self.milliseconds.append(1000 * (time.monotonic() - begin))

    def run(self):
        for other in self.others:
            other.start()
        while not self.ended.is_set():
            self.ask()
            # How much too late a sleeper wakes says how busy the machine is, whatever the server does.
            self.late.append(1000 * (timed(lambda: time.sleep(0.02)) - 0.02))

    def each_second(self, milliseconds, call):
        while not self.ended.wait(1):
            milliseconds.append(1000 * timed(call))

    def finish(self):
        self.ended.set()
        for thread in (self, *self.others):
            thread.join()
        self.channel.close()


class Caller(threading.Thread):
    """Classifies again and again by one connection and knows when it was answered.

    After a failure it does as the Python package: it pauses and then waits for the server.
    """

    def __init__(self, server):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(server.address, CHANNEL)
        self.classify = harness.stubs("inference_service").InferenceServiceStub(self.channel).Classify
        self.answered = []
        self.ended = threading.Event()

    def run(self):
        lost = False
        while not self.ended.wait(0.3 if lost else 0.02):
            try:
                self.classify(IMAGE, timeout=30, wait_for_ready=lost)
                self.answered.append(time.monotonic())
                lost = False
            except grpc.RpcError:
                lost = True
        self.channel.close()


class Lines(threading.Thread):
    """A command's lines of output, each with the time at which it came."""

    def __init__(self, *command):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        self.times, self.lines = [], []
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.times.append(time.monotonic())
            self.lines.append(line)

    def finish(self, number=signal.SIGTERM):
        """Ends the command by a signal, or 0: when it ends by itself. Returns its last line."""
        if number:
            self.process.send_signal(number)
        self.process.wait(timeout=120)
        self.join()
        return self.lines[-1] if self.lines else "{}"


IMAGE = inference_pb.ClassifyRequest(model=f"models/{MODEL}",
                                     raw=inference_pb.RawImages(pixels=bytes(28 * 28)))


class Figures:
    """Measures and reports. Every method named figure_… is a figure or several that belong together."""

    def __init__(self, flags, folder, report):
        self.flags, self.folder, self.report = flags, folder, report
        self.server = None

    def most(self, name, values, unit, limit, judge=max):
        self.report.add(name, values, unit, f"at most {limit}", judge(values) <= limit)

    def bench(self, *arguments):
        return [harness.BIN / "atelier", f"--server={self.server.address}", "--output=json", "bench", "classify",
                MODEL, "--warmup=0", *arguments]

    def measured(self, *arguments):
        return json.loads(subprocess.check_output(list(map(str, self.bench(*arguments)))))

    def loads(self, job):
        """The commands that together ask for ten times too much."""
        many = [sys.executable, pathlib.Path(__file__).with_name("overload_clients.py")]
        address = f"--server={self.server.address}"
        rates = {images: 10 * self.measured("--concurrency=16", f"--images={images}", "--duration=3")
                 ["requests_per_second"] for images in (1, 32)}
        note("; ".join(f"{rate:.0f} requests a second of {images}" for images, rate in rates.items()))
        return {"jobs": [*many, "jobs", address],
                "uploads": [*many, "uploads", address, f"--many={10 * UPLOADS}"],
                "watchers": [*many, "watchers", address, f"--many={10 * STREAMS}", f"--job={job}"],
                "connections": [*many, "connections", address, f"--many={10 * CONNECTIONS}"],
                **{f"classify-{images}": self.bench(
                    f"--rate={rate}", f"--images={images}", "--max-in-flight=10000", "--deadline=1",
                    f"--duration={self.flags.seconds + 600}") for images, rate in rates.items()}}

    def classify(self):
        self.server.inference.Classify(IMAGE)

    def figure_overload(self):
        self.overload(("jobs", "uploads", "watchers", "classify-1", "classify-32"))

    def figure_connections(self):
        self.overload(("connections",))

    def overload(self, kinds):
        job = self.server.start_job("watched", **dict(LONG, preset="cnn-3"))
        self.server.wait_event(job, "epoch")
        loads = self.loads(job)
        usual = statistics.median(1000 * timed(self.classify) for _ in range(50))
        before = Footprint.of(self.server)
        running = {name: Lines("nice", f"-n{self.flags.nice}", *loads[name]) for name in self.flags.loads or kinds}
        wait_for(lambda: all(one.lines for name, one in running.items() if not name.startswith("classify")),
                 what="the clients to begin")
        health = Health(self.server, command="connections" not in running)
        health.start()
        ran, waited = scheduled(self.server)
        time.sleep(self.flags.seconds)
        during = Footprint.of(self.server)
        note("the server's threads had a core for {:.1f} s and waited for one for {:.1f} s".format(
            *(now - old for now, old in zip(scheduled(self.server), (ran, waited)))))
        health.finish()
        for name, one in running.items():
            said = json.loads(one.finish(signal.SIGINT if name.startswith("classify") else signal.SIGTERM))
            for details in [key for key, value in said.items() if isinstance(value, (dict, list, str))]:
                del said[details]
            note(f"{name}: {said}")
        end = time.monotonic()
        self.back(end, max(10, 3 * usual))
        time.sleep(max(0, end + 3 - time.monotonic()))
        after = Footprint.of(self.server)
        note(f"before {before}; at the end of the load {during}; 3 s later {after}")
        self.report.add("health, a sleeper's delay", health.late, "ms")
        self.most("health, median", [statistics.median(health.milliseconds)], "ms", 100)
        p99 = statistics.quantiles(health.milliseconds, n=100, method="inclusive")[-1]
        self.most("health, p99", [p99], "ms", 100)
        self.most("health, all", health.milliseconds, "ms", 100)
        self.most("health that was not answered", [health.failed], "", 0)
        self.report.add("the metrics page", health.pages, "ms")
        if health.commands:
            self.report.add("atelier health, the whole command", health.commands, "ms")
        self.most("memory 3 s after the load", [after.resident_mib - before.resident_mib], "MiB", NEAR_MIB)

    def back(self, end, usual):
        """Seconds from the load's end until a call takes no longer than usual and a job runs."""
        wait_for(lambda: 1000 * timed(self.classify) <= usual, what="Classify to be as quick as before")
        self.most("until Classify is as quick as before", [time.monotonic() - end], "s", 3)
        queued = self.server.training.ListJobs(training_pb.ListJobsRequest(
            page_size=1, states=[harness.job_pb.JOB_STATE_QUEUED])).jobs
        for job in queued:
            self.server.training.StopJob(training_pb.StopJobRequest(name=job.name))
        urgent = self.server.start_job("urgent", priority=1)
        self.server.wait_job(urgent, "TRAINING", "EVALUATING", "STORING", "COMPLETED")
        self.most("until a new job trains", [time.monotonic() - end], "s", 3)

    def figure_recovery(self):
        job = self.server.start_job("watched", **LONG)
        self.server.wait_event(job, "epoch")
        for down in (0, self.flags.down):
            rounds = [self.recover(job, down) for _ in range(self.flags.rounds)]
            for name in rounds[0]:
                values = [each[name] for each in rounds]
                if name == "start":
                    self.report.add(f"down {down} s: start to readiness", values, "s")
                else:
                    self.most(f"down {down} s: {name}", values, "s", 3)
            self.most(f"down {down} s: attempts", [len(self.server.job(job).attempts)], "", 1)

    def recover(self, job, down):
        """Seconds from readiness until each is back."""
        watcher = Lines(harness.BIN / "atelier", f"--server={self.server.address}", "--output=json", "watch", job)
        caller = Caller(self.server)
        caller.start()
        log = self.server.data_dir / job / "attempts" / "1" / "worker.log"
        attached = log.read_text().count("attached to")
        wait_for(lambda: watcher.lines and caller.answered, what="the clients to begin")
        bench = Lines(*self.bench("--rate=100", f"--duration={down + 8}", "--deadline=1"))
        time.sleep(1)
        self.server.kill()
        killed = time.monotonic()
        time.sleep(down)
        begin = time.monotonic()
        self.server.start()
        ready = time.monotonic()
        back = {}

        def all_back():
            now = time.monotonic()
            for name, is_back in (("the worker", log.read_text().count("attached to") > attached),
                                  ("atelier watch", watcher.times[-1] > begin),
                                  ("a Python caller", caller.answered[-1] > begin)):
                if is_back:
                    back.setdefault(name, now - ready)
            return len(back) == 3

        wait_for(all_back, what="all of them to be back")
        failed = json.loads(bench.finish(0))["failed"]
        back["atelier bench"] = failed / 100 - (ready - killed)
        watcher.finish(signal.SIGINT)
        caller.ended.set()
        caller.join()
        return {"start": ready - begin, **{name: max(0, value) for name, value in back.items()}}

    def figure_growth(self):
        job = self.server.start_job("ended", epochs=1)
        self.server.wait_job(job)
        # One event of each, the last.
        request = training_pb.StreamMetricsRequest(name=job, after_number=self.server.events(job)[-1].number - 1)
        message = http2.grpc_message(request.SerializeToString())
        self.short_streams(message, 2000)
        answered = 0
        while answered < SETTLED:
            answered += self.measured("--connections=8", "--duration=2")["answered"]
        for name, load, count in (("requests", self.requests, self.flags.requests),
                                  ("streams", lambda n: self.short_streams(message, n), self.flags.streams)):
            before = self.settled()
            seconds = timed(lambda load=load, count=count: load(count))
            after = self.settled()
            note(f"{count:,} {name} in {seconds:.0f} s: before {before}, after {after}")
            self.report_growth(f"{count:,} {name}", before, after)

    def requests(self, count):
        answered = 0
        while answered < count:
            answered += self.measured("--connections=8", f"--duration={self.flags.seconds}")["answered"]

    def short_streams(self, message, count):
        """By connections of 100 streams each."""
        labels = dict(grpc_method="StreamMetrics", grpc_code="OK")
        before = sum(metrics_page.Page(self.server).values("grpc_server_handled_total", **labels))
        for _ in range(count // 100):
            with http2.Connection(self.server.address) as connection:
                for _ in range(100):
                    stream = connection.call("/atelier.v1.TrainingService/StreamMetrics")
                    connection.send(stream, message, end=True)
                wait_for(lambda: connection.read(1) and len(connection.ended) == 100, what="the streams' ends")
        answered = sum(metrics_page.Page(self.server).values("grpc_server_handled_total", **labels)) - before
        assert answered == count // 100 * 100, f"{answered} of {count} streams ended well"

    def settled(self):
        """What the server holds once connections are closed."""
        time.sleep(3)
        return Footprint.of(self.server)

    def report_growth(self, what, before, after):
        for name, old, new, most in zip(Footprint._fields, before, after, TOLERATED):
            self.most(f"{what}: {name.replace('_', ' ')} more", [new - old], "", most)

    def figure_soak(self):
        soak = Soak(self.server, self.folder, 3600 * self.flags.hours, self.flags.rate)
        bench = soak.run()
        self.report.add("rounds", [soak.rounds], "")
        self.most("rounds with an error", [soak.errors], "", 0)
        self.report.add("requests answered", [bench["answered"]], "")
        self.most("requests that failed", [bench["failed"]], "", 0)
        self.report.add("p99 of a request", [bench["latency_ms"]["p99"]], "ms")
        self.report_growth("last quarter", *soak.growth())


def main():
    known = [name.removeprefix("figure_") for name in vars(Figures) if name.startswith("figure_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(known), help=f"some of {', '.join(known)}")
    parser.add_argument("--loads", type=lambda text: text.split(","),
                        help="of overload, only these: jobs,uploads,watchers,connections,classify-1,classify-32")
    parser.add_argument("--nice", type=int, default=19, help="of overload's clients, which else take the cores")
    parser.add_argument("--seconds", type=float, default=30, help="of overload, and of a part of the requests")
    parser.add_argument("--rounds", type=int, default=5, help="of recovery")
    parser.add_argument("--down", type=float, default=5, help="seconds without a server, of recovery")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--hours", type=float, default=1, help="of soak")
    parser.add_argument("--rate", type=float, default=50, help="requests a second, of soak")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    report = Report(flags.json)
    for name in flags.only.split(","):
        if name not in known:
            parser.error(f"there is no figure {name}; there are {', '.join(known)}")
    for name in flags.only.split(","):
        with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
            folder = pathlib.Path(folder)
            (folder / "small").mkdir()
            small = harness.make_subset(folder / "small", training=2000, test=500)
            figures = Figures(flags, folder, report)
            with harness.Server(folder / "data", datasets={"small": small}) as figures.server:
                figures.server.wait_job(figures.server.start_job("figures", preset="cnn-3", model_name=MODEL,
                                                                 epochs=1))
                note(f"{name}, load of the machine: {' '.join(map(str, os.getloadavg()))}")
                getattr(figures, f"figure_{name}")()
    sys.exit(0 if report.kept else 1)


if __name__ == "__main__":
    main()
