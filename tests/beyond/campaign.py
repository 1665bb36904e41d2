"""Rounds of random faults to a job and to the engine that runs it."""

import os
import random
import signal
import time

import harness
import recovery
import slurm_cluster

ROUNDS = int(os.environ.get("ATELIER_BEYOND_ROUNDS", "1"))
# Where engines run workers, automatic precision is float32, whatever is quicker here.
FLOAT32 = harness.job_pb.PRECISION_FLOAT32
# Long enough that a quick machine is not done before the last fault, through which it may train for many epochs.
SPEC = dict(recovery.LONG_SPEC, epochs=240, patience=240, precision=FLOAT32)
# For workers that do not see the server's files.
COPIES_SPEC = dict(SPEC, epochs=24, patience=24)
# As many shards on one machine as on two nodes.
NODES_SPEC = dict(recovery.LONG_SPEC, shards=2, precision=FLOAT32)


def ended(server, name):
    return harness.job_pb.JobState.Name(server.job(name).state).removeprefix("JOB_STATE_") in (
        "COMPLETED", "FAILED", "STOPPED")


def train_placed(server, *options):
    """Trains by the client until it is told where, which the engine is asked once a second. Returns the
    job's name, that place and what is printed at the job's end."""
    server.run("train", "--name", "placed", "--preset", "dense", "--dataset", "small", "--epochs", 600,
               "--patience", 600, "--cores", 1, "--detach", *options, check=harness.DONE)
    name = server.json("jobs")[0]["name"]
    harness.wait_for(lambda: any(attempt.place for attempt in server.job(name).attempts),
                     what="the place where it runs")
    watched = server.run("watch", name.removeprefix("jobs/"), check=harness.DONE)
    [attempt] = server.job(name).attempts
    return name, attempt.place, watched.stdout


def train_on_two_nodes(server, undisturbed):
    """Two processes train a job together and come to the bits of one machine. Returns their place."""
    name = server.start_job("pair", model_name="pair", nodes=2, **NODES_SPEC)
    seen = harness.Watcher(server, name)
    [attempt] = recovery.check_same(server, name, seen.finish(), undisturbed).attempts
    return attempt.place


def lose_second_process(server, undisturbed, variable):
    """The second of two processes, which the engine tells its number by this variable, is killed: another
    attempt of two goes on from the checkpoint."""
    name = server.start_job("torn", model_name="torn", nodes=2, **NODES_SPEC)
    seen = harness.Watcher(server, name)
    recovery.wait_epoch(server, name, 3)
    server.wait_event(name, "checkpoint")
    flag = f"--job={name.removeprefix('jobs/')}".encode()
    [pid] = [pid for pid, command, environment in slurm_cluster.processes()
             if flag in command and command[0].endswith(b"/atelier-worker")
             and f"{variable}=1".encode() in environment]
    os.kill(pid, signal.SIGKILL)
    job = recovery.check_same(server, name, seen.finish(), undisturbed)
    assert len(job.attempts) == 2
    assert job.attempts[1].resumed_epoch >= 3
    assert recovery.end_reasons(job)[-1] == "COMPLETED"


def train_by_copies(server, undisturbed, lose_node_of):
    """A job's node is lost, by a function that returns what brings it back: the next attempt goes on with what
    the server was sent."""
    name = server.start_job("copied", model_name="copied", **COPIES_SPEC)
    seen = harness.Watcher(server, name)
    recovery.wait_epoch(server, name, 3)
    server.wait_event(name, "checkpoint")
    bring_back = lose_node_of(name)
    harness.wait_for(lambda: len(server.job(name).attempts) == 2, 120, "a second attempt")
    bring_back()
    job = recovery.check_same(server, name, seen.finish(), undisturbed)
    assert len(job.attempts) == 2
    log = (server.data_dir / name / "attempts" / "2" / "worker.log").read_text()
    assert "files are fetched and sent" in log and "continues after epoch" in log


def lose_server(server, _cluster, _name):
    server.kill()
    server.start()


def play(server, cluster, undisturbed, round_, faults):
    """Two faults a job at random moments. ATELIER_BEYOND_ROUNDS=30 is the campaign."""
    chance = random.Random(time.time_ns() if ROUNDS > 1 else 7)
    name = server.start_job("round", model_name="round", **SPEC)
    seen = harness.Watcher(server, name)
    for fault in chance.choices([*faults, lose_server], k=2):
        epoch = server.job(name).progress.epoch + chance.randint(2, 15)
        print(f"round {round_}: {fault.__name__} at epoch {epoch}")
        recovery.wait_epoch(server, name, min(epoch, SPEC["epochs"] - 10))
        if ended(server, name):
            break
        fault(server, cluster, name)
    recovery.check_same(server, name, seen.finish(300), undisturbed)
