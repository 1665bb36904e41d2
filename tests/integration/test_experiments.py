"""Experiments: sweeps, comparisons, reports, and what survives a killed server."""

import json
import re
import signal
import subprocess

import grpc
import pytest

import harness
import metrics_page

experiment_pb = harness.proto("experiment_service")
QUICK = ["--dataset=small", "--epochs=1", "--cores=1", "--shards=2"]


def experiments_of(server):
    return harness.stubs("experiment_service").ExperimentServiceStub(server.channel)


def start(server, presets=("dense", "cnn-1"), seeds=(1, 2), request_id="", **spec):
    fields = dict(dataset="small", epochs=1, cores=1, shards=2)
    fields.update(spec)
    return experiments_of(server).StartExperiment(experiment_pb.StartExperimentRequest(
        base_name="asked", seeds=seeds, request_id=request_id,
        configurations=[harness.job_pb.TrainingSpec(preset=preset, **fields)
                        for preset in presets])).name


def get(server, name):
    return experiments_of(server).GetExperiment(experiment_pb.GetExperimentRequest(name=name))


def wait_ended(server, name, timeout=180):
    def ended():
        experiment = get(server, name)
        over = (experiment_pb.EXPERIMENT_STATE_COMPLETED, experiment_pb.EXPERIMENT_STATE_STOPPED)
        return experiment if experiment.state in over else None
    return harness.wait_for(ended, timeout, f"{name} to end")


@pytest.fixture(scope="module")
def swept(shared_server):
    """A finished experiment of two networks with two seeds, and what its sweep printed."""
    ended = shared_server.run("sweep", "--preset=dense,cnn-1", "--seeds=2", "--name=depth-study",
                              *QUICK, check=harness.DONE)
    name = shared_server.json("experiments")[0]["name"]
    return name.removeprefix("experiments/"), ended.stdout


def test_sweep_follows_to_the_finished_table(swept):
    name, text = swept
    assert name in text and "2 configurations, 2 seeds each: 4 runs" in text
    assert len(re.findall(r"^(?:dense|cnn-1), seed [12]: completed, test ", text, re.M)) == 4
    for words in ("completed: 4 of 4 runs completed", "109,386", "202,570", "2 of 2", "±",
                  "Best on the validation images", "\x1b"):
        assert (words in text) == (words != "\x1b"), words


def test_jobs_of_an_experiment_carry_its_name_and_the_networks(swept, shared_server):
    jobs = [run["job"] for run in shared_server.json("watch", swept[0])[-1]["runs"]]
    assert len(set(jobs)) == 4
    assert all(re.match(r"jobs/depth-study-(dense|cnn-1)-\d{8}-\d{6}", job) for job in jobs)


def test_compare_takes_experiments_and_jobs(swept, shared_server):
    rows = shared_server.json("compare", swept[0])
    assert [row["configuration"] for row in rows] == ["dense", "cnn-1"]
    assert all(row["completed"] == 2 and 0 < row["test_accuracy"] <= 1 for row in rows)
    assert all(row["test_accuracy_sd"] >= 0 and row["images_per_second"] > 0 for row in rows)
    job = rows[0]["trials"][0]["job"]
    alone, = shared_server.json("compare", job)
    assert alone["runs"] == 1 and alone["test_accuracy"] == rows[0]["trials"][0]["test_accuracy"]
    csv = shared_server.run("--output=csv", "compare", swept[0], check=harness.DONE).stdout
    assert len(csv.splitlines()) == 3 and "test_accuracy_sd" in csv
    both = shared_server.run("compare", job, "jobs/none-20260101-000000", check=harness.DONE).stdout
    assert "deleted" in both
    shared_server.run("compare", "none-20260101-000000", check=harness.NOT_FOUND)


def test_the_best_run_is_taken_by_one_command(swept, shared_server):
    rows = shared_server.json("compare", swept[0])
    best = max(rows, key=lambda row: row["validation_accuracy"])
    results = [shared_server.json("show", trial["job"])[0]["result"] for trial in best["trials"]]
    version = max(results, key=lambda result: result["validation_accuracy"])["model_version"]
    shared_server.run("alias", f"experiments/{swept[0]}", "chosen", check=harness.DONE)
    _, model, _, number = version.split("/")
    aliases = shared_server.json("models", model)[0]["aliases"]
    assert ("chosen", number) in [(alias["alias"], alias["version"]) for alias in aliases], aliases
    refused = shared_server.run("alias", swept[0], "chosen", check=harness.ERROR)
    assert "experiments/NAME" in refused.stderr


def test_a_model_of_an_experiment_without_a_result_is_refused(server):
    name = start(server, presets=("dense",), seeds=(1,), epochs=500, patience=500)
    refused = server.run("classify", name, "--test-image=0", check=harness.ERROR)
    assert "none has completed yet" in refused.stderr
    experiments_of(server).StopExperiment(experiment_pb.StopExperimentRequest(name=name))


def test_watch_stop_and_delete_take_experiments(server):
    started = server.run("sweep", "--preset=dense", "--seeds=3", "--dataset=small", "--epochs=500",
                         "--patience=500", "--cores=1", "--shards=2", "--detach", check=harness.DONE)
    name = started.stdout.split()[0]
    assert f"atelier watch {name}" in started.stdout
    harness.wait_for(lambda: any(run.state == experiment_pb.RUN_STATE_RUNNING
                                 for run in get(server, f"experiments/{name}").runs))
    server.run("delete", name, check=harness.ERROR)
    server.run("stop", name, "--wait", check=harness.DONE)
    server.run("watch", name, check=harness.STOPPED)
    experiment = wait_ended(server, f"experiments/{name}")
    assert experiment.state == experiment_pb.EXPERIMENT_STATE_STOPPED
    server.run("delete", name, check=harness.DONE)
    server.run("watch", f"experiments/{name}", check=harness.NOT_FOUND)
    assert server.json("jobs"), "its jobs stay"


def test_ctrl_c_detaches_and_says_how_to_go_on(server):
    client = subprocess.Popen(
        [str(harness.BIN / "atelier"), f"--server={server.address}", "sweep", "--preset=dense",
         "--seeds=2", "--dataset=small", "--epochs=500", "--patience=500", "--cores=1",
         "--shards=2", "--name=left"], stdout=subprocess.PIPE, text=True)
    harness.wait_for(lambda: server.json("jobs"), what="a job of the experiment")
    client.send_signal(signal.SIGINT)
    text, _ = client.communicate(timeout=60)
    assert client.returncode == 130
    assert "Detached; the experiment continues." in text and "atelier watch left-" in text
    assert server.json("experiments")[0]["state"] == "EXPERIMENT_STATE_RUNNING"


@pytest.mark.parametrize("arguments, words", [
    (["--preset=dense", "--epochs=0,1"], ["--epochs=0", "1 to 10000"]),
    (["--preset=dense,resnet-9000"], ["--preset=resnet-9000"]),
    (["--preset=dense,cnn-2", "--conv-depth=2"], ["--conv-depth=2", "dense"]),
    (["--epochs=1"], ["--preset", "No network"]),
    (["--preset=dense", "--epochs=1,,2"], ["--epochs", "empty value"]),
    (["--preset=dense", "--epochs=3,3"], ["--epochs", "twice"]),
    (["--preset=dense", "--colour=red"], ["--colour"]),
    (["--preset=dense", "--seed=1,2", "--seeds=2"], ["--seeds", "--seed"]),
    (["--preset=dense", f"--epochs={','.join(map(str, range(1, 102)))}", "--seeds=10"],
     ["1,000 runs"]),
    (["--preset=dense", "--name=Not This"], ["--name"]),
    (["--preset=dense,cnn-0"], ["cnn-0"]),
])
def test_a_wrong_sweep_is_refused_with_the_options_named(shared_server, arguments, words):
    before = len(shared_server.json("experiments"))
    refused = shared_server.run("sweep", *arguments, check=harness.ERROR)
    assert refused.stdout == ""
    for word in words:
        assert word in refused.stderr, refused.stderr
    assert len(shared_server.json("experiments")) == before


def test_a_sample_of_the_grid_is_drawn_by_the_seed(server):
    name = server.run("sweep", "--preset=dense", "--epochs=1,2,3", "--dropout=0.1,0.2,0.3",
                      "--random=2", "--seed=5", "--dataset=small", "--cores=1", "--shards=2",
                      "--detach", check=harness.DONE).stdout.split()[0]
    experiment = get(server, f"experiments/{name}")
    assert len(experiment.configurations) == 2 and list(experiment.seeds) == [5]


def test_an_experiment_survives_kills_without_losing_or_repeating_a_run(server):
    name = start(server, presets=("dense",), seeds=(1, 2, 3, 4, 5, 6), request_id="once")
    for _ in range(4):
        ended = sum(run.state == experiment_pb.RUN_STATE_COMPLETED for run in get(server, name).runs)
        server.kill()
        server.start()
        harness.wait_for(
            lambda: sum(run.state == experiment_pb.RUN_STATE_COMPLETED
                        for run in get(server, name).runs) > ended or
            get(server, name).state == experiment_pb.EXPERIMENT_STATE_COMPLETED, 120)
    experiment = wait_ended(server, name)
    assert experiment.state == experiment_pb.EXPERIMENT_STATE_COMPLETED
    assert [run.state for run in experiment.runs] == [experiment_pb.RUN_STATE_COMPLETED] * 6
    jobs = server.training.ListJobs(harness.training_pb.ListJobsRequest(page_size=1000)).jobs
    assert sorted(job.spec.seed for job in jobs) == [1, 2, 3, 4, 5, 6]
    assert start(server, presets=("dense",), seeds=(1, 2, 3, 4, 5, 6), request_id="once") == name


def test_the_stream_follows_over_a_restart(server):
    name = start(server, presets=("dense",), seeds=(1, 2, 3))
    client = subprocess.Popen([str(harness.BIN / "atelier"), f"--server={server.address}",
                               "--output=json", "watch", name],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    harness.wait_for(lambda: any(run.state == experiment_pb.RUN_STATE_COMPLETED
                                 for run in get(server, name).runs), 120)
    server.kill()
    server.start()
    text, _ = client.communicate(timeout=180)
    assert client.returncode == harness.DONE
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[-1]["state"] == "EXPERIMENT_STATE_COMPLETED" and len(lines[-1]["runs"]) == 3


def test_a_small_queue_only_delays_an_experiment(data_dir, small_dataset):
    flags = ["--max_queued_jobs=1", "--workers=1", "--threads_per_worker=1"]
    with harness.Server(data_dir, {"small": small_dataset}, flags) as server:
        name = start(server, presets=("dense",), seeds=(1, 2, 3, 4))
        experiment = wait_ended(server, name)
        assert [run.state for run in experiment.runs] == [experiment_pb.RUN_STATE_COMPLETED] * 4


def test_a_failed_run_does_not_end_the_experiment(server):
    ended = server.run("sweep", "--preset=dense", "--learning-rate=0.001,10", "--epochs=3",
                       "--dataset=small", "--cores=1", "--shards=2", "--dropout=0")
    experiment = get(server, server.json("experiments")[0]["name"])
    states = {experiment_pb.RunState.Name(run.state) for run in experiment.runs}
    assert "RUN_STATE_COMPLETED" in states
    assert ended.returncode == (harness.JOB_FAILED if "RUN_STATE_FAILED" in states
                                else harness.DONE)


def test_unknown_experiments_are_not_found(shared_server):
    with pytest.raises(grpc.RpcError) as error:
        get(shared_server, "experiments/none-20260101-000000")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert harness.error_details(error.value)[1].reason == "EXPERIMENT_NOT_FOUND"


def calls(server):
    """All unary calls so far; a worker's attaching, whose time is its own, is a stream."""
    return sum(metrics_page.Page(server).values("grpc_server_started_total", grpc_type="unary"))


def test_a_comparison_asks_once_for_each_of_500_jobs(data_dir, small_dataset):
    """Jobs that wait are stored as well as any."""
    flags = ["--workers=1", "--threads_per_worker=1"]
    with harness.Server(data_dir, {"small": small_dataset}, flags) as server:
        blocker = server.start_job("blocker", epochs=5000, patience=5000)
        names = [server.start_job("many", seed=i) for i in range(500)]
        before = calls(server)
        text = server.run("compare", *names, check=harness.DONE).stdout
        assert "0 of 500" in text
        assert calls(server) - before == 500
        server.run("stop", blocker)
