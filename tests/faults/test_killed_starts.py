"""A training that started from a model or continued a job, its worker and server killed, ends with the
same weights."""

import os
import signal

import harness
from recovery import calm_run, check_same, epochs_of, wait_epoch, weights_of

SPEC = dict(preset="cnn-1", epochs=30, patience=30, seed=11, learning_rate=0.0005, freeze=1,
            start_from="models/base")


def kill_worker(server):
    [pid] = harness.wait_for(server.worker_pids, what="a worker")
    os.kill(pid, signal.SIGKILL)


def make_base(server):
    server.wait_job(server.start_job("base", preset="cnn-1", epochs=1, model_name="base"))


def test_a_killed_training_from_a_model_has_the_same_weights(tmp_path, small_dataset):
    with harness.Server(tmp_path / "data", {"small": small_dataset}) as server:
        make_base(server)
        calm = server.start_job("calm", model_name="calm", **SPEC)
        job = server.wait_job(calm)
        undisturbed = job.result, epochs_of(server.events(calm)), weights_of(server, job)
        name = server.start_job("killed", model_name="killed", **SPEC)
        watcher = harness.Watcher(server, name)
        wait_epoch(server, name, 3)
        kill_worker(server)
        wait_epoch(server, name, 6)
        server.kill()
        server.start()
        wait_epoch(server, name, 9)
        kill_worker(server)
        ended = check_same(server, name, watcher.finish(), undisturbed)
        assert len(ended.attempts) > 1
        # From its checkpoint, not from the model again.
        assert all(attempt.resumed_epoch > 0 for attempt in ended.attempts[1:])


def test_a_killed_continued_training_has_the_weights_of_one_that_never_ended(tmp_path,
                                                                              small_dataset):
    spec = dict(preset="cnn-1", patience=60, seed=11)
    undisturbed = calm_run(tmp_path / "calm", small_dataset, dict(spec, epochs=40))
    with harness.Server(tmp_path / "data", {"small": small_dataset}) as server:
        first = server.wait_job(server.start_job("first", epochs=5, **spec)).name
        name = server.training.StartTraining(harness.training_pb.StartTrainingRequest(
            continue_job=first, more_epochs=35)).name
        watcher = harness.Watcher(server, name)
        # Its own checkpoints are enough from here on.
        server.run("delete", first, check=harness.DONE)
        wait_epoch(server, name, 8)
        kill_worker(server)
        wait_epoch(server, name, 12)
        server.stop()
        server.start()
        ended = check_same(server, name, watcher.finish(), undisturbed)
        assert ended.attempts[0].resumed_epoch == 5
