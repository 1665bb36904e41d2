"""A server whose descriptors clients use up, for a while."""

import os
import pathlib
import signal
import socket

import harness
from recovery import LONG_SPEC, check_same, end_reasons, wait_epoch


class FewDescriptors(harness.Server):
    """A server that may have 400 files and connections."""

    LIMIT = 400

    def command(self):
        return ["prlimit", f"--nofile={self.LIMIT}:{self.LIMIT}", *super().command()]


def test_connections_without_end_cost_no_job_an_attempt(data_dir, small_dataset, long_undisturbed):
    with FewDescriptors(data_dir, {"small": small_dataset}, ["--workers=1"]) as server:
        name = server.start_job("beside", **LONG_SPEC)
        queued = server.start_job("queued", epochs=1, cores=2)
        watcher = harness.Watcher(server, name)
        wait_epoch(server, name, 2)
        host, _, port = server.address.rpartition(":")
        connections = [socket.create_connection((host, int(port))) for _ in range(2 * server.LIMIT)]
        # While there are none to be had, a worker has to be started.
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)

        def over():
            job = server.job(name)
            assert job.state != harness.job_pb.JOB_STATE_FAILED, job.transitions[-1]
            return job.waiting_reason or len(job.attempts) > 1 and server.worker_pids()

        harness.wait_for(over, 60, "the next attempt, or the word why it has to wait")
        for connection in connections:
            connection.close()
        job = check_same(server, name, watcher.finish(), long_undisturbed)
        assert end_reasons(job)[:-1] == ["WORKER_LOST"], "only the kill counts as an attempt"
        job = server.wait_job(queued)
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED and len(job.attempts) == 1


def open_files(server):
    return len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_closed_connections_give_their_descriptors_back(server):
    before = open_files(server)
    host, _, port = server.address.rpartition(":")
    connections = [socket.create_connection((host, int(port))) for _ in range(300)]
    # Each one is accepted, or refused, but none is left waiting.
    harness.wait_for(lambda: open_files(server) > before, 60, "the first to be accepted")
    for connection in connections:
        connection.close()
    harness.wait_for(lambda: open_files(server) <= before, 60, "the descriptors to be free again")
