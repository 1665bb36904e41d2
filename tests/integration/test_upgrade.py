"""A data directory that 0.1.0 left is read by this version: database, archives, events, checkpoints."""
import json
import tarfile

import grpc
import pytest

import harness
from harness import kinds

STORED = harness.ROOT / "tests" / "data" / "data-directory-0.1.0.tar.gz"


@pytest.fixture
def upgraded(tmp_path):
    """A server on the stored directory: three trainings of three stripes on 8×8 images and an experiment
    of two, one version with the alias `production`, and a training that a SIGTERM interrupted."""
    with tarfile.open(STORED) as archive:
        archive.extractall(tmp_path)
    with harness.Server(tmp_path / "data", datasets={"stripes": tmp_path / "stripes"}) as server:
        yield server


def jobs_by_base(server):
    listed = server.training.ListJobs(harness.training_pb.ListJobsRequest())
    return {job.name.removeprefix("jobs/").rsplit("-2026", 1)[0]: job for job in listed.jobs}


def test_jobs_results_and_events_of_0_1_0_are_there(upgraded):
    job = jobs_by_base(upgraded)["finished"]
    assert harness.job_pb.JobState.Name(job.state) == "JOB_STATE_COMPLETED"
    assert job.result.model_version == "models/dense/versions/1"
    assert job.result.test_accuracy > 1 / 3
    assert job.result.compute_path == harness.job_pb.COMPUTE_PATH_UNSPECIFIED
    events = upgraded.events(job.name)
    assert [event.epoch for event in kinds(events, "epoch")] == [1, 2, 3]
    assert kinds(events, "result") == [job.result]
    matrix = upgraded.training.GetConfusionMatrix(
        harness.training_pb.GetConfusionMatrixRequest(name=job.name))
    assert sum(sum(row.counts) for row in matrix.rows) == 60


def test_models_of_0_1_0_are_served_as_they_were(upgraded, tmp_path):
    stored = json.loads((upgraded.data_dir.parent / "answer.json").read_text())
    answer = upgraded.json("classify", "--model=dense@production", "--test-image=0",
                           "--dataset=stripes")[0]
    assert answer["model_version"] == stored["model_version"]
    for now, then in zip(answer["classifications"][0]["classes"],
                         stored["classifications"][0]["classes"], strict=True):
        assert now["name"] == then["name"]
        assert now["probability"] == pytest.approx(then["probability"], abs=1e-5)
    assert "cnn-1" in upgraded.run("models", check=harness.DONE).stdout
    upgraded.run("classify", "--model=cnn-1", "--test-image=1", "--dataset=stripes",
                 check=harness.DONE)
    upgraded.run("filters", "cnn-1", "-o", str(tmp_path / "filters.png"), check=harness.DONE)


def test_calibration_of_0_1_0_is_not_recorded(upgraded, tmp_path):
    job = jobs_by_base(upgraded)["finished"]
    assert not job.result.HasField("temperature") and not job.result.HasField("test_macro_f1")
    name = job.name.removeprefix("jobs/")
    for command in (("show", name), ("models", "dense@1")):
        lines = upgraded.run(*command, check=harness.DONE).stdout.splitlines()
        assert {line.split()[0] for line in lines if line.endswith("  not recorded")} >= {
            "F1", "calibration"}
    refused = upgraded.run("classify", "dense@production", "--test-image=0", "--dataset=stripes",
                           "--calibrated", check=harness.ERROR)
    assert "dense@1 was trained before temperatures were fitted" in refused.stderr
    with pytest.raises(grpc.RpcError) as raised:
        upgraded.inference.Classify(harness.inference_pb.ClassifyRequest(
            model="models/dense", calibrated=True,
            raw=harness.inference_pb.RawImages(pixels=bytes(64))))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert harness.error_details(raised.value)[1].reason == "NOT_CALIBRATED"
    page = tmp_path / "report.html"
    upgraded.run("report", name, "-o", str(page), check=harness.DONE)
    assert "Calibration and F1 were not recorded for this job." in page.read_text()


def test_the_experiment_of_0_1_0_is_compared_and_reported(upgraded, tmp_path):
    study = [name for name in jobs_by_base(upgraded) if name.startswith("study-dense")]
    assert study
    experiments = upgraded.json("experiments")
    assert len(experiments) == 1
    compared = upgraded.run("compare", experiments[0]["name"], check=harness.DONE).stdout
    assert "2 of 2" in compared
    page = tmp_path / "report.html"
    upgraded.run("report", experiments[0]["name"], "-o", str(page), check=harness.DONE)
    assert "dense" in page.read_text()


def test_a_training_that_0_1_0_began_begins_afresh(upgraded):
    """0.1.0 split and trained otherwise, so going on from its checkpoint would be neither its training
    nor ours; the job is not lost, either."""
    job = jobs_by_base(upgraded)["interrupted"]
    job = upgraded.wait_job(job.name, "TRAINING")
    assert job.attempts[-1].resumed_epoch == 0
    upgraded.wait_event(job.name, "epoch", after=max(
        event.number for event in upgraded.events(job.name, until=lambda e: e.HasField("rewound"))))
    upgraded.run("stop", job.name.removeprefix("jobs/"), check=harness.DONE)
    stopped = upgraded.wait_job(job.name, "STOPPED")
    assert stopped.result.model_version
