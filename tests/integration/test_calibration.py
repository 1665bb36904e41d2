"""Calibration and what else is measured on the test set, from the training to the answer of a call; expected
values are computed by numpy from the probabilities that the server gives."""

import importlib
import json
import tarfile

import grpc
import numpy
import pytest

import harness

pb = importlib.import_module("inference.grpc_service_pb2")
pb_grpc = importlib.import_module("inference.grpc_service_pb2_grpc")
BINS = 15


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_dataset):
    """A server with a network that is trained for so long that it is too sure of itself."""
    data_dir = tmp_path_factory.mktemp("calibration") / "data"
    with harness.Server(data_dir, datasets={"small": small_dataset}) as server:
        job = server.wait_job(server.start_job("sure", preset="cnn-1", model_name="sure", epochs=12,
                                               patience=12, dropout=0.0))
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED
        server.job = job
        yield server


@pytest.fixture(scope="module")
def test_images(small_dataset):
    return (harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz"),
            harness.read_idx(small_dataset / "t10k-labels-idx1-ubyte.gz").astype(int))


def probabilities(server, images, calibrated=False):
    """Images × classes, as Classify answers."""
    answer = server.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/sure", top_k=10, calibrated=calibrated,
        raw=harness.inference_pb.RawImages(pixels=images.tobytes())))
    rows = numpy.zeros((len(images), 10))
    for row, classification in zip(rows, answer.classifications, strict=True):
        for entry in classification.classes:
            row[entry.index] = entry.probability
    return rows, answer


def reliability(rows, labels):
    """Bins as (images, mean confidence, accuracy), and the expected calibration error."""
    confidence, right = rows.max(1), rows.argmax(1) == labels
    edges = numpy.linspace(0, 1, BINS + 1)
    bins, error = [], 0
    for low, high in zip(edges, edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if not inside.any():
            bins.append((0, 0, 0))
            continue
        bins.append((inside.sum(), confidence[inside].mean(), right[inside].mean()))
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return bins, error


def at_temperature(rows, temperature):
    logs = numpy.log(numpy.maximum(rows, numpy.finfo(numpy.float32).tiny)) / temperature
    powers = numpy.exp(logs - logs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def f1_scores(predicted, labels):
    scores = []
    for index in range(10):
        hits = ((predicted == index) & (labels == index)).sum()
        scores.append(2 * hits / max(1, (predicted == index).sum() + (labels == index).sum()))
    return numpy.array(scores)


def matrix_of(server):
    return server.training.GetConfusionMatrix(
        harness.training_pb.GetConfusionMatrixRequest(name=server.job.name))


def test_the_test_set_is_measured_as_numpy_measures_it(trained, test_images):
    images, labels = test_images
    rows, _ = probabilities(trained, images)
    result, matrix = trained.job.result, matrix_of(trained)
    for given, computed, error in (
            (matrix.reliability, rows, result.test_ece),
            (matrix.calibrated_reliability, at_temperature(rows, result.temperature),
             result.calibrated_test_ece)):
        bins, expected = reliability(computed, labels)
        assert error == pytest.approx(expected, abs=1e-4)
        assert len(given) == BINS
        for one, (count, confidence, accuracy) in zip(given, bins):
            # An image may lie at an edge.
            assert abs(one.images - count) <= 1
            if one.images == count:
                assert one.confidence == pytest.approx(confidence, abs=1e-4)
                assert one.accuracy == pytest.approx(accuracy, abs=1e-9)
    true = rows[numpy.arange(len(labels)), labels]
    assert result.test_top5_accuracy == pytest.approx(((rows > true[:, None]).sum(1) < 5).mean())
    scores = f1_scores(rows.argmax(1), labels)
    assert result.test_macro_f1 == pytest.approx(scores.mean(), abs=1e-6)
    assert result.test_weighted_f1 == pytest.approx(scores[labels].mean(), abs=1e-6)


def test_the_temperature_calibrates_and_is_kept_with_the_version(trained, tmp_path):
    result = trained.job.result
    assert result.temperature > 1, "it was too sure of itself"
    assert result.calibrated_test_ece < result.test_ece
    version = trained.json("models", "sure@1")[0]
    assert version["result"]["temperature"] == result.temperature
    path = tmp_path / "sure.tar.gz"
    trained.run("download", "sure", "-o", path, check=harness.DONE)
    with tarfile.open(path) as archive:
        metadata = json.load(archive.extractfile("metadata.json"))
        matrix = json.load(archive.extractfile("confusion_matrix.json"))
    for name in ("temperature", "validation_ece", "calibrated_validation_ece", "test_ece",
                 "calibrated_test_ece", "test_top5_accuracy", "test_macro_f1", "test_weighted_f1"):
        assert metadata[name] == getattr(result, name), name
    for name in ("reliability", "calibrated_reliability"):
        assert [bin["images"] for bin in matrix[name]] == [
            bin.images for bin in getattr(matrix_of(trained), name)]


def test_classify_calibrates_on_request_and_the_order_stays(trained, test_images):
    images, _ = test_images
    temperature = trained.job.result.temperature
    plain, answer = probabilities(trained, images)
    assert not answer.HasField("temperature")
    calibrated, answer = probabilities(trained, images, calibrated=True)
    assert answer.temperature == temperature
    assert calibrated == pytest.approx(at_temperature(plain, temperature), abs=1e-5)
    assert (calibrated.argmax(1) == plain.argmax(1)).all()
    assert calibrated.sum(1) == pytest.approx(numpy.ones(len(images)), abs=1e-5)
    shown = trained.run("classify", "sure", "--test-image=0", "--calibrated", check=harness.DONE)
    assert f"By sure@1, calibrated at temperature {temperature:.3f}" in shown.stdout
    line = trained.json("classify", "sure", "--test-image=0", "--calibrated")[0]
    assert line["temperature"] == temperature
    assert line["classifications"][0]["classes"][0]["probability"] == pytest.approx(
        calibrated[0].max(), abs=1e-6)
    assert "temperature" not in trained.json("classify", "sure", "--test-image=0")[0]


def test_the_open_inference_protocol_calibrates_by_a_parameter(trained, test_images):
    images = test_images[0][:20]
    request = pb.ModelInferRequest(
        model_name="sure", raw_input_contents=[images.tobytes()],
        inputs=[pb.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8",
                                                      shape=[20, 1, 28, 28])])
    request.parameters["calibrated"].bool_param = True
    response = pb_grpc.GRPCInferenceServiceStub(trained.channel).ModelInfer(request)
    rows = numpy.frombuffer(response.raw_output_contents[0], "<f4").reshape(20, 10)
    assert rows == pytest.approx(probabilities(trained, images, calibrated=True)[0], abs=1e-6)
    assert response.parameters["temperature"].double_param == trained.job.result.temperature


def test_every_command_tells_it(trained, tmp_path):
    job, result = trained.job.name.removeprefix("jobs/"), trained.job.result
    for command in (("show", job), ("models", "sure@1")):
        shown = trained.run(*command, check=harness.DONE).stdout
        assert f"at temperature {result.temperature:.3f}" in shown
        assert f"ECE {100 * result.test_ece:.2f} %" in shown
        assert f"macro {100 * result.test_macro_f1:.2f} %" in shown
    assert f"{result.temperature:.3f}" in trained.run("models", "sure", check=harness.DONE).stdout
    assert trained.json("compare", job)[0]["calibrated_test_ece"] == result.calibrated_test_ece
    confusion = trained.run("confusion", job, check=harness.DONE).stdout
    assert "macro mean" in confusion and "weighted mean" in confusion
    page = tmp_path / "report.html"
    trained.run("report", job, "-o", page, check=harness.DONE)
    text = page.read_text()
    assert 'data-chart="Reliability diagram"' in text
    assert f"<dd>{result.temperature:.3f}</dd>" in text


def test_where_every_validation_image_is_right_the_temperature_is_the_lowest(tmp_path):
    """Black images of one class and white images of the other."""
    for part, count in (("train", 400), ("t10k", 40)):
        labels = (numpy.arange(count) % 2).astype(numpy.uint8)
        pixels = numpy.repeat(255 * labels, 64).reshape(count, 8, 8).astype(numpy.uint8)
        harness.write_idx(tmp_path / f"{part}-images-idx3-ubyte", pixels)
        harness.write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    with harness.Server(tmp_path / "data", datasets={"easy": tmp_path}) as server:
        job = server.wait_job(server.start_job("easy", dataset="easy", epochs=5))
        assert job.result.validation_accuracy == 1
        assert job.result.temperature == 0.05
        assert not job.result.HasField("test_top5_accuracy"), "there are two classes"
        assert any("0.05, the lowest allowed" in warning for warning in job.result.warnings)
        shown = server.run("show", job.name.removeprefix("jobs/"), check=harness.DONE).stdout
        assert "0.05, the lowest allowed" in shown and "top-5" not in shown
        answer = server.json("classify", "dense", "--test-image=1", "--calibrated")[0]
        assert answer["classifications"][0]["classes"][0]["probability"] > 0.999


# Last: it restarts the server.
def test_a_restarted_server_calibrates_as_before(trained, test_images):
    images = test_images[0][:50]
    before, _ = probabilities(trained, images, calibrated=True)
    matrix = matrix_of(trained)
    trained.stop()
    trained.start()
    after, answer = probabilities(trained, images, calibrated=True)
    assert answer.temperature == trained.job.result.temperature
    assert (after == before).all()
    assert matrix_of(trained) == matrix
