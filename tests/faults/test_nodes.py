"""One job trained by several processes: the weights of one process, whatever happens to any of them."""

import os
import signal
import time

import grpc
import pytest

import harness
from recovery import calm_run, check_same, epochs_of, wait_epoch, weights_of

job_pb = harness.job_pb

SPEC = dict(preset="cnn-1", epochs=24, patience=24, seed=11, shards=4, cores=1)


@pytest.fixture
def server(tmp_path, small_dataset):
    with harness.Server(tmp_path / "data", {"small": small_dataset},
                        flags=["--workers=4", "--threads_per_worker=1", "--lease=10s"]) as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, small_dataset):
    return calm_run(tmp_path_factory.mktemp("one"), small_dataset, dict(SPEC, nodes=1))


def ranks_of(server):
    """Processes of the running attempt by their rank; all of them, once they are there."""
    ranks = {}
    for pid in server.worker_pids():
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                arguments = file.read().split("\0")
        except OSError:
            continue
        rank = [a.split("=")[1] for a in arguments if a.startswith("--rank=")]
        ranks[int(rank[0]) if rank else 0] = pid
    return ranks


def await_ranks(server, count):
    return harness.wait_for(lambda: len(ranks := ranks_of(server)) == count and ranks,
                            what=f"{count} processes")


@pytest.mark.parametrize("preset", ["cnn-1", "resnet"])
def test_any_number_of_nodes_makes_the_same_weights(server, tmp_path, small_dataset, preset):
    spec = dict(SPEC, preset=preset, epochs=2)
    one = calm_run(tmp_path / "one", small_dataset, dict(spec, nodes=1))
    for nodes in (2, 3, 4):
        name = server.start_job(model_name=f"nodes-{nodes}", nodes=nodes, **spec)
        job = server.wait_job(name)
        assert job.state == job_pb.JOB_STATE_COMPLETED, job.transitions
        assert len(job.attempts) == 1 and job.attempts[0].cores == nodes, job.attempts
        assert job.spec.nodes == nodes
        assert weights_of(server, job) == one[2], nodes
        assert epochs_of(server.events(name)) == one[1], nodes
        assert job.result.test_loss == one[0].test_loss
        harness.wait_for(lambda: not server.worker_pids(), what="every process to end")


def test_a_lost_process_loses_the_attempt_and_the_next_goes_on(server, undisturbed):
    name = server.start_job(model_name="killed", nodes=3, **SPEC)
    watcher = harness.Watcher(server, name)
    for epoch, rank in ((2, 2), (4, 0), (6, 1)):
        wait_epoch(server, name, epoch)
        pids = await_ranks(server, 3)
        os.kill(pids[rank], signal.SIGKILL)
        # None of that attempt is left when the next one works.
        harness.wait_for(lambda: not set(pids.values()) & set(server.worker_pids()),
                         what="the other processes to end")
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert len(job.attempts) == 4
    assert all(attempt.resumed_epoch > 0 for attempt in job.attempts[1:])


def test_a_silent_process_is_lost_within_the_lease(server, undisturbed):
    name = server.start_job(model_name="silent", nodes=2, **SPEC)
    watcher = harness.Watcher(server, name)
    wait_epoch(server, name, 2)
    silent = await_ranks(server, 2)[1]
    os.kill(silent, signal.SIGSTOP)
    begin = time.monotonic()
    harness.wait_for(lambda: len(server.job(name).attempts) == 2, what="another attempt")
    assert time.monotonic() - begin < 30
    assert "another of its processes was lost" in str(server.job(name).transitions)
    harness.wait_for(lambda: silent not in server.worker_pids(), what="the silent process to end")
    check_same(server, name, watcher.finish(), undisturbed)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_death_before_they_train_costs_one_attempt(server, tmp_path, small_dataset, rank):
    spec = dict(SPEC, epochs=2)
    weights = calm_run(tmp_path / "one", small_dataset, dict(spec, nodes=1))[2]
    for delay in (0, 0.1, 0.25):
        name = server.start_job(model_name=f"early-{rank}", nodes=2, **spec)
        pids = await_ranks(server, 2)
        time.sleep(delay)
        os.kill(pids[rank], signal.SIGKILL)
        job = server.wait_job(name)
        assert job.state == job_pb.JOB_STATE_COMPLETED, job.transitions
        assert len(job.attempts) <= 2, job.attempts
        assert weights_of(server, job) == weights, delay
        harness.wait_for(lambda: not server.worker_pids(), what="every process to end")


def test_they_meet_again_after_the_server_was_away(server, tmp_path, small_dataset):
    spec = dict(SPEC, epochs=2)
    weights = calm_run(tmp_path / "one", small_dataset, dict(spec, nodes=1))[2]
    name = server.start_job(model_name="early-away", nodes=2, **spec)
    os.kill(await_ranks(server, 2)[1], signal.SIGSTOP)
    time.sleep(0.5)
    server.kill()
    server.start()
    os.kill(ranks_of(server)[1], signal.SIGCONT)
    job = server.wait_job(name)
    assert job.state == job_pb.JOB_STATE_COMPLETED, job.transitions
    assert len(job.attempts) == 1, job.attempts
    assert weights_of(server, job) == weights


def test_they_go_on_while_the_server_is_away(server, undisturbed):
    name = server.start_job(model_name="away", nodes=2, **SPEC)
    watcher = harness.Watcher(server, name)
    wait_epoch(server, name, 2)
    pids = await_ranks(server, 2)
    server.kill()
    server.start()
    assert ranks_of(server) == pids
    assert len(check_same(server, name, watcher.finish(), undisturbed).attempts) == 1


def test_a_stopped_server_suspends_all_of_them(server, undisturbed):
    name = server.start_job(model_name="suspended", nodes=4, **SPEC)
    watcher = harness.Watcher(server, name)
    wait_epoch(server, name, 3)
    server.stop()
    assert not server.worker_pids()
    server.start()
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert [attempt.end_reason for attempt in job.attempts][:1] == ["SERVER_SHUTDOWN"]


def test_a_signal_to_any_of_them_suspends_all(server, undisturbed):
    name = server.start_job(model_name="signalled", nodes=3, **SPEC)
    watcher = harness.Watcher(server, name)
    wait_epoch(server, name, 3)
    os.kill(await_ranks(server, 3)[2], signal.SIGTERM)
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert [attempt.end_reason for attempt in job.attempts][:1] == ["SUSPENDED"]


def test_a_stop_ends_all_and_keeps_what_there_is(server):
    name = server.start_job(model_name="stopped", nodes=2, **dict(SPEC, epochs=5000, patience=5000))
    wait_epoch(server, name, 2)
    pids = await_ranks(server, 2)
    server.run("stop", name.split("/")[1], "--wait", check=harness.DONE)
    assert server.job(name).state == job_pb.JOB_STATE_STOPPED
    assert server.job(name).result.model_version
    harness.wait_for(lambda: not set(pids.values()) & set(server.worker_pids()), what="their end")


def test_a_failure_of_all_is_told_once(server):
    name = server.start_job(nodes=2, **dict(SPEC, learning_rate=10, optimizer="OPTIMIZER_SGD"))
    job = server.wait_job(name, "FAILED", "COMPLETED")
    assert job.state == job_pb.JOB_STATE_FAILED and len(job.attempts) == 1, job
    assert job.attempts[0].end_reason == "DIVERGED"


def test_nodes_that_cannot_be_are_refused(server):
    for spec, words in ((dict(nodes=0), "must be 1 to 16"), (dict(nodes=17), "must be 1 to 16"),
                        (dict(nodes=3, shards=2), "has 2 shards"),
                        (dict(nodes=4, cores=2), "has 4 cores; 4 nodes of 2 need more"),
                        (dict(nodes=2, memory_bytes=1 << 38), "spec.memory_bytes")):
        with pytest.raises(grpc.RpcError) as raised:
            server.start_job(**dict(SPEC, **spec))
        assert words in str(harness.error_details(raised.value)), raised.value


def test_the_terminal_tells_nodes(server):
    said = server.run("train", "--preset", "dense", "--dataset", "small", "--epochs", "1",
                      "--nodes", "2", "--cores", "1", check=harness.DONE).stdout
    job = said.split()[0]
    assert "nodes" in server.run("show", job, check=harness.DONE).stdout


def test_threads_of_one_process_do_not_wait_for_the_others(server):
    """Two jobs of two nodes each share a server without getting in each other's way."""
    names = [server.start_job(f"pair-{i}", model_name=f"pair-{i}", nodes=2, **dict(SPEC, epochs=3))
             for i in range(2)]
    jobs = [server.wait_job(name) for name in names]
    assert weights_of(server, jobs[0]) == weights_of(server, jobs[1])
