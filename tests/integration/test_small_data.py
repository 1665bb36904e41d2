"""Data sets of few images, few of some classes, and trainings that go wrong: figures that can be
trusted, and words where they cannot."""

import json
import re

import numpy
import pytest

import glyphs
import harness
from idx import write_idx


@pytest.fixture(scope="module")
def small_server(tmp_path_factory, small_dataset):
    letters = glyphs.make_glyphs(tmp_path_factory.mktemp("glyphs"), training=2000, test=500)
    datasets = {"small": small_dataset, "glyphs": letters,
                "lopsided": make_lopsided(tmp_path_factory.mktemp("lopsided"))}
    with harness.Server(tmp_path_factory.mktemp("server") / "data", datasets=datasets) as running:
        yield running


def make_lopsided(folder):
    """300 images of two classes, none of a third, three of a fourth, labels by chance."""
    random = numpy.random.default_rng(1)
    for part, labels in (("train", [0] * 150 + [1] * 147 + [3] * 3), ("t10k", [0, 1, 3] * 10)):
        images = random.integers(0, 256, (len(labels), 28, 28)).astype(numpy.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", numpy.array(labels, numpy.uint8))
    (folder / "class_names.json").write_text(json.dumps(["left", "right", "none", "few"]))
    return folder


# 15 steps an epoch: what batch norm validates and serves with must be of now. With the means of the
# last hundred steps, from zero and one, this ends with the accuracy of guessing, 10 %.
def test_a_small_data_set_is_learned_by_the_study_s_recipe(small_server):
    name = small_server.start_job(preset="cnn-2", dataset="glyphs", epochs=4, model_name="glyphs")
    job = small_server.wait_job(name)
    epochs = harness.kinds(small_server.events(name), "epoch")
    assert job.result.test_accuracy > 0.8
    assert all(epoch.validation_accuracy > 0.4 for epoch in epochs), epochs
    assert not job.result.warnings


def test_what_makes_figures_doubtful_is_said(small_server):
    # Noise: learned by heart at most.
    ended = small_server.run("train", "--preset=dense", "--dataset=lopsided", "--epochs=40",
                             "--patience=40", "--dropout=0", "--seed=1", "--batch-size=32",
                             check=harness.DONE)
    job = small_server.json("jobs")[0]["name"]
    warnings = small_server.json("show", job)[0]["result"]["warnings"]
    assert any("no images to train on: none." in warning for warning in warnings), warnings
    assert any("no images to validate with: none." in warning for warning in warnings), warnings
    assert any("does not carry over" in warning for warning in warnings), warnings
    shown = small_server.run("show", job, check=harness.DONE).stdout
    logged = small_server.run("logs", job, check=harness.DONE).stdout
    for warning in warnings:
        assert warning in ended.stdout and warning in shown and warning in logged


def test_a_diverged_training_offers_its_best_epoch(small_server):
    # Every step multiplies the weights by 1 - 2.5, until they are no numbers any more.
    spec = dict(learning_rate=2.5, weight_decay=1, epochs=1000, patience=1000, model_name="wild")
    name = small_server.start_job(**spec)
    job = small_server.wait_job(name, "FAILED")
    assert job.transitions[-1].reason == "DIVERGED"
    assert harness.state_names(small_server.events(name))[-3:] == ["EVALUATING", "STORING", "FAILED"]
    assert job.result.diverged and job.result.best_epoch > 0
    assert job.result.model_version == "models/wild/versions/1"
    model = small_server.models.GetModel(harness.model_pb.GetModelRequest(name="models/wild"))
    assert model.version_count == 1 and not model.aliases
    small_server.run("classify", "--model=wild@1", "--test-image=0", check=harness.DONE)
    small_server.run("classify", "--model=wild", "--test-image=0", check=harness.ERROR)
    shown = small_server.run("show", name, check=harness.JOB_FAILED).stdout
    assert "the best, are stored as models/wild/versions/1." in shown
    assert "(diverged)" in small_server.run("models", "wild", check=harness.DONE).stdout


def test_the_momentum_of_batch_norm_can_be_chosen(small_server):
    experiment = small_server.json(
        "sweep", "--preset=cnn-1", "--dataset=glyphs", "--epochs=1", "--cores=1", "--seed=3",
        "--batch-norm-momentum=0.01,0.5", "--name=momentum")[-1]
    jobs = [small_server.json("show", run["job"])[0] for run in experiment["runs"]]
    assert [job["spec"]["batch_norm_momentum"] for job in jobs] == [0.01, 0.5]
    assert jobs[0]["result"]["validation_loss"] != jobs[1]["result"]["validation_loss"]
    shown = small_server.run("show", jobs[1]["name"]).stdout
    assert re.search(r"batch-norm-momentum +0\.5\b", shown)
    assert "batch-norm-momentum" in small_server.run("compare", experiment["name"]).stdout
