"""LibTorch is loaded when something needs it, and not before."""

import pathlib
import shutil
import subprocess

import grpc
import pytest

import harness
from harness import job_pb

LIBRARY = pathlib.Path("lib/atelier/libatelier_torch.so")
PIXELS = bytes(28 * 28)


def libraries(pid):
    """Names of the files that a process has mapped."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {pathlib.Path(line.split(maxsplit=5)[5]).name for line in lines if "/" in line}


def has_libtorch(pid):
    return any(name.startswith(("libtorch", "libatelier_torch")) for name in libraries(pid))


def classify(server, model):
    return server.inference.Classify(harness.inference_pb.ClassifyRequest(
        model=f"models/{model}", raw=harness.inference_pb.RawImages(pixels=PIXELS)))


def feature_maps(server, model):
    return server.models.GetFeatureMaps(harness.model_pb.GetFeatureMapsRequest(
        name=f"models/{model}", raw=harness.inference_pb.RawImages(pixels=PIXELS)))


def libtorch_in_training(server, **spec):
    """Whether the worker has it once an epoch is done."""
    job = server.start_job(epochs=1000, patience=1000, **spec)
    server.wait_event(job, "epoch")
    pid, = server.worker_pids()
    found = has_libtorch(pid)
    server.training.StopJob(harness.training_pb.StopJobRequest(name=job))
    assert server.wait_job(job).state == job_pb.JOB_STATE_STOPPED
    return found


def test_a_worker_trains_what_the_kernels_cover_without_it(server):
    assert not libtorch_in_training(server, preset="cnn-1")
    assert libtorch_in_training(server, preset="cnn-1", kernel=5)


def test_a_server_classifies_without_it(server):
    job = server.wait_job(server.start_job(preset="cnn-1", epochs=1, model_name="net"))
    assert job.state == job_pb.JOB_STATE_COMPLETED
    classify(server, "net")
    server.run("models", "net", check=harness.DONE)
    server.run("filters", "net", "-o", str(server.data_dir.parent / "filters.png"), check=harness.DONE)
    assert not has_libtorch(server.process.pid)
    feature_maps(server, "net")
    assert has_libtorch(server.process.pid)


@pytest.fixture
def installed(tmp_path, data_dir, small_dataset, monkeypatch):
    """A server, not running yet, whose programs and library lie in a place of their own."""
    root = tmp_path / "installed"
    for path in ("bin/atelierd", "bin/atelier-worker", LIBRARY):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(harness.BIN.parent / path, root / path)
    server = harness.Server(data_dir, datasets={"small": small_dataset})
    command = server.command
    monkeypatch.setattr(server, "command", lambda: [root / "bin" / "atelierd", *command()[1:]])
    server.library = root / LIBRARY
    return server


def test_programs_load_the_file_that_was_there_when_they_started(installed):
    with installed as server:
        job = server.start_job(preset="cnn-1", epochs=1, model_name="net")
        harness.wait_for(server.worker_pids, what="the worker")
        server.wait_event(job, "step")
        # As a package's upgrade does it.
        other = server.library.with_name("new")
        other.write_text("of another version")
        other.rename(server.library)
        assert server.wait_job(job).state == job_pb.JOB_STATE_COMPLETED
        assert len(feature_maps(server, "net").maps) == 1


def test_a_file_that_cannot_be_loaded_is_named(installed):
    with installed as server:
        server.library.write_text("no library")
        failed = server.wait_job(server.start_job(preset="cnn-1", epochs=1))
        assert failed.state == job_pb.JOB_STATE_FAILED
        message = failed.transitions[-1].message
        assert f"cannot load {server.library}" in message.replace("Cannot", "cannot"), message


def test_a_file_that_is_missing_is_named(installed):
    installed.library.unlink()
    ended = subprocess.run(installed.command(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"atelierd: cannot open {installed.library}")


def test_a_server_whose_file_is_damaged_says_so_and_serves_on(installed):
    with installed as server:
        server.wait_job(server.start_job(preset="cnn-1", epochs=1, model_name="net"))
        server.stop()
        server.library.write_text("no library")
        server.start()
        with pytest.raises(grpc.RpcError) as raised:
            feature_maps(server, "net")
        assert f"cannot load {server.library}" in raised.value.details()
        assert classify(server, "net").model_version == "models/net/versions/1"
