"""Rounds of random faults to a job and to the engine that runs it."""

import os
import random
import time

import harness
import recovery

ROUNDS = int(os.environ.get("ATELIER_BEYOND_ROUNDS", "1"))
# Most of a minute, so that there is time for every fault.
SPEC = dict(recovery.LONG_SPEC, epochs=600, patience=600)


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
