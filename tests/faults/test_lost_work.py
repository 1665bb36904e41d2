"""Work is neither lost nor done twice: workers that cannot be started, workers that nobody knows,
servers and workers that stand still for a while."""

import os
import signal
import sqlite3

import pytest

import harness
from recovery import freeze

LONG = dict(preset="dense", epochs=10000, patience=10000)


def wait_reason(server, name, words):
    harness.wait_for(lambda: words in server.job(name).waiting_reason, 60, f"'{words}'")


def wait_progress(server, name):
    """Until the server has stored something new of the job."""
    last = newest(server, name)
    harness.wait_for(lambda: newest(server, name) > last, 60, "progress")


def newest(server, name):
    progress = server.job(name).progress
    return progress.epoch, progress.step


def stop_and_wait(server, name):
    server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    return server.wait_job(name)


@pytest.fixture
def worker_program(tmp_path):
    """A program of its own in the place of atelier-worker, to be taken away and put back."""
    program = tmp_path / "bin" / "atelier-worker"
    program.parent.mkdir()
    program.symlink_to(harness.BIN / "atelier-worker")
    return program


def test_jobs_wait_while_no_worker_can_be_started(data_dir, small_dataset, worker_program):
    with harness.Server(data_dir, {"small": small_dataset},
                        [f"--worker_binary={worker_program}"]) as server:
        away = worker_program.with_name("away")
        worker_program.rename(away)
        names = [server.start_job(f"waiting-{i}", preset="dense", epochs=1) for i in range(3)]
        wait_reason(server, names[0], "3 tries failed")
        for position, name in enumerate(names):
            job = server.job(name)
            assert job.state == harness.job_pb.JOB_STATE_QUEUED
            assert job.queue_position == position and not job.attempts
        assert "No such file" in server.run("show", names[0], check=harness.NOT_FINISHED).stdout
        assert "No such file" in server.run("jobs", check=harness.DONE).stdout
        away.rename(worker_program)
        for name in names:
            job = server.wait_job(name)
            assert job.state == harness.job_pb.JOB_STATE_COMPLETED and len(job.attempts) == 1


def test_a_worker_that_the_killed_server_had_not_stored_is_found_and_ended(server):
    """The server is killed after it started a worker and before that is on record."""
    running = server.start_job("running", cores=os.cpu_count(), **LONG)
    server.wait_job(running, "TRAINING")
    name = server.start_job("unstored", preset="dense", epochs=1)
    job_id = name.removeprefix("jobs/")
    # The launch waits in the opening of the worker's log until somebody reads it.
    folder = server.data_dir / "jobs" / job_id / "attempts" / "1"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "worker.log")
    database = sqlite3.connect(server.data_dir / "atelier.db", isolation_level=None)
    stop_and_wait(server, running)
    harness.wait_for(lambda: database.execute("SELECT token FROM jobs WHERE id = ?",
                                              [job_id]).fetchone()[0], 30, "the launch")
    database.execute("BEGIN IMMEDIATE")  # Nothing can be stored from here on.
    reader = os.open(folder / "worker.log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        harness.wait_for(server.worker_pids, 30, "the worker")
        workers = server.worker_pids()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        server.kill()
        database.execute("ROLLBACK")
        assert database.execute("SELECT handle FROM jobs WHERE id = ?", [job_id]).fetchone() == ("",)
        server.start()
        harness.wait_for(lambda: not set(workers) & set(server.worker_pids()), 30,
                         "the unknown worker to be ended")
        job = server.wait_job(name)
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED
        assert len(job.attempts) == 1
    finally:
        os.close(reader)


def test_a_server_that_stands_still_gives_no_worker_up(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--lease=4s"]) as server:
        name = server.start_job("steady", **LONG)
        server.wait_event(name, "epoch")
        for seconds in (3, 3, 3):
            freeze([server.process.pid], seconds)
            wait_progress(server, name)
        assert len(stop_and_wait(server, name).attempts) == 1


def test_a_server_that_stands_still_for_longer_than_the_lease_loses_no_attempt(data_dir,
                                                                               small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--lease=2s"]) as server:
        name = server.start_job("patient", **LONG)
        server.wait_event(name, "checkpoint")
        os.kill(server.process.pid, signal.SIGSTOP)
        harness.wait_for(lambda: not server.worker_pids(), 60, "the worker to give its server up")
        os.kill(server.process.pid, signal.SIGCONT)
        harness.wait_for(lambda: len(server.job(name).attempts) == 2
                         and server.job(name).attempts[1].resumed_epoch >= 1, 60,
                         "the second attempt to go on")
        assert server.job(name).attempts[0].end_reason == "SERVER_UNREACHABLE"
        stop_and_wait(server, name)


def test_server_and_worker_that_stand_still_together_go_on(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--lease=2s"]) as server:
        name = server.start_job("together", **LONG)
        server.wait_event(name, "epoch")
        for seconds in (8, 5):
            freeze([server.process.pid, *server.worker_pids()], seconds)
            wait_progress(server, name)
        assert len(stop_and_wait(server, name).attempts) == 1


def test_a_data_directory_may_have_a_long_name(tmp_path, small_dataset):
    folder = tmp_path / ("x" * 120) / ("y" * 120)
    with harness.Server(folder, {"small": small_dataset}) as server:
        name = server.start_job("deep", **LONG)
        server.wait_event(name, "epoch")
        server.kill()
        server.start()
        wait_progress(server, name)
        assert len(stop_and_wait(server, name).attempts) == 1
