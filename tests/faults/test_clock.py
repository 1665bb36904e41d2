"""The wall clock is set, forwards and back, while a job runs: nothing is lost, nothing ends early or late,
and what is stored has no negative durations."""

import time

import pytest

import harness
from harness import inference_pb, job_pb, training_pb
from preloaded import FaultyServer
from recovery import LONG_SPEC, check_same, check_sound, check_times, wait_epoch

HOUR, DAY = 3600, 86400


@pytest.fixture
def server(data_dir, small_dataset):
    with FaultyServer(data_dir, {"small": small_dataset}, ["--lease=5s"]) as running:
        yield running


def set_clocks(clocks, seconds):
    for clock in clocks:
        clock.set_clock(seconds)


@pytest.mark.parametrize("who", ["server", "worker", "both"])
def test_a_clock_that_is_set_changes_nothing(server, long_undisturbed, who):
    clocks = {"server": [server.own], "worker": [server.workers],
              "both": [server.own, server.workers]}[who]
    name = server.start_job("clock", **LONG_SPEC)
    watcher = harness.Watcher(server, name)
    for epoch, seconds in zip((2, 10, 18, 26, 34), (HOUR, DAY, -DAY, 0, -HOUR)):
        wait_epoch(server, name, epoch)
        set_clocks(clocks, seconds)
        harness.wait_for(lambda: all(clock.readings for clock in clocks), 60, "a look at the clock")
    job = check_same(server, name, watcher.finish(), long_undisturbed)
    assert len(job.attempts) == 1, job.attempts
    check_times(job)
    assert server.stop() == 0
    check_sound(server)
    server.start()
    assert server.job(name) == job
    assert server.wait_job(server.start_job("next", epochs=1)).state == job_pb.JOB_STATE_COMPLETED


def test_attempts_that_end_before_they_began_by_the_clock_have_no_negative_durations(server):
    name = server.start_job("clock", **LONG_SPEC)
    for epoch, seconds in ((2, -DAY), (6, -2 * DAY)):
        wait_epoch(server, name, epoch)
        server.own.set_clock(seconds)
        server.kill_workers()
    job = server.wait_job(name)
    assert job.state == job_pb.JOB_STATE_COMPLETED and len(job.attempts) == 3
    check_times(job)


def test_a_worker_finds_its_server_again_though_its_clock_was_set_back(server):
    name = server.start_job("clock", **LONG_SPEC)
    wait_epoch(server, name, 2)
    server.kill()
    log = server.data_dir / "jobs" / name.removeprefix("jobs/") / "attempts" / "1" / "worker.log"
    harness.wait_for(lambda: "no connection to the server" in log.read_text(), 30, "the worker to dial")
    server.workers.set_clock(-DAY)
    server.start()
    harness.wait_for(lambda: log.read_text().count("attached to the server") == 2, 60, "the worker")
    assert len(server.job(name).attempts) == 1
    server.training.StopJob(training_pb.StopJobRequest(name=name))
    server.wait_job(name)


def test_images_that_wait_for_others_wait_no_longer_though_the_clock_was_set_back(data_dir, small_dataset):
    with FaultyServer(data_dir, {"small": small_dataset}, ["--batch_delay=1s"]) as server:
        server.wait_job(server.start_job("clock", epochs=1, model_name="clock"))
        request = inference_pb.ClassifyRequest(
            model="models/clock", raw=inference_pb.RawImages(pixels=bytes(28 * 28)))
        server.inference.Classify(request)  # Loads it.
        answer = server.inference.Classify.future(request, timeout=20)
        time.sleep(0.5)  # The fault belongs into the midst of its second.
        server.own.set_clock(-DAY)
        assert answer.result().model_version == "models/clock/versions/1"


def test_lists_have_the_order_of_submission_whatever_the_clock_said(server):
    names = []
    for seconds in (0, DAY, -DAY, HOUR, 0):
        server.own.set_clock(seconds)
        names.append(server.start_job("clock", preset="dense", epochs=1))
    listed, token = [], ""
    while True:
        page = server.training.ListJobs(training_pb.ListJobsRequest(page_size=2, page_token=token))
        listed += [job.name for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert listed == names[::-1]
    for name in names:
        check_times(server.wait_job(name))
