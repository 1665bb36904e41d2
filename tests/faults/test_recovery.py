"""Whatever is killed, whenever: nothing acknowledged is lost, nothing is shown twice, and the result
is the one that an undisturbed run has."""

import os
import signal

import pytest

import harness
from harness import state_names
from recovery import LONG_SPEC, SPEC, check_same, end_reasons, wait_epoch

ROUNDS = int(os.environ.get("ATELIER_FAULT_ROUNDS", "1"))


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_killed_worker_is_replaced_and_nothing_changes(server, undisturbed, round_):
    name = server.start_job("worker-killed", **SPEC)
    watcher = harness.Watcher(server, name)
    # Past a checkpoint and into the next epoch, so that progress has to be withdrawn.
    first = server.wait_event(name, "checkpoint")
    server.wait_event(name, "step", after=first.number)
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert [a.end_reason for a in job.attempts][0] == "WORKER_LOST" and len(job.attempts) == 2
    assert job.attempts[1].resumed_epoch >= 1
    assert "QUEUED" in state_names(server.events(name))[1:]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_killed_server_finds_its_worker_again(server, undisturbed, round_):
    name = server.start_job("server-killed", **SPEC)
    watcher = harness.Watcher(server, name)
    server.wait_event(name, "epoch")
    workers = server.worker_pids()
    server.kill()
    assert server.worker_pids() == workers
    server.start()
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert len(job.attempts) == 1, "the same worker goes on"
    assert watcher.breaks >= 1


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_server_stopped_by_sigterm_continues_its_job_at_the_next_start(server, undisturbed,
                                                                          round_):
    name = server.start_job("terminated", **SPEC)
    watcher = harness.Watcher(server, name)
    first = server.wait_event(name, "epoch")
    server.wait_event(name, "step", after=first.number)
    assert server.stop() == 0
    assert not server.worker_pids()
    server.start()
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert [a.end_reason for a in job.attempts][0] == "SERVER_SHUTDOWN"


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_server_and_worker_killed_together_lose_nothing_acknowledged(server, undisturbed, round_):
    name = server.start_job("both-killed", **SPEC)
    watcher = harness.Watcher(server, name)
    server.wait_event(name, "checkpoint")
    workers = server.worker_pids()
    server.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    server.start()
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert end_reasons(job)[0] == "WORKER_LOST" and len(job.attempts) == 2
    assert job.attempts[1].resumed_epoch >= 1
    assert watcher.breaks >= 1


def test_a_worker_lost_four_times_fails_the_job(server):
    name = server.start_job("unlucky", preset="cnn-3", dataset="fashion-mnist", epochs=5)
    for attempt in range(1, 5):
        harness.wait_for(lambda: any(a.number == attempt for a in server.job(name).attempts)
                         and server.worker_pids(), 30, f"attempt {attempt}")
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        harness.wait_for(lambda: server.job(name).attempts[attempt - 1].end_reason, 30)
    job = server.wait_job(name)
    assert job.state == harness.job_pb.JOB_STATE_FAILED
    assert job.transitions[-1].reason == "WORKER_LOST"
    assert [a.end_reason for a in job.attempts] == ["WORKER_LOST"] * 4


def test_queued_jobs_are_still_queued_after_a_restart(server):
    running = server.start_job("running", epochs=500, patience=500, cores=2)
    server.wait_job(running, "TRAINING")
    queued = [server.start_job(f"queued-{i}", cores=2, epochs=1) for i in range(3)]
    server.kill()
    server.start()
    for position, name in enumerate(queued):
        job = server.job(name)
        assert job.state == harness.job_pb.JOB_STATE_QUEUED and job.queue_position == position
    server.training.StopJob(harness.training_pb.StopJobRequest(name=running))
    for name in queued:
        assert server.wait_job(name).state == harness.job_pb.JOB_STATE_COMPLETED


def test_a_frozen_worker_is_given_up_after_its_lease(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--lease=2s"]) as server:
        name = server.start_job("frozen", **SPEC)
        server.wait_event(name, "epoch")
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGSTOP)
        job = server.wait_job(name)
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED
        assert job.attempts[0].end_reason == "WORKER_LOST"


def test_a_worker_whose_server_never_returns_ends_by_itself(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--lease=2s"]) as server:
        name = server.start_job("orphan", preset="dense", epochs=10000, patience=10000)
        server.wait_event(name, "epoch")
        server.kill()
        harness.wait_for(lambda: not server.worker_pids(), 20, "the worker to end")
        server.start()
        server.wait_job(name, "TRAINING")
        # The worker says where it goes on right after that it trains.
        harness.wait_for(lambda: server.job(name).attempts[-1].resumed_epoch >= 1, 20,
                         "the second attempt to go on from a checkpoint")
        assert len(server.job(name).attempts) == 2


def test_a_second_sigterm_does_not_wait(data_dir, small_dataset):
    """The first one would wait for an hour, since the worker is frozen."""
    with harness.Server(data_dir, {"small": small_dataset}, ["--shutdown_grace=1h"]) as server:
        name = server.start_job("slow", **LONG_SPEC)
        wait_epoch(server, name, 1)
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        harness.wait_for(lambda: "Stopping: received signal" in server.log.read_text(), 60,
                         "the server to begin its end")
        assert server.process.poll() is None, "it waits for the worker"
        server.process.send_signal(signal.SIGTERM)
        assert server._ended(60) == -signal.SIGTERM
        server.kill_workers()
        server.start()
        assert server.wait_job(name).state == harness.job_pb.JOB_STATE_COMPLETED
