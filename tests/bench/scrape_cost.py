#!/usr/bin/env python3
"""What being scraped every second costs classification and training, as JSON.

    tests/bench/scrape_cost.py [--seconds=6] [--rounds=6]

Rounds with and without scrapes take turns on one server, so that whatever else the machine does falls
on both alike. The processor time of one scrape, which does not depend on that, is told as well, as a
part of the machine's when there is one a second. Before that, how long a page of 50 running jobs and
20 loaded model versions takes, and its size.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402

CLIENTS = 4
JOBS, VERSIONS = 50, 20


def scrape(server):
    """The page."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
        return answer.read().decode()


def timed_scrape(server):
    """Seconds that it takes, and the page."""
    begin = time.perf_counter()
    page = scrape(server)
    return time.perf_counter() - begin, page


class Scraper(threading.Thread):
    """Reads the page once a second until it is stopped."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stopping = server, threading.Event()
        self.seconds, self.bytes = [], 0

    def run(self):
        while not self.stopping.wait(1):
            seconds, page = timed_scrape(self.server)
            self.seconds.append(seconds)
            self.bytes = len(page)

    def finish(self):
        self.stopping.set()
        self.join()


def cpu_of_a_scrape(server, scrapes=200):
    """Seconds of processor time that the server takes for one; it does nothing else meanwhile."""
    def cpu_seconds():
        return float(re.search(r"^process_cpu_seconds_total (\S+)$", scrape(server), re.M)[1])

    begin = cpu_seconds()
    for _ in range(scrapes - 1):
        scrape(server)
    return (cpu_seconds() - begin) / scrapes


def full_page(folder):
    """A page of JOBS jobs in training, whose workers pause meanwhile, and VERSIONS versions in memory."""
    data, seconds = folder / "small", []
    data.mkdir()
    harness.make_subset(data, 2000, 500)
    flags = [f"--workers={JOBS}", "--threads_per_worker=1", f"--serving_versions={VERSIONS}",
             "--lease=10m", "--shutdown_grace=1s"]
    with harness.Server(folder / "full", {"small": data}, flags) as server:
        for version in range(VERSIONS):
            server.wait_job(server.start_job(f"model-{version}", model_name=f"model-{version}"))
            server.inference.Classify(harness.inference_pb.ClassifyRequest(
                model=f"models/model-{version}",
                raw=harness.inference_pb.RawImages(pixels=bytes(28 * 28))))
        for _ in range(JOBS):
            job = server.start_job("long", epochs=1000, patience=1000)
            server.wait_event(job, "checkpoint")
            for pid in server.worker_pids():
                os.kill(pid, signal.SIGSTOP)
        for _ in range(100):
            taken, page = timed_scrape(server)
            seconds.append(taken)
    return {"jobs": len(re.findall(r"^atelier_job_epoch{", page, re.M)),
            "versions": len(re.findall(r"^atelier_model_memory_bytes{", page, re.M)),
            "scrape_ms_median": 1e3 * statistics.median(seconds), "scrape_ms_max": 1e3 * max(seconds),
            "page_bytes": len(page)}


def scraped(server, enabled, measure):
    if not enabled:
        return measure(), None
    scraper = Scraper(server)
    scraper.start()
    result = measure()
    scraper.finish()
    return result, scraper


def classify_rate(server, seconds):
    """Requests of one image a second, from several threads."""
    request = harness.inference_pb.ClassifyRequest(
        model="models/net", raw=harness.inference_pb.RawImages(pixels=bytes(28 * 28)))
    counts, end = [0] * CLIENTS, time.monotonic() + seconds

    def client(i):
        while time.monotonic() < end:
            server.inference.Classify(request)
            counts[i] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def steps_done(server, job):
    progress = server.job(job).progress
    return (progress.epoch - 1) * progress.steps_per_epoch + progress.step


def training_rate(server, job, seconds):
    """Steps a second."""
    begin, first = time.monotonic(), steps_done(server, job)
    time.sleep(seconds)
    return (steps_done(server, job) - first) / (time.monotonic() - begin)


def compare(server, rounds, measure):
    rates, scrape_seconds, page_bytes = {False: [], True: []}, [], 0
    for i in range(2 * rounds):
        enabled = i % 2 == 1
        rate, scraper = scraped(server, enabled, measure)
        rates[enabled].append(rate)
        if scraper:
            scrape_seconds += scraper.seconds
            page_bytes = scraper.bytes
    ratios = sorted(w / wo for w, wo in zip(rates[True], rates[False]))
    return {"without": rates[False], "with": rates[True], "ratio_median": statistics.median(ratios),
            "ratio_min": ratios[0], "ratio_max": ratios[-1],
            "scrape_ms_median": 1e3 * statistics.median(scrape_seconds), "page_bytes": page_bytes}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        full = full_page(pathlib.Path(folder))
        with harness.Server(pathlib.Path(folder) / "data") as server:
            server.wait_job(server.start_job("net", dataset="fashion-mnist", epochs=1,
                                             model_name="net"), timeout=600)
            classify_rate(server, 2)
            scrape = cpu_of_a_scrape(server)
            results = {"full_page": full, "scrape_cpu_ms": 1e3 * scrape,
                       "scrape_cpu_share": scrape / len(os.sched_getaffinity(0)),
                       "classify": compare(server, arguments.rounds,
                                           lambda: classify_rate(server, arguments.seconds))}
            job = server.start_job("train", preset="cnn-1", dataset="fashion-mnist", epochs=1000,
                                   patience=1000, cores=2)
            server.wait_event(job, "step")
            time.sleep(2)
            results["training"] = compare(server, arguments.rounds,
                                          lambda: training_rate(server, job, arguments.seconds))
            server.training.StopJob(harness.training_pb.StopJobRequest(name=job))
            server.wait_job(job, "STOPPED")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
