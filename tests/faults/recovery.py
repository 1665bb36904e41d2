"""What the fault tests compare with: a training that nobody disturbed, and what came of one that was."""

import os
import pathlib
import signal
import subprocess
import tarfile
import time

import harness
from harness import kinds, without_withdrawn

SPEC = dict(preset="cnn-1", epochs=6, patience=6, seed=11)
# Some ten seconds, so that a fault at any of its epochs hits it.
LONG_SPEC = dict(SPEC, epochs=60, patience=60)


def calm_run(folder, dataset, spec):
    """Result, epochs and weights of the specification when nobody interferes."""
    with harness.Server(folder / "data", {"small": dataset}) as server:
        name = server.start_job("calm", model_name="calm", **spec)
        job = server.wait_job(name)
        return job.result, epochs_of(server.events(name)), weights_of(server, job)


def weights_of(server, job):
    path = server.data_dir / job.result.model_version.replace("/versions", "") / "model.tar.gz"
    with tarfile.open(path) as archive:
        return archive.extractfile("model.pt").read()


def epochs_of(events):
    return [(e.epoch, e.training_loss, e.validation_loss)
            for e in kinds(without_withdrawn(events), "epoch")]


def check_same(server, name, seen, undisturbed):
    """The job ended as the undisturbed one did, and a watcher saw a seamless history."""
    result, epochs, weights = undisturbed
    job = server.wait_job(name)
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED, job.transitions
    assert job.result.test_loss == result.test_loss
    assert job.result.test_accuracy == result.test_accuracy
    assert weights_of(server, job) == weights
    # What a job waits for is a note beside its history, under the number of the last event.
    seen = [e for e in seen if e.WhichOneof("event") != "waiting"]
    numbers = [e.number for e in seen]
    assert numbers == sorted(set(numbers))
    assert epochs_of(seen) == epochs
    replay = server.events(name)
    assert epochs_of(replay) == epochs
    assert {e.number for e in replay} == {e.number for e in without_withdrawn(seen)}
    return job


def wait_epoch(server, name, epoch, steps=0):
    """Waits until the job has finished an epoch, and as many steps of the following ones."""
    left = steps

    def reached(event):
        nonlocal left
        kind = event.WhichOneof("event")
        if kind == "epoch" and event.epoch.epoch >= epoch:
            reached.found = True
        elif kind == "step" and reached.found:
            left -= 1
        return reached.found and left <= 0

    reached.found = False
    events = server.events(name, until=reached)
    assert reached.found, f"{name} ended before epoch {epoch}: {events[-1]}"


def end_reasons(job):
    return [attempt.end_reason for attempt in job.attempts]


def check_times(job):
    """Nothing of the job ended before it began, whatever clocks did."""
    times = [job.create_time, *(t.time for t in job.transitions), job.end_time]
    assert [t.ToNanoseconds() for t in times] == sorted(t.ToNanoseconds() for t in times), job.transitions
    for attempt in job.attempts:
        assert attempt.start_time.ToNanoseconds() <= attempt.end_time.ToNanoseconds(), attempt
    assert job.result.training_seconds > 0, job.result


def check_sound(server):
    """A stopped server's data directory is sound, and no worker is left."""
    assert not server.worker_pids()
    checked = subprocess.run([harness.BIN / "atelierd", f"--data_dir={server.data_dir}", "--check"],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def stop_process(pid):
    """SIGSTOP, until it stands still."""
    os.kill(pid, signal.SIGSTOP)
    stat = pathlib.Path(f"/proc/{pid}/stat")
    harness.wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 30, f"{pid} to stop")


def freeze(pids, duration):
    """Stops processes for a while. The pause is the fault itself, nothing is waited for."""
    for pid in pids:
        stop_process(pid)
    time.sleep(duration)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


# Where mount namespaces can be made.
UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def can_hide():
    return subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True).returncode == 0


def write_hiding_worker(script, hidden, further=""):
    """A worker's program for a machine that does not have the folders: empty ones lie over them."""
    hiding = "".join(f"mount -t tmpfs none {folder}; " for folder in hidden)
    script.write_text(
        "#!/bin/sh\n"
        f"exec {' '.join(UNSHARE)} /bin/sh -c '{hiding}"
        f"exec {harness.BIN / 'atelier-worker'} \"$@\" {further}' worker \"$@\"\n")
    script.chmod(0o755)
