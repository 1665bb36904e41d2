"""Workers wall themselves in, and do their work within."""

import pathlib
import subprocess

import pytest

import harness
from harness import job_pb


def status_of(task):
    """The lines of a thread's status by their names."""
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines()
                if ":\t" in line)


def log_of(server, name, attempt=1):
    return (server.data_dir / name / "attempts" / str(attempt) / "worker.log").read_text()


def test_every_thread_of_a_worker_is_walled_in(server):
    name = server.start_job(epochs=10_000, patience=10_000)
    server.wait_event(name, "epoch")
    worker = pathlib.Path("/proc", str(server.worker_pids()[0]))
    tasks = [status_of(task) for task in (worker / "task").iterdir()]
    assert len(tasks) > 2
    assert {(task["NoNewPrivs"], task["Seccomp"]) for task in tasks} == {("1", "2")}
    limits = (worker / "limits").read_text()
    assert "Max core file size        0" in limits
    assert "sandbox: " in log_of(server, name) and "system calls by list" in log_of(server, name)


def test_nothing_that_jobs_do_is_refused(server):
    """Of an import, a training, one that starts from its model, an evaluation and a check."""
    server.run("datasets", "push", "own", str(server.datasets["small"]), check=harness.DONE)
    server.run("train", "--dataset=own", "--preset=cnn-1", "--epochs=2", check=harness.DONE)
    server.run("train", "--from=cnn-1", "--dataset=small", "--epochs=1", check=harness.DONE)
    # By LibTorch, which is opened once the walls stand.
    server.run("train", "--preset=cnn-1", "--activation=gelu", "--dataset=small", "--epochs=1",
               "--model-name=general", check=harness.DONE)
    server.run("evaluate", "cnn-1@1", "--dataset=small", check=harness.DONE)
    server.run("datasets", "check", "own", check=harness.DONE)
    logs = [path.read_text() for path in server.data_dir.glob("jobs/*/attempts/*/worker.log")]
    assert len(logs) >= 5
    for log in logs:
        assert "sandbox: " in log
        assert "refused" not in log and "missing" not in log, log


def test_it_can_be_turned_off(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--worker_sandbox=off"]) as server:
        name = server.start_job(epochs=10_000, patience=10_000)
        server.wait_event(name, "epoch")
        status = status_of(pathlib.Path("/proc", str(server.worker_pids()[0])))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "0")
        assert "sandbox: turned off" in log_of(server, name)


WITHOUT_LANDLOCK = """#!/usr/bin/python3
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
# ld [0]; jeq landlock_create_ruleset, 0, 1; ret EPERM; ret ALLOW.
code = (ctypes.c_char * 32)(*struct.pack(
    "HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, 444, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000))
program = struct.pack("HxxxxxxQ", 4, ctypes.addressof(code))
assert libc.prctl(22, 2, program, 0, 0) == 0
os.execv({worker!r}, [{worker!r}] + sys.argv[1:])
"""


@pytest.fixture
def worker_without_landlock(tmp_path):
    """The worker as in a container that knows nothing of Landlock."""
    script = tmp_path / "atelier-worker"
    script.write_text(WITHOUT_LANDLOCK.format(worker=str(harness.BIN / "atelier-worker")))
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("mode", ["best_effort", "required"])
def test_a_wall_that_is_missing_is_said(data_dir, small_dataset, worker_without_landlock, mode):
    flags = [f"--worker_binary={worker_without_landlock}", f"--worker_sandbox={mode}"]
    with harness.Server(data_dir, {"small": small_dataset}, flags) as server:
        name = server.start_job(epochs=1)
        job = server.wait_job(name)
        assert "sandbox: missing: Landlock" in log_of(server, name)
        if mode == "best_effort":
            assert job.state == job_pb.JOB_STATE_COMPLETED, job.transitions
        else:
            assert job.state == job_pb.JOB_STATE_FAILED
            assert len(job.attempts) == 1
            assert "Landlock" in str(job.transitions) and "required" in str(job.transitions)


def test_an_unknown_mode_is_refused(data_dir):
    finished = subprocess.run([harness.BIN / "atelierd", f"--data_dir={data_dir}",
                               "--worker_sandbox=some"], capture_output=True, text=True)
    assert finished.returncode == 1
    assert "worker_sandbox" in finished.stderr and "best_effort" in finished.stderr
