"""The n-th write, sync, rename or truncation of a server fails, or the server is killed before it, or its
n-th allocation fails: what was acknowledged is there afterwards, and the data directory is sound."""

import errno
import os
import random
import signal
import sqlite3
import subprocess
import threading

import grpc
import pytest

import harness
from harness import job_pb, model_pb
from npz import npz
from preloaded import ALLOCATIONS, KILL, SYNCS, WRITES, Fault
from recovery import check_sound

ROUNDS = int(os.environ.get("ATELIER_FAULT_ROUNDS", "1"))


class Client:
    """A short use of a server, and what it was told of it."""

    def __init__(self, server, arrays):
        self.server, self.arrays = server, arrays
        self.jobs, self.aliases, self.datasets = [], [], []

    def use(self):
        self.attempt(self.start)
        self.attempt(self.push)
        self.attempt(self.wait)
        self.attempt(self.name_version)
        self.attempt(self.start)

    def attempt(self, step):
        """Does something that may be refused, or that nobody answers any more."""
        if self.server.process.poll() is not None:
            return
        try:
            step()
        except (grpc.RpcError, subprocess.TimeoutExpired):
            pass

    def start(self):
        self.jobs.append(self.server.start_job("nth", epochs=1, model_name="nth"))

    def push(self):
        pushed = self.server.run("datasets", "push", "noise", self.arrays, timeout=10)
        if pushed.returncode == harness.DONE:
            self.datasets.append("noise")

    def wait(self):
        """Until the first job has ended; whatever the server did, not for ever."""
        if self.jobs:
            for _ in self.server.training.StreamMetrics(
                    harness.training_pb.StreamMetricsRequest(name=self.jobs[0]), timeout=30):
                pass

    def name_version(self):
        self.server.models.SetAlias(model_pb.SetAliasRequest(
            name="models/nth", alias="chosen", version=1), timeout=30)
        self.aliases.append("chosen")

    def check(self, error):
        """After a start without faults: everything acknowledged is there and goes on."""
        for name in self.jobs:
            job = self.server.wait_job(name)
            # An error may be the job's end, but a kill is none.
            assert job.state == job_pb.JOB_STATE_COMPLETED or error != KILL, job.transitions
        for alias in self.aliases:
            version = self.server.models.GetModel(model_pb.GetModelRequest(name="models/nth"))
            assert [a.version for a in version.aliases if a.alias == alias] == [1], version
        for dataset in self.datasets:
            # Its number is a later one where storing the first failed and was tried again.
            assert len(self.server.json("datasets", "show", dataset)[0]["versions"]) == 1


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    return npz(tmp_path_factory.mktemp("arrays") / "noise.npz",
               x_train=((40, 8, 8), bytes(range(256)) * 10), y_train=((40,), bytes(i % 2 for i in range(40))),
               x_test=((10, 8, 8), bytes(range(128)) * 5), y_test=((10,), bytes(i % 2 for i in range(10))))


def run_with_fault(folder, dataset, arrays, n, error, counted=WRITES):
    """A server that a client uses while its n-th call goes wrong, and what came of it; the fault."""
    server = harness.Server(folder / "data", {"small": dataset})
    fault = Fault(folder / "fault", server.data_dir)
    fault.arm(n, error, counted)
    server.environment = fault.environment
    client = Client(server, arrays)
    # A start that stands still would never say so.
    patience = threading.Timer(120, lambda: server.process.kill())
    patience.start()
    try:
        server.start()
    except AssertionError:
        assert server.process.wait(30) != 0
    else:
        client.use()
        server.process.terminate()
    status = server.process.wait(60)
    patience.cancel()
    # However it ended, it did not crash; without memory it may give up.
    assert status >= 0 or status == {KILL: -signal.SIGKILL, errno.ENOMEM: -signal.SIGABRT}.get(error), status
    server.environment = {}
    with server:
        client.check(error)
        assert server.stop() == 0
    check_sound(server)
    print(n, "of", fault.calls, "status", status, fault.hit)
    return fault


def count_calls(folder, dataset, arrays, counted):
    """How many calls there are when nothing goes wrong."""
    fault = run_with_fault(folder, dataset, arrays, 0, KILL, counted)
    assert fault.calls > 50 and not fault.hit
    return fault.calls


@pytest.fixture(scope="module")
def writes(tmp_path_factory, small_dataset, arrays):
    return count_calls(tmp_path_factory.mktemp("calm"), small_dataset, arrays, WRITES)


@pytest.fixture(scope="module")
def allocations(tmp_path_factory, small_dataset, arrays):
    return count_calls(tmp_path_factory.mktemp("calm"), small_dataset, arrays, ALLOCATIONS)


def check_point(folder, dataset, arrays, n, error, counted=WRITES):
    folder.mkdir()
    try:
        fault = run_with_fault(folder, dataset, arrays, n, error, counted)
        assert fault.hit, f"there were only {fault.calls} calls"
    except BaseException as failure:
        hit = (folder / "fault").read_bytes()[48:].rstrip(b"\0").decode(errors="replace")
        failure.add_note(f"call {n}: {hit}")
        raise


@pytest.mark.parametrize("error", [KILL, errno.EIO, errno.ENOSPC], ids=["kill", "EIO", "ENOSPC"])
def test_the_nth_write_goes_wrong(tmp_path, small_dataset, arrays, writes, error):
    points = 3 * ROUNDS
    # The last few calls may not come: how many there are differs a little.
    for n in sorted({1 + i * (writes * 9 // 10) // points for i in range(points)}):
        check_point(tmp_path / str(n), small_dataset, arrays, n, error)


def test_the_nth_allocation_fails(tmp_path, small_dataset, arrays, allocations):
    points = 6 * ROUNDS
    chance = random.Random(points)
    span = allocations * 9 // 10 // points
    for i in range(points):
        n = 1 + i * span + chance.randrange(span)
        check_point(tmp_path / str(n), small_dataset, arrays, n, errno.ENOMEM, ALLOCATIONS)


def refusal(server):
    with pytest.raises(grpc.RpcError) as refused:
        server.start_job("during")
    return harness.error_details(refused.value)[1].reason


def wait_idle(server):
    """Until nothing is written any more of the only job."""
    database = sqlite3.connect(server.data_dir / "atelier.db")
    harness.wait_for(lambda: database.execute("SELECT files_freed FROM jobs").fetchone() == (1,), 30,
                     "the end of the job's files")


def test_after_a_failed_sync_nothing_is_written_until_the_next_start(tmp_path, small_dataset):
    server = harness.Server(tmp_path / "data", {"small": small_dataset})
    fault = Fault(tmp_path / "fault", server.data_dir)
    server.environment = fault.environment
    with server:
        acknowledged = server.start_job("before", epochs=1)
        server.wait_job(acknowledged)
        wait_idle(server)
        fault.arm(1, errno.EIO, SYNCS)
        assert refusal(server) == "STORE_FAILED"
        assert fault.hit.endswith("atelier.db-wal")
        log = (server.data_dir / "atelier.db-wal").read_bytes()
        assert [refusal(server) for _ in range(2)] == ["STORE_STOPPED"] * 2
        assert (server.data_dir / "atelier.db-wal").read_bytes() == log
        assert server.job(acknowledged).state == job_pb.JOB_STATE_COMPLETED
        server.stop()
        server.environment = {}
        server.start()
        assert server.job(acknowledged).state == job_pb.JOB_STATE_COMPLETED
        assert server.wait_job(server.start_job("after", epochs=1)).state == job_pb.JOB_STATE_COMPLETED
