"""A disk that is full for a while."""

import errno
import subprocess

import grpc
import pytest

import harness
from recovery import wait_epoch


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system of its own may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Takes what is left of a file system; the file to remove again."""
    path = folder / "ballast"
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return path


def start_until_refused(server):
    """Starts jobs until there is no room to store one; the names of those that were acknowledged."""
    names = []
    for _ in range(10_000):
        try:
            names.append(server.start_job("queued", epochs=1))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert harness.error_details(error)[1].reason == "DISK_FULL", error
            return names
    raise AssertionError("the disk is full and nothing was refused")


def test_a_full_disk_refuses_what_cannot_be_stored_and_keeps_what_was(small_disk, small_dataset):
    flags = ["--workers=1", "--max_queued_jobs=1000"]
    with harness.Server(small_disk / "data", {"small": small_dataset}, flags) as server:
        blocker = server.start_job("running", preset="dense", epochs=10000, patience=10000)
        wait_epoch(server, blocker, 1)
        ballast = fill(small_disk)
        acknowledged = start_until_refused(server)
        # What only reads goes on.
        assert server.job(blocker).name == blocker
        ballast.unlink()
        acknowledged.append(harness.wait_for(lambda: try_start(server), 60, "the server to store again"))
        # A training that had to write its checkpoint meanwhile has ended FAILED.
        if server.job(blocker).state != harness.job_pb.JOB_STATE_FAILED:
            server.training.StopJob(harness.training_pb.StopJobRequest(name=blocker))
        for name in acknowledged:
            job = server.wait_job(name)
            assert job.state == harness.job_pb.JOB_STATE_COMPLETED, job.transitions
        assert server.stop() == 0


def try_start(server):
    try:
        return server.start_job("after", epochs=1)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        return None
