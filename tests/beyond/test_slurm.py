"""Trainings on a Slurm cluster: whatever is done to it they end as if nothing had been done."""

import random
import re
import signal
import subprocess
import time

import grpc
import pytest

import campaign
import harness
import recovery
import slurm_cluster
from campaign import ROUNDS, SPEC
from harness import BIN, JOB_FAILED, Server, Watcher, error_details, wait_for
from metrics_page import Page


def flags(port, *further):
    return ["--executor=slurm", f"--worker_listen=127.0.0.1:{port}", "--slurm_partition=train",
            "--slurm_allow=nodelist,time", "--threads_per_worker=1", "--lease=5s",
            "--rank_network=127.0.0.0/8", *further]


@pytest.fixture
def server(slurm, data_dir, small_dataset, monkeypatch):
    """A server that has the cluster run its workers, and leaves nothing there."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset}, flags(port)) as running:
        try:
            yield running
            slurm.wait_empty()
        finally:
            # What a failed test left would keep the nodes busy for the next one.
            for job in slurm.jobs():
                slurm.cancel(job)


def wait_running(slurm, name, timeout=60):
    """The node on which a job's worker runs, and its Slurm job."""
    def found():
        for number, state, _, node, title in slurm.listed():
            if state == "RUNNING" and title.startswith(f"atelier-{name.removeprefix('jobs/')}-"):
                return node, number
        return None
    return wait_for(found, timeout, f"{name} to run on a node")


def other(node):
    return {"n1": "n2", "n2": "n1"}[node]


def test_faults_preemption_a_lost_node_a_controller_and_server_restarted(server, slurm, undisturbed):
    name = server.start_job("hard", model_name="hard", **SPEC)
    seen = Watcher(server, name)
    recovery.wait_epoch(server, name, 3)
    node, _ = wait_running(slurm, name)
    urgent = slurm.submit("--partition=urgent", f"--nodelist={node}", "--exclusive")
    wait_for(lambda: len(server.job(name).attempts) == 2, what="a second attempt")
    slurm.cancel(urgent)

    recovery.wait_epoch(server, name, server.job(name).progress.epoch + 3)
    node, _ = wait_running(slurm, name)
    slurm.kill_node(node)
    wait_for(lambda: len(server.job(name).attempts) == 3, 120, "a third attempt")
    slurm.start_node(node)
    wait_running(slurm, name)
    recovery.wait_epoch(server, name, server.job(name).progress.epoch + 3)

    slurm.stop_controller()
    recovery.wait_epoch(server, name, server.job(name).progress.epoch + 3)
    slurm.start_controller()
    server.kill()
    server.start()
    job = recovery.check_same(server, name, seen.finish(), undisturbed)
    assert {attempt.place.split(",")[0] for attempt in job.attempts} <= {"node n1", "node n2"}
    assert recovery.end_reasons(job)[0] in ("SUSPENDED", "PREEMPTED")
    assert recovery.end_reasons(job)[1] == "WORKER_LOST"
    assert recovery.end_reasons(job)[-1] == "COMPLETED"


@pytest.mark.skipif(not recovery.can_hide(), reason="mount namespaces cannot be made here")
def test_nodes_that_do_not_see_the_data_directory_copy(slurm, data_dir, small_dataset, tmp_path, monkeypatch,
                                                       undisturbed_copied):
    """The second attempt runs on the other node, with no more than what the server was sent."""
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    [port] = harness.free_ports(1)
    data_dir.mkdir(parents=True)
    worker, cache = tmp_path / "worker.sh", tmp_path / "cache"
    recovery.write_hiding_worker(worker, [data_dir, small_dataset])
    with Server(data_dir, {"small": small_dataset},
                flags(port, f"--worker_binary={worker}", f"--worker_cache_dir={cache}")) as server:
        def lose_node_of(name):
            node, _ = wait_running(slurm, name)
            slurm.kill_node(node)
            return lambda: slurm.start_node(node)

        campaign.train_by_copies(server, undisturbed_copied, lose_node_of)
        slurm.wait_empty()


def test_two_jobs_train_on_two_nodes_at_once(server, slurm):
    first = server.start_job("first", slurm_args="--nodelist=n1", **SPEC)
    second = server.start_job("second", slurm_args="--nodelist=n2", **SPEC)
    assert wait_running(slurm, first)[0] == "n1"
    assert wait_running(slurm, second)[0] == "n2"
    wait_for(lambda: all(Page(server).values("atelier_engine_running", node=node) == [1] for node in ("n1", "n2")),
             what="the metrics page to show where they run")
    assert Page(server).value("atelier_engine_silent_since_timestamp_seconds") == 0
    for name in (first, second):
        server.wait_job(name, "TRAINING")
        server.run("stop", name.removeprefix("jobs/"))
        server.wait_job(name)


def test_a_sweep_fills_the_cluster(server):
    """Each trial takes most of a node's memory, so that two nodes are two trials at a time."""
    ended = server.run("sweep", "--preset=dense", "--dataset=small", "--seeds=4", "--epochs=150", "--patience=150",
                       "--cores=1", "--memory=9GiB", check=harness.DONE)
    assert "completed: 4 of 4 runs completed" in ended.stdout
    spans = {"node n1": [], "node n2": []}
    for job in server.json("jobs"):
        [attempt] = server.job(job["name"]).attempts
        spans[attempt.place.split(",")[0]].append((attempt.start_time.ToNanoseconds(), attempt.end_time.ToNanoseconds()))
    assert all(spans.values()), spans
    assert any(begin < other_end and other_begin < end
               for begin, end in spans["node n1"] for other_begin, other_end in spans["node n2"]), spans


def test_two_nodes_come_to_the_bits_of_one_machine(server, undisturbed_pair):
    assert campaign.train_on_two_nodes(server, undisturbed_pair).startswith("nodes n[1-2], Slurm job ")


def test_without_one_of_its_nodes_a_job_goes_on_in_the_next_attempt(server, undisturbed_pair):
    campaign.lose_second_process(server, undisturbed_pair, "SLURM_PROCID")


def test_a_job_that_waits_says_for_what_and_is_stopped(server, slurm):
    blockers = [slurm.submit("--partition=urgent", f"--nodelist={node}", "--exclusive")
                for node in ("n1", "n2")]
    wait_for(lambda: len(slurm.listed(("RUNNING",))) == 2, what="a full cluster")
    name = server.start_job("waits")
    identifier = name.removeprefix("jobs/")
    event = server.events(name, until=lambda e: re.search(r"job \d+ waits: ", e.waiting.reason))[-1]
    found = re.fullmatch(r"It waits: Slurm job (\d+) waits: (Resources|Priority|ReqNodeNotAvail.*)\.",
                         event.waiting.reason)
    assert found, event
    assert event.number == server.events(name, until=lambda e: e.HasField("waiting"))[-2].number
    reason = re.match("[A-Za-z]+", found.group(2))[0]
    wait_for(lambda: Page(server).values("atelier_engine_pending", reason=reason) == [1],
             what="the metrics page to count it")
    for command in (("show", identifier), ("jobs",), ("top",)):
        assert f"Slurm job {found.group(1)}" in server.run(*command).stdout, command
    # The place in Slurm's queue is kept over a restart of the server.
    assert server.stop() == 0
    server.start()
    wait_for(lambda: f"Slurm job {found.group(1)}" in server.job(name).waiting_reason,
             what="the reason after a restart")
    server.run("stop", identifier)
    assert server.wait_job(name).state == harness.job_pb.JOB_STATE_STOPPED
    for blocker in blockers:
        slurm.cancel(blocker)


def test_what_slurm_will_not_run_fails_with_its_reason(server):
    name = server.start_job("huge", cores=64, shards=2)
    job = server.wait_job(name, "FAILED")
    assert job.transitions[-1].reason == "REFUSED"
    assert re.search("PartitionConfig|not available|not be satisfied", job.transitions[-1].message), job.transitions
    shown = server.run("show", name.removeprefix("jobs/"), check=JOB_FAILED)
    assert "REFUSED" in shown.stdout or "Slurm" in shown.stdout


def test_arguments_are_those_that_the_operator_allows(server, slurm):
    with pytest.raises(grpc.RpcError) as refused:
        server.start_job("no", slurm_args="--nodelist=n1 --partition=urgent")
    assert "--partition is not an argument" in error_details(refused.value)[0]["spec.slurm_args"]
    with pytest.raises(grpc.RpcError) as reserved:
        server.start_job("no", slurm_args="--wrap=id")
    assert "given by the server" in error_details(reserved.value)[0]["spec.slurm_args"]
    _, place, watched = campaign.train_placed(server, "--slurm-args", "--nodelist=n2 --time=10")
    assert "completed" in watched
    assert place.startswith("node n2, Slurm job ")


def test_the_token_is_on_no_command_line(server, slurm):
    name = server.start_job("secret", **SPEC)
    wait_running(slurm, name)
    server.wait_job(name, "TRAINING")
    [pid] = server.worker_pids()
    environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
    [token] = [e.split(b"=")[1] for e in environment if e.startswith(b"ATELIER_WORKER_TOKEN=")]
    assert all(token not in b" ".join(command) for _, command, _ in slurm_cluster.processes())
    assert token.decode() not in slurm.command("scontrol", "show", "job").stdout
    server.run("stop", name.removeprefix("jobs/"))
    server.wait_job(name)


def test_a_server_killed_as_slurm_takes_a_job_neither_loses_nor_doubles_it(
        slurm, data_dir, small_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    for program in ("sbatch", "squeue", "scontrol", "scancel"):
        real = slurm.command("sh", "-c", f"command -v {program}").stdout.strip()
        script = f'#!/bin/sh\nexec {real} "$@"\n'
        if program == "sbatch":
            script = (f'#!/bin/sh\nanswer=$({real} "$@")\ncode=$?\n'
                      f'if rm {tmp_path}/armed 2>/dev/null; then kill -9 $PPID; sleep 1; fi\n'
                      'echo "$answer"\nexit $code\n')
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    (tmp_path / "armed").touch()
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset},
                flags(port, f"--slurm_bin={tmp_path / 'bin'}")) as server:
        name = server.start_job("cut")
        server.process.wait(60)
        assert server.process.returncode == -signal.SIGKILL
        server._ended(10)
        server.start()
        job = server.wait_job(name)
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED, job.transitions
        assert len(job.attempts) == 1
        wait_for(lambda: not slurm.jobs(), what="an empty cluster")


def test_commands_that_hang_end_nothing(slurm, data_dir, small_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    real = slurm.command("sh", "-c", "command -v sbatch").stdout.strip()
    scripts = {"sbatch": f'exec {real} "$@"', "squeue": "echo nonsense; exec sleep 1000",
               "scontrol": "exec sleep 1000", "scancel": "exec sleep 1000"}
    for program, script in scripts.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / program).chmod(0o755)
    [port] = harness.free_ports(1)
    with Server(data_dir, {"small": small_dataset}, flags(port, f"--slurm_bin={tmp_path}")) as server:
        name = server.start_job("deaf")
        assert server.wait_job(name).state == harness.job_pb.JOB_STATE_COMPLETED
        assert len(server.job(name).attempts) == 1
    wait_for(lambda: not slurm.jobs(), what="an empty cluster")


@pytest.mark.parametrize("given, complaint", [
    (["--executor=nomad", "--worker_listen=127.0.0.1:5000"], "'nomad' is not process or slurm"),
    (["--executor=slurm"], "--worker_listen: .* is a socket of this machine"),
    (["--executor=slurm", "--worker_listen=0.0.0.0:5000", "--allow_insecure"],
     "--worker_listen: 0.0.0.0:5000 names no machine"),
    (["--executor=slurm", "--worker_listen=10.9.8.7:5000"], "give --tls_cert and --tls_key"),
    (["--executor=slurm", "--worker_listen=127.0.0.1:5000", "--slurm_bin=/nowhere"],
     "cannot run /nowhere/sbatch"),
    (["--executor=slurm", "--worker_listen=127.0.0.1:5000", "--slurm_args=-p gpu"],
     "--slurm_args: '-p' is not --NAME"),
    (["--executor=slurm", "--worker_listen=127.0.0.1:5000", "--max_jobs=20000"],
     "--max_jobs: 20000 is out of range"),
    (["--slurm_partition=gpu"], "--slurm_partition: it has no effect with --executor=process"),
    (["--max_jobs=3"], "--max_jobs: on this machine"),
])
def test_wrong_flags_are_refused_by_name(data_dir, given, complaint):
    done = subprocess.run([BIN / "atelierd", f"--data_dir={data_dir}", "--listen=127.0.0.1:0",
                           "--metrics_listen=127.0.0.1:0", *given],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert re.search(complaint, done.stderr), done.stderr


def preempt(server, slurm, name):
    node, _ = wait_running(slurm, name)
    attempts = len(server.job(name).attempts)
    urgent = slurm.submit("--partition=urgent", f"--nodelist={node}", "--exclusive")
    wait_for(lambda: len(server.job(name).attempts) > attempts or campaign.ended(server, name), 120,
             "another attempt")
    slurm.cancel(urgent)


def lose_node(server, slurm, name):
    node, _ = wait_running(slurm, name)
    slurm.kill_node(node)
    slurm.start_node(node)


def lose_controller(_server, slurm, _name):
    slurm.stop_controller()
    time.sleep(random.random() * 3)  # How long it is away, the fault itself.
    slurm.start_controller()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_random_faults(server, slurm, undisturbed, round_):
    campaign.play(server, slurm, undisturbed, round_, [preempt, lose_node, lose_controller])
