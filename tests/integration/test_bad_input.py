"""Mistakes are answered with the right code and every wrong field, and change nothing."""

import io
import json
import os
import struct
import subprocess
import zlib

import grpc
import pytest
from PIL import Image

import harness

CODE = grpc.StatusCode


def failing(call, *arguments):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments)
    return raised.value


@pytest.mark.parametrize("field, value", [
    ("preset", "cnn-9"), ("preset", ""), ("conv_depth", 7), ("dataset", "imagenet"), ("epochs", 0),
    ("epochs", -3), ("epochs", 2_000_000), ("batch_size", 0), ("batch_size", 100_000),
    ("batch_size", 1801), ("learning_rate", 0.0), ("learning_rate", -1.0),
    ("learning_rate", float("nan")), ("learning_rate", float("inf")), ("dropout", 1.0),
    ("dropout", -0.1), ("dropout", float("nan")), ("patience", 0), ("shards", 0), ("shards", 1000),
    ("shards", 3), ("cores", 0), ("cores", 1000), ("memory_bytes", 1), ("memory_bytes", 1 << 60),
    ("priority", 1000), ("model_name", "a/b"), ("model_name", ".."), ("model_name", "Über"),
    ("model_name", "x" * 64), ("model_name", "-x"), ("validation_fraction", 0.0),
    ("validation_fraction", 0.9), ("precision", 77), ("device", 77), ("recipe", 77)])
def test_a_wrong_field_is_named(shared_server, field, value):
    spec = dict(preset="dense", dataset="small")
    if field == "conv_depth":
        spec.pop("preset")
    spec[field] = value
    request = harness.training_pb.StartTrainingRequest(spec=harness.job_pb.TrainingSpec(**spec))
    before = len(shared_server.training.ListJobs(harness.training_pb.ListJobsRequest()).jobs)
    error = failing(shared_server.training.StartTraining, request)
    assert error.code() == CODE.INVALID_ARGUMENT
    violations, _ = harness.error_details(error)
    assert list(violations) == [f"spec.{field}"] and len(violations[f"spec.{field}"]) > 10
    after = len(shared_server.training.ListJobs(harness.training_pb.ListJobsRequest()).jobs)
    assert before == after


def test_all_wrong_fields_are_named_at_once(shared_server):
    request = harness.training_pb.StartTrainingRequest(
        spec=harness.job_pb.TrainingSpec(preset="nope", dataset="nope", epochs=0, dropout=2),
        base_name="a/b", request_id="white space")
    violations, _ = harness.error_details(failing(shared_server.training.StartTraining, request))
    assert sorted(violations) == ["base_name", "request_id", "spec.dataset", "spec.dropout",
                                  "spec.epochs", "spec.preset"]


def test_a_depth_that_contradicts_the_preset_is_refused(shared_server):
    request = harness.training_pb.StartTrainingRequest(
        spec=harness.job_pb.TrainingSpec(preset="cnn-2", conv_depth=3, dataset="small"))
    violations, _ = harness.error_details(failing(shared_server.training.StartTraining, request))
    assert "spec.conv_depth" in violations


@pytest.mark.parametrize("base_name", ["a" * 41, "a.b", "..", "a\nb", "-a", "Ä"])
def test_a_wrong_base_name_is_refused(shared_server, base_name):
    request = harness.training_pb.StartTrainingRequest(
        spec=harness.job_pb.TrainingSpec(preset="dense", dataset="small"), base_name=base_name)
    error = failing(shared_server.training.StartTraining, request)
    assert error.code() == CODE.INVALID_ARGUMENT
    assert list(harness.error_details(error)[0]) == ["base_name"]


def test_unknown_and_malformed_names(shared_server):
    t, m, d = harness.training_pb, harness.model_pb, harness.dataset_pb
    s = shared_server
    for call, request, code, reason in [
            (s.training.GetJob, t.GetJobRequest(name="jobs/none"), CODE.NOT_FOUND, "JOB_NOT_FOUND"),
            (s.training.StopJob, t.StopJobRequest(name="jobs/none"), CODE.NOT_FOUND, "JOB_NOT_FOUND"),
            (s.training.DeleteJob, t.DeleteJobRequest(name="jobs/none"), CODE.NOT_FOUND,
             "JOB_NOT_FOUND"),
            (s.models.GetModel, m.GetModelRequest(name="models/none"), CODE.NOT_FOUND,
             "MODEL_NOT_FOUND"),
            (s.models.DeleteModel, m.DeleteModelRequest(name="models/none/versions/1"),
             CODE.NOT_FOUND, "MODEL_NOT_FOUND"),
            (s.dataset_service.GetDataset, d.GetDatasetRequest(name="datasets/none"), CODE.NOT_FOUND,
             "DATASET_NOT_FOUND")]:
        error = failing(call, request)
        assert error.code() == code, request
        info = harness.error_details(error)[1]
        assert (info.domain, info.reason) == ("atelier", reason)
    for name in ("", "jobs/", "jobs/../etc", "jobs/a/b", "models/a", "jobs/\n"):
        error = failing(s.training.GetJob, t.GetJobRequest(name=name))
        assert error.code() == CODE.INVALID_ARGUMENT, name
        assert list(harness.error_details(error)[0]) == ["name"]
    error = failing(list, s.training.StreamMetrics(t.StreamMetricsRequest(name="jobs/none")))
    assert error.code() == CODE.NOT_FOUND


def test_page_sizes_and_tokens_from_elsewhere(shared_server):
    t, m = harness.training_pb, harness.model_pb
    s = shared_server
    for call, request, field in [
            (s.training.ListJobs, t.ListJobsRequest(page_token="bogus"), "page_token"),
            (s.training.ListJobs, t.ListJobsRequest(page_size=-1), "page_size"),
            (s.training.ListJobs, t.ListJobsRequest(page_size=5000), "page_size"),
            (s.models.ListModels, m.ListModelsRequest(page_token="bogus"), "page_token"),
            (s.dataset_service.ListDatasets, harness.dataset_pb.ListDatasetsRequest(page_token="bogus"),
             "page_token"),
            (s.dataset_service.ListDatasets, harness.dataset_pb.ListDatasetsRequest(page_size=1001),
             "page_size")]:
        error = failing(call, request)
        assert error.code() == CODE.INVALID_ARGUMENT
        assert list(harness.error_details(error)[0]) == [field]


@pytest.fixture(scope="module")
def model(shared_server):
    shared_server.wait_job(shared_server.start_job("input", model_name="input", epochs=1))
    return shared_server


def png(width, height):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def huge_png():
    """A PNG whose header claims 20,000 × 20,000 pixels, and little else."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
            + chunk(b"IEND", b""))


def test_images_that_cannot_be_classified(model):
    i = harness.inference_pb
    good = png(28, 28)
    for fields, word in [
            (dict(), "input"),
            (dict(raw=i.RawImages()), "784"),
            (dict(raw=i.RawImages(pixels=bytes(783))), "784"),
            (dict(floats=i.FloatImages(pixels=[0.0] * 785)), "784"),
            (dict(floats=i.FloatImages(pixels=[float("nan")] * 784)), "nan"),
            (dict(floats=i.FloatImages(pixels=[float("inf")] * 784)), "inf"),
            (dict(floats=i.FloatImages(pixels=[2.0] * 784)), "2"),
            (dict(encoded=i.EncodedImages()), "image"),
            (dict(encoded=i.EncodedImages(files=[b""])), "empty"),
            (dict(encoded=i.EncodedImages(files=[b"hello"])), "PNG"),
            (dict(encoded=i.EncodedImages(files=[good, good[:-20]])), "truncated"),
            (dict(encoded=i.EncodedImages(files=[png(27, 28)], resize=i.RESIZE_NONE)), "28"),
            (dict(encoded=i.EncodedImages(files=[good], resize=77)), "77"),
            (dict(encoded=i.EncodedImages(files=[good], inversion=77)), "77"),
            (dict(encoded=i.EncodedImages(files=[png(4000, 4000)] * 5)), "64000000"),
            (dict(encoded=i.EncodedImages(files=[huge_png()])), "20000"),
            (dict(encoded=i.EncodedImages(files=[good] * 257)), "256"),
            (dict(raw=i.RawImages(pixels=bytes(784)), top_k=11), "10"),
            (dict(raw=i.RawImages(pixels=bytes(784)), top_k=-1), "1")]:
        error = failing(model.inference.Classify, i.ClassifyRequest(model="models/input", **fields))
        assert error.code() == CODE.INVALID_ARGUMENT, (fields, error)
        violations, _ = harness.error_details(error)
        said = " ".join([error.details(), *violations.values()]).replace(",", "").lower()
        assert violations and word.lower() in said, (word, said)
    for name, code in [("models/none", CODE.NOT_FOUND), ("models/input/versions/9", CODE.NOT_FOUND),
                       ("models/input/versions/nope", CODE.NOT_FOUND),
                       ("input", CODE.INVALID_ARGUMENT), ("", CODE.INVALID_ARGUMENT),
                       ("models/input/versions/..", CODE.INVALID_ARGUMENT)]:
        error = failing(model.inference.Classify, i.ClassifyRequest(
            model=name, raw=i.RawImages(pixels=bytes(784))))
        assert error.code() == code, name


def test_a_message_over_the_limit_is_refused(model):
    i = harness.inference_pb
    error = failing(model.inference.Classify, i.ClassifyRequest(
        model="models/input", raw=i.RawImages(pixels=bytes(17 << 20))))
    assert error.code() == CODE.RESOURCE_EXHAUSTED
    assert model.inference.Classify(i.ClassifyRequest(
        model="models/input", raw=i.RawImages(pixels=bytes(784)))).classifications


def damaged_datasets(tmp_path):
    """Folders that cannot be trained on, each with a word of the sentence that says why."""
    def make(name, count=300):
        folder = tmp_path / name
        folder.mkdir()
        return harness.make_subset(folder, count, 100)

    images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    missing = make("missing")
    (missing / labels).unlink()
    truncated = make("truncated")
    (truncated / images).write_bytes((truncated / images).read_bytes()[:2000])
    mismatched = make("mismatched")
    harness.write_idx(mismatched / labels, harness.read_idx(mismatched / labels)[:299])
    mislabelled = make("mislabelled")
    values = harness.read_idx(mislabelled / labels).copy()
    values[7] = 200
    harness.write_idx(mislabelled / labels, values)
    magic = make("magic")
    (magic / images).write_bytes((magic / labels).read_bytes())
    corrupt = make("corrupt", 1000)  # More than zlib unpacks for the header's sake.
    packed = bytearray((corrupt / images).read_bytes())
    packed[-6] ^= 1  # In the checksum, at the very end.
    (corrupt / images).write_bytes(packed)
    return {"missing": (missing, "train"), "truncated": (truncated, "truncated"),
            "corrupt": (corrupt, "unpacked"),
            "mismatched": (mismatched, "299"), "mislabelled": (mislabelled, "200"),
            "magic": (magic, "train-images")}


def test_a_damaged_data_set_is_refused_with_the_reason(data_dir, tmp_path):
    cases = damaged_datasets(tmp_path)
    with harness.Server(data_dir, {n: folder for n, (folder, _) in cases.items()}) as server:
        for name, (_, word) in cases.items():
            if name == "corrupt":  # What the headers do not tell fails the job.
                job = server.wait_job(server.start_job(dataset=name, epochs=1, batch_size=32))
                assert job.state == harness.job_pb.JOB_STATE_FAILED, name
                assert job.transitions[-1].reason == "BAD_DATA"
                assert word in job.transitions[-1].message, job.transitions[-1].message
                assert len(job.attempts) == 1
                assert server.run("show", job.name).returncode == harness.JOB_FAILED
                assert server.run("datasets", "show", name).returncode == 0  # Reads all of it.
            refusal = failing(lambda: server.start_job(dataset=name, epochs=1, batch_size=32))
            assert refusal.code() == CODE.INVALID_ARGUMENT, name
            assert word in refusal.details(), refusal.details()


def test_a_network_that_does_not_fit_the_images_is_refused(data_dir, tmp_path):
    folder = harness.make_subset(tmp_path, 300, 100)
    for images in folder.glob("*images*"):
        harness.write_idx(images, harness.read_idx(images)[:, :3, :3])
    with harness.Server(data_dir, {"tiny": folder}) as server:
        refused_job = server.run("train", "--dataset=tiny", "--preset=cnn-3", "--detach")
        assert refused_job.returncode == 1
        assert "1x3x3" in refused_job.stderr, refused_job.stderr


def test_a_fifo_in_the_place_of_a_file_holds_nobody_up(data_dir, tmp_path):
    for name in ("fifo", "sound"):
        (tmp_path / name).mkdir()
    fifo, sound = (harness.make_subset(tmp_path / name, 300, 100) for name in ("fifo", "sound"))
    images = next(fifo.glob("*train*images*"))
    images.unlink()
    os.mkfifo(images)
    with harness.Server(data_dir, {"fifo": fifo, "sound": sound}) as server:
        listed = {d.name: d for d in server.dataset_service.ListDatasets(
            harness.dataset_pb.ListDatasetsRequest(), timeout=60).datasets}
        assert "is a FIFO" in listed["datasets/fifo"].problem
        assert listed["datasets/sound"].checksum


def test_too_little_memory_fails_the_job_and_nobody_else(server):
    name = server.start_job("hungry", preset="cnn-3", dataset="fashion-mnist", epochs=1,
                            memory_bytes=256 << 20, batch_size=8192, shards=1)
    other = server.start_job("modest", epochs=2)
    job = server.wait_job(name)
    assert job.state == harness.job_pb.JOB_STATE_FAILED
    assert job.transitions[-1].reason == "OUT_OF_MEMORY" and len(job.attempts) == 1
    assert server.wait_job(other).state == harness.job_pb.JOB_STATE_COMPLETED


def refused(*flags, data_dir=None):
    """Starts atelierd, which must end by itself with 1; returns what it said."""
    command = [str(harness.BIN / "atelierd"), "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0",
               *([f"--data_dir={data_dir}"] if data_dir else []), *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1, ended
    assert ended.stdout == "" and ended.stderr.strip()
    return ended.stderr


def test_the_server_refuses_to_start_and_says_why(server, tmp_path):
    assert "in use" in refused(data_dir=server.data_dir)
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refused(data_dir=file)
    port = server.address.rsplit(":", 1)[1]
    assert port in refused(f"--listen=127.0.0.1:{port}", data_dir=tmp_path / "a")
    port = server.metrics_address.rsplit(":", 1)[1]
    assert port in refused(f"--metrics_listen=127.0.0.1:{port}", data_dir=tmp_path / "b")
    assert "--allow_insecure" in refused("--listen=0.0.0.0:0", data_dir=tmp_path / "c")
    assert "--datasets" in refused("--datasets=nonsense", data_dir=tmp_path / "d")
    assert "--workers" in refused("--workers=-1", data_dir=tmp_path / "e")
    assert "--listen" in refused("--listen=nonsense", data_dir=tmp_path / "f")
    assert "nonsense" in refused("--nonsense=1", data_dir=tmp_path / "g")


def test_a_data_directory_of_a_newer_version_is_refused(data_dir):
    import sqlite3
    with harness.Server(data_dir) as server:
        assert server.stop() == 0
    with sqlite3.connect(data_dir / "atelier.db") as database:
        database.execute("PRAGMA user_version = 9999")
    assert "newer" in refused(data_dir=data_dir)


def test_the_client_says_at_once_that_there_is_no_server():
    ended = subprocess.run([str(harness.BIN / "atelier"), "--server=127.0.0.1:9", "jobs"],
                           capture_output=True, text=True, timeout=10)
    assert ended.returncode == harness.ERROR and ended.stdout == ""
    assert "127.0.0.1:9" in ended.stderr and len(ended.stderr.splitlines()) <= 3


def test_the_client_names_its_own_flags(shared_server):
    ended = shared_server.run("train", "--preset=dense", "--dataset=small", "--batch-size=0",
                              "--epochs=0", check=harness.ERROR)
    assert "--batch-size" in ended.stderr and "--epochs" in ended.stderr
    for arguments in (["train", "--epochs=many"], ["train", "--memory=lots"], ["nonsense"],
                      ["watch"], ["train", "--nonsense"]):
        assert shared_server.run(*arguments).returncode == harness.ERROR, arguments
    for arguments in (["show", "none"], ["watch", "none"], ["confusion", "none"], ["stop", "none"],
                      ["models", "none"], ["datasets", "show", "none"], ["download", "none"]):
        ended = shared_server.run(*arguments, check=harness.NOT_FOUND)
        assert "none" in ended.stderr and ended.stdout == "", arguments


def test_the_client_refuses_files_that_are_no_images(model, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("hello")
    ended = model.run("classify", "--model=input", text, check=harness.ERROR)
    assert "text.png" in ended.stderr
    ended = model.run("classify", "--model=input", tmp_path / "none.png", check=harness.ERROR)
    assert "none.png" in ended.stderr
    assert json.loads(model.run("--output=json", "models").stdout.splitlines()[0])
