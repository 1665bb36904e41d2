"""Trainings that start from a model, continue a job or resemble one."""

import json
import tarfile

import grpc
import numpy
import pytest

import glyphs
import harness
from idx import write_idx

QUICK = ["--epochs=2", "--cores=1", "--seed=3"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, small_dataset):
    letters = glyphs.make_glyphs(tmp_path_factory.mktemp("glyphs"), training=600, test=200)
    datasets = {"small": small_dataset, "letters": letters,
                "tall": make_tall(tmp_path_factory.mktemp("tall"))}
    with harness.Server(tmp_path_factory.mktemp("starts") / "data", datasets=datasets) as running:
        name = running.start_job(preset="cnn-2", epochs=2, model_name="base", schedule=1)
        running.base_job = running.wait_job(name).name
        yield running


def make_tall(folder):
    random = numpy.random.default_rng(1)
    for part, count in (("train", 100), ("t10k", 20)):
        images = random.integers(0, 256, (count, 32, 28)).astype(numpy.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz",
                  (numpy.arange(count) % 10).astype(numpy.uint8))
    (folder / "class_names.json").write_text(json.dumps(harness.CLASS_NAMES))
    return folder


def train(server, *options, check=harness.DONE, dataset="letters"):
    """The text that `train` prints, and the job."""
    ended = server.run("train", f"--dataset={dataset}", *QUICK, *options, check=check)
    return ended, server.json("jobs")[0]


def archive_of(server, job):
    path = server.data_dir / job["result"]["model_version"].replace("/versions", "") / "model.tar.gz"
    with tarfile.open(path) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}


def refusal(server, *command):
    return server.run(*command, check=harness.ERROR).stderr


def test_a_training_starts_from_a_model_and_everything_says_so(server):
    ended, job = train(server, "--from=base@latest", "--freeze=1", "--model-name=letters")
    assert job["spec"]["start_from"] == "models/base/versions/1"
    assert job["spec"]["preset"] == "cnn-2"
    words = ("starts from base@1; taken: conv1, norm1, conv2, norm2, dense1; new: output; "
             "frozen: conv1, norm1")
    assert words in ended.stdout
    assert words in server.run("show", job["name"], check=harness.DONE).stdout
    assert words in server.run("models", "letters@1", check=harness.DONE).stdout
    page = server.data_dir.parent / "report.html"
    server.run("report", job["name"], "-o", page, "--force", check=harness.DONE)
    assert f"Not trained from scratch: {words}" in page.read_text()
    start = json.loads(archive_of(server, job)["metadata.json"])["start"]
    assert start["model_version"] == "models/base/versions/1"
    assert start["new_layers"] == ["output"] and start["frozen_layers"] == ["conv1", "norm1"]
    assert job["result"]["compute_path"] == "COMPUTE_PATH_LIBTORCH"
    assert (int(job["result"]["trainable_parameter_count"])
            < int(server.json("show", server.base_job)[0]["result"]["trainable_parameter_count"]))


def test_a_start_from_the_same_classes_keeps_the_output(server):
    ended, job = train(server, "--from=base@1", "--model-name=same", dataset="small")
    assert "new: none" in ended.stdout
    assert "output" in job["start"]["taken_layers"]
    epochs = harness.kinds(server.events(job["name"]), "epoch")
    scratch = harness.kinds(server.events(server.base_job), "epoch")
    assert epochs[0].validation_accuracy > scratch[0].validation_accuracy


def test_a_sweep_compares_starts(server):
    experiment = server.json("sweep", "--preset=cnn-2", "--dataset=letters", "--epochs=1",
                             "--cores=1", "--from=none,base@1", "--seed=3", "--name=starts")[-1]
    starts = [c.get("start_from", "") for c in experiment["configurations"]]
    assert starts == ["", "models/base/versions/1"]
    table = server.run("compare", experiment["name"], check=harness.DONE).stdout
    assert "base@1" in table


def test_the_numbers_that_standardize_images_go_with_the_weights(server):
    _, job = train(server, "--preset=cnn-1", "--standardize=true", "--rotation=10",
                   "--random-resized-crop=0.8", "--color-jitter=0.2", "--model-name=standard",
                   dataset="small")
    numbers = job["result"]["standardization"]
    assert len(numbers["mean"]) == len(numbers["deviation"]) == 1
    metadata = json.loads(archive_of(server, job)["metadata.json"])
    assert metadata["architecture"]["network"]["standardization"] == numbers
    assert metadata["hyperparameters"]["standardize"] is True
    assert metadata["hyperparameters"]["rotation"] == 10
    for name in ("standard@1", job["name"]):
        shown = server.run("network", "show", name, check=harness.DONE).stdout
        assert f"standardization  mean {numbers['mean'][0]:.3f}; deviation" in shown
    _, start = train(server, "--from=standard", "--model-name=standard-letters")
    assert start["spec"]["standardize"] and start["result"]["standardization"] == numbers
    more = server.run("continue", start["name"], "--epochs=+1", check=harness.DONE)
    assert more and server.json("jobs")[0]["result"]["standardization"] == numbers
    _, like = train(server, f"--like={job['name']}", "--model-name=standard-like")
    assert like["spec"]["standardize"] and like["result"]["standardization"] != numbers
    said = refusal(server, "train", "--dataset=letters", "--from=standard", "--standardize=false")
    assert "--standardize" in said and "models/standard/versions/1" in said


def test_a_sweep_compares_augmentations(server):
    experiment = server.json("sweep", "--preset=dense", "--dataset=small", "--epochs=1",
                             "--cores=1", "--standardize=false,true", "--rotation=0,15",
                             "--seed=3", "--name=augmentations")[-1]
    assert len(experiment["configurations"]) == 4
    table = server.run("compare", experiment["name"], check=harness.DONE).stdout
    assert "rotation" in table and "standardize" in table


@pytest.mark.parametrize("options, words", [
    (["--dataset=letters", "--from=none-such"], ["--from", "There is no model none-such"]),
    (["--from=base@7"], ["--from", "no version 7"]),
    (["--from=base@prod"], ["--from", "'prod'"]),
    (["--from=base", "--freeze=4"], ["--freeze", "is 4", "has 4 convolutions and dense layers",
                                     "0 to 3"]),
    (["--from=base", "--freeze=-1"], ["--freeze", "is -1"]),
    (["--preset=cnn-2", "--freeze=1"], ["--freeze", "start from a model"]),
    (["--from=base", "--preset=dense"], ["--from", "nothing would be taken"]),
    (["--from=base", "--preset=cnn-2", "--kernel=5", "--freeze=1"], ["--freeze", "conv1"]),
    (["--from=base", "--dataset=tall"], ["--from", "1x28x28", "1x32x28"]),
])
def test_a_start_that_cannot_be_is_refused(server, options, words):
    before = len(server.json("jobs"))
    said = refusal(server, "train", "--epochs=1", *options)
    assert all(word in said for word in words), said
    assert len(server.json("jobs")) == before


def test_a_damaged_archive_is_refused(server, small_dataset):
    name = server.start_job(preset="cnn-1", epochs=1, model_name="damaged")
    server.wait_job(name)
    path = server.data_dir / "models" / "damaged" / "1" / "model.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    said = refusal(server, "train", "--dataset=small", "--from=damaged")
    assert "models/damaged/versions/1 cannot be used" in said and "SHA-256" in said


def test_a_version_stays_while_a_training_starts_from_it(server):
    name = server.start_job(preset="", start_from="models/base", epochs=10000, patience=10000,
                            model_name="longer")
    said = refusal(server, "delete", "base@1", "--force")
    assert "cannot be deleted yet" in said and name in said
    server.run("stop", name, "--wait")


def test_a_job_is_continued(server):
    ended = server.run("continue", server.base_job, "--epochs=+2", check=harness.DONE)
    job = server.json("jobs")[0]
    words = f"continues {server.base_job.removeprefix('jobs/')} after epoch 2"
    assert words in ended.stdout
    assert words in server.run("show", job["name"], check=harness.DONE).stdout
    assert job["spec"]["epochs"] == 4 and job["result"]["epochs_trained"] == 4
    assert [e.epoch for e in harness.kinds(server.events(job["name"]), "epoch")] == [1, 2, 3, 4]
    assert json.loads(archive_of(server, job)["metadata.json"])["start"]["continued_epochs"] == 2
    page = server.data_dir.parent / "continued.html"
    server.run("report", job["name"], "-o", page, "--force", check=harness.DONE)
    assert words in page.read_text()
    assert f"atelier continue {server.base_job.removeprefix('jobs/')} --epochs=4" in page.read_text()
    # As if it had never ended.
    longer = server.start_job(preset="cnn-2", epochs=4, model_name="straight", schedule=1)
    straight = server.wait_job(longer)
    assert straight.result.test_loss == job["result"]["test_loss"]


def test_a_continued_job_is_continued_with_another_schedule(server):
    server.run("continue", server.base_job, "--epochs=+1", "--schedule=one_cycle", "--name=again",
               check=harness.DONE)
    once = server.json("jobs")[0]
    assert once["spec"]["schedule_start_epoch"] == 2
    said = refusal(server, "continue", once["name"], "--epochs=+2")
    assert "--schedule" in said and "one_cycle" in said and "made for 3 epochs" in said
    server.run("continue", once["name"], "--epochs=+2", "--learning-rate=0.0001", "--freeze=2",
               check=harness.DONE)
    twice = server.json("jobs")[0]
    assert twice["start"]["frozen_layers"] == ["conv1", "norm1", "conv2", "norm2"]
    assert twice["result"]["epochs_trained"] == 5


def test_what_cannot_be_continued_is_refused(server):
    base = server.base_job
    assert "finished 2 epochs" in refusal(server, "continue", base)
    assert "finished 2 epochs" in refusal(server, "continue", base, "--epochs=2")
    assert "+10" in refusal(server, "continue", base, "--epochs=ten")
    assert "--freeze" in refusal(server, "continue", base, "--epochs=+1", "--freeze=9")
    assert "no job" in server.run("continue", "none", check=harness.NOT_FOUND).stderr
    with pytest.raises(grpc.RpcError) as refused:
        server.training.StartTraining(harness.training_pb.StartTrainingRequest(
            continue_job=base, more_epochs=1, spec=harness.job_pb.TrainingSpec(batch_size=64)))
    violations, _ = harness.error_details(refused.value)
    assert list(violations) == ["spec.batch_size"]
    running = server.start_job(epochs=10000, patience=10000)
    assert "has ended can be continued" in refusal(server, "continue", running, "--epochs=+1")
    server.run("stop", running, "--wait")


def test_a_stopped_job_is_continued_to_its_planned_end(server):
    name = server.start_job(preset="cnn-1", epochs=40, patience=40, schedule=2, base_name="halted")
    server.wait_event(name, "epoch")
    server.run("stop", name, "--wait", check=harness.DONE)
    server.run("continue", name, check=harness.DONE)
    job = server.json("jobs")[0]
    assert job["result"]["epochs_trained"] == 40
    straight = server.wait_job(server.start_job(preset="cnn-1", epochs=40, patience=40, schedule=2))
    assert straight.result.test_loss == job["result"]["test_loss"]


def test_only_the_newest_checkpoints_are_kept(tmp_path, small_dataset):
    with harness.Server(tmp_path / "data", {"small": small_dataset},
                        ["--kept_checkpoints=1"]) as server:
        first = server.wait_job(server.start_job("first")).name
        second = server.wait_job(server.start_job("second")).name

        def kept():
            return [p.name for p in (server.data_dir / "checkpoints").glob("*")]
        harness.wait_for(lambda: kept() == [second.removeprefix("jobs/")], what="one checkpoint")
        said = refusal(server, "continue", first, "--epochs=+1")
        assert "No checkpoint of job" in said and "--from" in said
        server.run("delete", second, check=harness.DONE)
        assert kept() == []


def test_a_job_like_another(server):
    options = ["--epochs=1", "--dropout=0.45", "--model-name=first", "--batch-size=100"]
    _, first = train(server, "--preset=cnn-1", *options[1:])
    server.run("train", "--like", first["name"], "--epochs=1", "--optimizer=sgd", check=harness.DONE)
    second = server.json("jobs")[0]
    assert second["spec"]["dropout"] == 0.45 and second["spec"]["preset"] == "cnn-1"
    assert second["spec"]["optimizer"] == "OPTIMIZER_SGD" and "beta1" not in second["spec"]
    assert second["spec"]["seed"] != first["spec"]["seed"]
    server.run("train", "--like=first@1", "--epochs=1", f"--seed={first['spec']['seed']}",
               check=harness.DONE)
    third = server.json("jobs")[0]
    assert third["spec"]["batch_size"] == 100
    said = server.run("train", "--like=none", check=harness.NOT_FOUND).stderr
    assert "no job none" in said
