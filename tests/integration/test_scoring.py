"""Jobs that look at models and data sets and leave both as they are: evaluations and checks."""

import random
import shutil

import grpc
import pytest

import harness
from harness import dataset_pb, job_pb, model_pb, wait_for
from test_dataset_push import picture, picture_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A server with the data set `stripes`, the model `dense` of it, and the folder of the pictures."""
    folder = tmp_path_factory.mktemp("scoring")
    with harness.Server(folder / "data") as server:
        pictures = picture_folder(folder / "stripes")
        server.run("datasets", "push", "stripes", pictures, check=harness.DONE)
        server.run("train", "--dataset", "stripes", "--preset", "dense", "--epochs", "4", "--batch-size",
                   "16", "--seed", "3", check=harness.DONE)
        server.pictures = pictures
        yield server


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return harness.error_details(raised.value)


def test_an_evaluation_on_the_test_images_measures_what_the_training_did(trained):
    said = trained.run("evaluate", "dense", "--dataset", "stripes", check=harness.DONE).stdout
    assert "✔ completed" in said and "accuracy" in said and "dense@1 on the test images" in said, said
    job = next(job for job in trained.json("jobs") if "evaluation" in job)
    training = next(job for job in trained.json("jobs") if "result" in job)["result"]
    measured = job["evaluation_result"]
    for name in ("accuracy", "loss", "macro_f1", "weighted_f1", "ece"):
        assert measured[name] == pytest.approx(training[f"test_{name}"], abs=1e-12), name
    assert measured["calibrated_ece"] == pytest.approx(training["calibrated_test_ece"], abs=1e-12)
    assert measured["temperature"] == training["temperature"]
    assert measured["dataset_checksum"] == training["dataset_checksum"]
    assert [each["state"] for each in job["transitions"]] == [
        f"JOB_STATE_{state}" for state in ("QUEUED", "STARTING", "PREPARING", "EVALUATING", "COMPLETED")]


def test_an_evaluation_is_a_job_like_others(trained):
    job = trained.models.EvaluateModel(model_pb.EvaluateModelRequest(
        name="models/dense/versions/latest", dataset="datasets/stripes", request_id="one",
        split=job_pb.DATASET_SPLIT_TRAINING))
    events = harness.Watcher(trained, job.name).finish()
    assert harness.kinds(events, "evaluation_result")[0].images == 64
    assert harness.kinds(events, "step"), "progress"
    assert trained.models.EvaluateModel(model_pb.EvaluateModelRequest(
        name="models/dense/versions/latest", dataset="datasets/stripes", request_id="one",
        split=job_pb.DATASET_SPLIT_TRAINING)).name == job.name
    name = job.name.split("/")[1]
    shown = trained.run("show", name, check=harness.DONE).stdout
    assert "evaluating" in shown and "stripes@1" in shown and "macro" in shown, shown
    listed = trained.run("jobs", check=harness.DONE).stdout
    assert "evaluation" in listed and "64 images" in listed, listed
    assert "across" in trained.run("confusion", name, check=harness.DONE).stdout
    assert "accuracy" in trained.run("logs", name, check=harness.DONE).stdout
    assert "trains nothing" in trained.run("compare", name, check=harness.ERROR).stderr
    versions = trained.models.GetModel(model_pb.GetModelRequest(name="models/dense")).versions
    assert len(versions) == 1 and versions[0].result.test_accuracy != 0
    trained.run("delete", name, check=harness.DONE)


def test_a_folder_is_evaluated_with_its_images_fitted_and_its_classes_by_name(trained, tmp_path):
    photos = tmp_path / "My Photos"
    # Of another size, all of two classes whose order is another.
    for label, name in ((1, "down"), (0, "across")):
        (photos / name).mkdir(parents=True)
        for number in range(15):
            (photos / name / f"{number}.png").write_bytes(picture(label, number + 100, side=16))
    said = trained.run("evaluate", "dense@1", "--folder", photos, "-o", tmp_path / "wrong.png",
                       check=harness.DONE).stdout
    assert "my-photos-evaluation@1" in said and "datasets delete my-photos-evaluation@1" in said, said
    dataset = trained.json("datasets", "show", "my-photos-evaluation")[0]
    assert dataset["test_images"] == "30" and dataset["training_images"] == "0"
    assert dataset["image_shape"] == {"channels": 1, "height": 8, "width": 8}
    job = next(job for job in trained.json("jobs") if job.get("evaluation", {}).get("dataset")
               == "my-photos-evaluation@1")
    assert job["evaluation_result"]["images"] == "30"
    # The same folder is not sent again.
    again = trained.run("evaluate", "dense@1", "--folder", photos, check=harness.DONE).stdout
    assert "my-photos-evaluation@1" in again and "Sent" not in again, again
    # What has no training images cannot be trained on.
    refused = trained.run("train", "--dataset", "my-photos-evaluation", "--preset", "dense",
                          check=harness.ERROR).stderr
    assert "my-photos-evaluation@1 has no training images" in refused, refused
    pulled = tmp_path / "pulled"
    refused = trained.run("datasets", "pull", "my-photos-evaluation", "-o", pulled, check=harness.ERROR)
    assert "--png" in refused.stderr and not pulled.exists()
    trained.run("datasets", "pull", "my-photos-evaluation", "--png", "-o", pulled, check=harness.DONE)
    assert len(list(pulled.rglob("*.png"))) == 30


def test_a_folder_whose_classes_the_model_does_not_know_is_refused_with_both(trained, tmp_path):
    pets = picture_folder(tmp_path / "pets", count=5, classes=("across", "cat"))
    refused = trained.run("evaluate", "dense", "--folder", pets, check=harness.ERROR).stderr
    for word in ("'across', 'cat'", "'across', 'down'", "does not know 'cat'"):
        assert word in " ".join(refused.split()), refused


def test_another_shape_is_refused_with_both(trained, tmp_path):
    large = picture_folder(tmp_path / "large", count=5)
    trained.run("datasets", "push", "large", large, "--size", "9x8", check=harness.DONE)
    refused = trained.run("evaluate", "dense", "--dataset", "large", check=harness.ERROR).stderr
    assert "1x9x8" in refused and "1x8x8" in refused, refused
    assert "dataset" in refusal(trained.models.EvaluateModel, model_pb.EvaluateModelRequest(
        name="models/dense", dataset="datasets/large"))[0]


def test_a_class_without_images_is_named(trained, tmp_path):
    # A model of three classes, and images of two.
    three = picture_folder(tmp_path / "three", count=20, classes=("across", "down"))
    shutil.copytree(three / "down", three / "also")
    trained.run("datasets", "push", "three", three, check=harness.DONE)
    trained.run("train", "--dataset", "three", "--preset", "dense", "--epochs", "1", "--batch-size", "8",
                "--model-name", "three", check=harness.DONE)
    said = trained.run("evaluate", "three", "--dataset", "stripes", check=harness.DONE).stdout
    assert "no images of also" in said, said


def test_what_is_missing_is_said(trained, tmp_path):
    assert "--dataset NAME or --folder DIR" in trained.run("evaluate", "dense", check=harness.ERROR).stderr
    assert "is no folder" in trained.run("evaluate", "dense", "--folder", tmp_path / "none",
                                         check=harness.ERROR).stderr
    trained.run("evaluate", "none", "--dataset", "stripes", check=harness.NOT_FOUND)
    assert "no data set" in trained.run("evaluate", "dense", "--dataset", "none",
                                        check=harness.ERROR).stderr
    refused = trained.run("evaluate", "dense", "--dataset", "stripes", "--split", "validation",
                          check=harness.ERROR).stderr
    assert "has 0 images" in refused, refused


def test_an_evaluation_for_programs(trained):
    lines = trained.json("evaluate", "dense", "--dataset", "stripes", "--limit", "1000")
    assert any("evaluation_result" in line and "name" in line for line in lines), lines
    assert lines[-1]["class_names"] == ["across", "down"] or lines[-1] == {}
    csv = trained.run("--output=csv", "evaluate", "dense", "--dataset", "stripes",
                      check=harness.DONE).stdout.splitlines()
    assert csv[0] == "index,true_class,true_probability,predicted_class,probability"
    detached = trained.run("evaluate", "dense", "--dataset", "stripes", "--detach",
                           check=harness.DONE).stdout
    assert "Started evaluate-dense-" in detached, detached


@pytest.fixture(scope="module")
def mislabelled(trained, tmp_path_factory):
    """Pictures some of which are in the folder of the other class; by their places in the split."""
    folder = picture_folder(tmp_path_factory.mktemp("mislabelled") / "labels", count=100,
                            split="train")
    picture_folder(folder, count=5, split="test")
    wrong = random.Random(1).sample(range(100), 6)
    for number in wrong:
        (folder / "train" / "across" / f"{number:04}.png").write_bytes(picture(1, number + 1000))
    trained.run("datasets", "push", "labels", folder, check=harness.DONE)
    return wrong


def test_a_check_finds_wrong_labels_and_draws_them(trained, mislabelled, tmp_path):
    said = trained.run("datasets", "check", "labels", "-o", tmp_path / "sheet.png",
                       check=harness.DONE).stdout
    assert "✔ completed" in said and "Suspicious labels" in said, said
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    job = next(job for job in trained.json("jobs") if "check" in job)
    # Six are wrong; how many of them are told depends on how sure the networks are.
    count = int(job["check_result"]["suspicious_count"])
    assert 2 <= count <= 12, job["check_result"]
    assert [each["state"] for each in job["transitions"]][-2:] == ["JOB_STATE_CHECKING",
                                                                   "JOB_STATE_COMPLETED"]
    found = trained.training.GetPredictions(harness.training_pb.GetPredictionsRequest(
        name=job["name"], page_size=min(count, 4))).predictions
    images = trained.dataset_service.GetImages(dataset_pb.GetImagesRequest(
        name="datasets/labels", split=job_pb.DATASET_SPLIT_TRAINING,
        indices=[each.index for each in found])).images
    # Those whose stripes go down under the label of those across.
    for image, made in zip(images, found):
        first_row = image.data[:8]
        assert max(first_row) - min(first_row) > 100 and image.label == 0, made
        assert made.true_class == 0 and made.predicted_class == 1
        assert made.probability > made.true_probability
    shown = trained.run("show", job["name"].split("/")[1], check=harness.DONE).stdout
    assert "Suspicious labels" in shown and "5" in shown, shown


def test_a_check_repeats_what_an_import_finds_also_for_a_folder_of_the_flags(data_dir, tmp_path):
    folder = harness.make_subset(tmp_path, 200, 50)
    with harness.Server(data_dir, datasets={"few": folder}) as server:
        said = server.run("datasets", "check", "few", "--limit", "3", check=harness.DONE).stdout
        assert "fewer than 20 training images" in said or "20" in said, said
        job = server.json("jobs")[0]
        assert job["check"]["dataset"] == "few"
        csv = server.run("--output=csv", "datasets", "check", "few", "--split", "test", "--folds", "2",
                         "--seed", "4", check=harness.DONE).stdout
        assert csv.startswith("index,"), csv


def test_a_check_refuses_what_cannot_be_checked(trained):
    for request, field in ((dict(name="datasets/stripes", folds=1), "folds"),
                           (dict(name="datasets/stripes", seed=-1), "seed"),
                           (dict(name="datasets/none"), "name"),
                           (dict(name="datasets/stripes", split=job_pb.DATASET_SPLIT_VALIDATION), "split"),
                           (dict(name="datasets/stripes", split=7), "split"),
                           (dict(name="datasets/stripes", request_id="a b"), "request_id")):
        fields, _ = refusal(trained.dataset_service.CheckDataset, dataset_pb.CheckDatasetRequest(**request))
        assert field in fields, (request, fields)


@pytest.fixture
def checking(data_dir, tmp_path):
    """A server and a check of it that takes a while."""
    folder = harness.make_subset(tmp_path, 12_000, 100)
    with harness.Server(data_dir, datasets={"many": folder}) as server:
        job = server.dataset_service.CheckDataset(dataset_pb.CheckDatasetRequest(
            name="datasets/many", folds=20))
        wait_for(lambda: server.job(job.name).progress.images > 0, what="the check to be at it")
        yield server, job.name


def test_a_check_stops_and_keeps_nothing(checking):
    server, name = checking
    said = server.run("stop", name.split("/")[1], "--wait", check=harness.DONE).stdout
    assert "nothing of it is kept" in said, said
    assert server.job(name).state == job_pb.JOB_STATE_STOPPED


def test_a_check_goes_on_in_another_attempt_when_its_worker_is_killed(checking):
    server, name = checking
    server.kill_workers()
    wait_for(lambda: len(server.job(name).attempts) == 2, what="the second attempt")
    assert server.job(name).attempts[0].end_reason == "WORKER_LOST"
    wait_for(lambda: server.job(name).state == job_pb.JOB_STATE_CHECKING, what="the check to go on")


def test_a_check_goes_on_over_a_restart_of_the_server(checking):
    server, name = checking
    server.kill()
    server.start()
    wait_for(lambda: server.job(name).progress.images > 0, what="the worker to come back")
    assert len(server.job(name).attempts) == 1
    server.stop()
    server.start()
    wait_for(lambda: server.job(name).state == job_pb.JOB_STATE_CHECKING, what="the second attempt")


def test_deleting_what_a_check_needs_is_refused(checking):
    server, name = checking
    # The check holds the cores: what is started now waits.
    server.run("datasets", "push", "stripes", picture_folder(server.data_dir.parent / "stripes", count=20),
               "--detach", check=harness.DONE)
    server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    wait_for(lambda: any(entry["name"].startswith("datasets/stripes") for entry in server.json("datasets")),
             what="the import")
    blocked = server.dataset_service.CheckDataset(dataset_pb.CheckDatasetRequest(
        name="datasets/many", folds=20))
    waiting = server.dataset_service.CheckDataset(dataset_pb.CheckDatasetRequest(name="datasets/stripes"))
    refused = server.run("datasets", "delete", "stripes@1", check=harness.ERROR).stderr
    assert f"{waiting.name} needs it" in refused, refused
    for job in (waiting, blocked):
        server.training.StopJob(harness.training_pb.StopJobRequest(name=job.name))
