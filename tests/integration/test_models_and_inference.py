"""Models, versions, aliases, downloads, classification; and the model file in other hands."""

import hashlib
import io
import json
import tarfile

import grpc
import numpy
import pytest
from PIL import Image

import harness


@pytest.fixture(scope="module")
def trained(shared_server):
    """A model `net` with two versions; the second is better trained."""
    for epochs in (1, 3):
        job = shared_server.wait_job(shared_server.start_job("net", model_name="net", epochs=epochs))
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    return shared_server


def classify(server, pixels, model="models/net", top_k=3):
    return server.inference.Classify(harness.inference_pb.ClassifyRequest(
        model=model, raw=harness.inference_pb.RawImages(pixels=pixels.tobytes()), top_k=top_k))


@pytest.fixture(scope="module")
def images(small_dataset):
    return harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz")


def test_raw_float_and_encoded_images_get_the_same_answer(trained, images):
    raw = classify(trained, images[:3], top_k=10)
    floats = trained.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/net", top_k=10, floats=harness.inference_pb.FloatImages(
            pixels=(images[:3].astype(numpy.float32) / 255).ravel())))
    files = []
    for image in images[:3]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        files.append(file.getvalue())
    encoded = trained.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/net", top_k=10, encoded=harness.inference_pb.EncodedImages(files=files)))
    assert raw.model_version == floats.model_version == encoded.model_version == "models/net/versions/2"
    for answers in zip(raw.classifications, floats.classifications, encoded.classifications):
        by_index = [{c.index: c.probability for c in a.classes} for a in answers]
        assert sum(by_index[0].values()) == pytest.approx(1, abs=1e-5)
        for other in by_index[1:]:
            assert other == pytest.approx(by_index[0], abs=1e-5)
        probabilities = [c.probability for c in answers[0].classes]
        assert probabilities == sorted(probabilities, reverse=True)
        assert {c.name for c in answers[0].classes} == set(harness.CLASS_NAMES)


def test_weights_are_served_in_bfloat16_where_that_was_measured_to_be_as_good(trained, images):
    job = trained.wait_job(trained.start_job(
        "net", model_name="half", epochs=3, serving_precision=harness.job_pb.PRECISION_BFLOAT16))
    result = trained.models.GetModel(
        harness.model_pb.GetModelRequest(name="models/half")).versions[0].result
    assert result == job.result
    lost = result.validation_accuracy - result.bfloat16_validation_accuracy
    assert abs(lost) < 0.05
    assert (result.serving_precision == harness.job_pb.PRECISION_BFLOAT16) == (lost <= 0.001 + 1e-9)
    assert len(classify(trained, images[:40], "models/half").classifications) == 40
    for command in (("show", job.name.removeprefix("jobs/")), ("models", "half@1")):
        assert "validation with bfloat16" in trained.run(*command, check=harness.DONE).stdout


def test_job_and_version_say_what_computed_them(trained):
    version = trained.models.GetModel(
        harness.model_pb.GetModelRequest(name="models/net")).versions[-1]
    assert version.result.compute_path == harness.job_pb.COMPUTE_PATH_KERNELS
    for command in (("show", version.job.removeprefix("jobs/")), ("models", "net"),
                    ("models", f"net@{version.version}")):
        text = trained.run(*command, check=harness.DONE).stdout
        assert "computed by" in text and "kernels" in text, command


def test_versions_and_aliases_choose_what_answers(trained, images):
    def version(model):
        return classify(trained, images[:1], model).model_version.rsplit("/", 1)[1]

    assert version("models/net/versions/1") == "1"
    assert version("models/net/versions/latest") == "2"
    model = trained.models.SetAlias(harness.model_pb.SetAliasRequest(
        name="models/net", alias="production", version=1))
    assert [(a.alias, a.version) for a in model.aliases] == [("latest", 2), ("production", 1)]
    assert version("models/net/versions/production") == "1"
    with pytest.raises(grpc.RpcError) as raised:
        trained.models.DeleteModel(harness.model_pb.DeleteModelRequest(name="models/net/versions/1"))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert harness.error_details(raised.value)[1].reason == "VERSION_IN_USE"
    trained.models.SetAlias(harness.model_pb.SetAliasRequest(
        name="models/net", alias="production", version=0))
    with pytest.raises(grpc.RpcError) as raised:
        version("models/net/versions/production")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_deleted_version_is_gone_and_its_number_is_not_used_again(server, images):
    for _ in range(2):
        server.wait_job(server.start_job("gone", model_name="gone", epochs=1))
    classify(server, images[:1], "models/gone/versions/2")
    server.models.DeleteModel(harness.model_pb.DeleteModelRequest(name="models/gone/versions/2"))
    with pytest.raises(grpc.RpcError) as raised:
        classify(server, images[:1], "models/gone/versions/2")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert not (server.data_dir / "models" / "gone" / "2").exists()
    job = server.wait_job(server.start_job("gone", model_name="gone", epochs=1))
    assert job.result.model_version == "models/gone/versions/3"


def test_download_gives_the_stored_archive_and_its_torchscript(trained):
    def download(**fields):
        chunks = list(trained.models.DownloadModel(
            harness.model_pb.DownloadModelRequest(name="models/net", **fields)))
        data = b"".join(chunk.data for chunk in chunks)
        assert len(data) == chunks[0].total_bytes
        assert hashlib.sha256(data).hexdigest() == chunks[0].sha256
        assert chunks[0].model_version == "models/net/versions/2"
        return data

    archive = download()
    stored = trained.data_dir / "models" / "net" / "2" / "model.tar.gz"
    assert archive == stored.read_bytes()
    script = download(format=harness.model_pb.MODEL_FORMAT_TORCHSCRIPT)
    with tarfile.open(stored) as file:
        assert script == file.extractfile("model.pt").read()


def test_an_archive_changed_on_disk_is_not_served_and_the_rest_is(server, images):
    for _ in range(2):
        server.wait_job(server.start_job("bent", model_name="bent", epochs=1))
    path = server.data_dir / "models" / "bent" / "2" / "model.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(grpc.RpcError) as raised:
        classify(server, images[:1], "models/bent")
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert harness.error_details(raised.value)[1].reason == "VERSION_UNAVAILABLE"
    assert classify(server, images[:1], "models/bent/versions/1").classifications


@pytest.fixture(scope="module")
def real(shared_server):
    """A `cnn-1` of the real data: its job, the test images and labels, and Classify's answers."""
    job = shared_server.wait_job(shared_server.start_job(
        "real", preset="cnn-1", model_name="real", dataset="fashion-mnist", epochs=1, cores=2),
        timeout=300)
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    images = harness.read_idx(harness.FASHION_MNIST / "t10k-images-idx3-ubyte.gz")
    labels = harness.read_idx(harness.FASHION_MNIST / "t10k-labels-idx1-ubyte.gz")
    ours = []
    for start in range(0, 10000, 1000):
        answer = classify(shared_server, images[start:start + 1000], "models/real", top_k=1)
        ours += [c.classes[0].index for c in answer.classifications]
    return shared_server, job, images, labels, numpy.array(ours)


def assert_same_classes(probabilities, ours):
    """The same class for every image, those left aside for which two are within 1e-4."""
    assert probabilities.shape == (len(ours), 10)
    assert numpy.allclose(probabilities.sum(1), 1, atol=1e-4)
    ordered = numpy.sort(probabilities, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4
    assert clear.sum() > 0.99 * len(ours)
    assert (probabilities.argmax(1) == ours)[clear].all()


def test_stock_python_torch_gives_the_same_class_for_all_test_images(real):
    """model.pt in Debian's python3-torch against Classify, on the 10,000 real test images."""
    torch = pytest.importorskip("torch")
    server, job, images, labels, ours = real
    with tarfile.open(server.data_dir / job.result.model_version.replace("/versions", "")
                      / "model.tar.gz") as archive:
        script = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read()))
    with torch.no_grad():
        stock = script(torch.tensor(images.reshape(-1, 1, 28, 28).astype("float32") / 255)).numpy()
    assert_same_classes(stock, ours)
    # The accuracy that the job reported is the accuracy of the model that was stored.
    assert (ours == labels).mean() == pytest.approx(job.result.test_accuracy, abs=5e-4)


def run_onnx(model, images):
    """Computes a graph of the operators that model.onnx may have, each as ONNX defines it."""
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx.numpy_helper")
    f = torch.nn.functional
    values = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
    values[model.graph.input[0].name] = torch.tensor(images)
    for node in model.graph.node:
        x, *weights = [values[name] for name in node.input]
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Conv":
            top, left, bottom, right = given["pads"]
            assert tuple(weights[0].shape[2:]) == tuple(given["kernel_shape"])
            x = f.conv2d(f.pad(x, (left, right, top, bottom)), *weights)
        elif node.op_type == "Relu":
            x = x.clamp(min=0)
        elif node.op_type == "BatchNormalization":
            scale, shift, mean, variance = (w.reshape(1, -1, 1, 1) for w in weights)
            x = (x - mean) / (variance + given["epsilon"]).sqrt() * scale + shift
        elif node.op_type == "MaxPool":
            x = f.max_pool2d(x, given["kernel_shape"], given["strides"])
        elif node.op_type == "Flatten":
            x = x.flatten(given["axis"])
        elif node.op_type == "Gemm":
            assert given == {"transB": 1}
            x = x @ weights[0].T + weights[1]
        elif node.op_type == "GlobalAveragePool":
            x = x.mean((2, 3), keepdim=True)
        elif node.op_type == "Sigmoid":
            x = x.sigmoid()
        elif node.op_type == "Unsqueeze":
            for axis in weights[0].tolist():
                x = x.unsqueeze(axis)
        elif node.op_type == "Mul":
            x = x * weights[0]
        elif node.op_type == "Add":
            x = x + weights[0]
        else:
            assert node.op_type == "Softmax", node.op_type
            x = x.softmax(given["axis"])
        values[node.output[0]] = x
    return values[model.graph.output[0].name].numpy()


def test_the_onnx_file_gives_the_same_class_for_all_test_images(real):
    onnx = pytest.importorskip("onnx")
    server, job, images, _, ours = real
    file = b"".join(chunk.data for chunk in server.models.DownloadModel(
        harness.model_pb.DownloadModelRequest(name=job.result.model_version,
                                              format=harness.model_pb.MODEL_FORMAT_ONNX)))
    with tarfile.open(server.data_dir / job.result.model_version.replace("/versions", "")
                      / "model.tar.gz") as archive:
        assert archive.extractfile("model.onnx").read() == file
    model = onnx.load_from_string(file)
    onnx.checker.check_model(model, full_check=True)
    assert [json.loads(p.value) for p in model.metadata_props] == [harness.CLASS_NAMES]
    pixels = images.reshape(-1, 1, 28, 28).astype("float32") / 255
    assert_same_classes(run_onnx(model, pixels), ours)
    assert run_onnx(model, pixels[:3]).shape == (3, 10)


@pytest.mark.parametrize("preset", ["cnn-3-attention", "resnet"])
def test_attention_and_skips_are_the_same_in_every_format(shared_server, preset):
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    job = shared_server.wait_job(shared_server.start_job(
        preset, preset=preset, model_name=preset, epochs=2, batch_size=16, cores=2))
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    images = harness.read_idx(harness.FASHION_MNIST / "t10k-images-idx3-ubyte.gz")[:500]
    answer = classify(shared_server, images, f"models/{preset}", top_k=1)
    ours = numpy.array([c.classes[0].index for c in answer.classifications])
    pixels = images.reshape(-1, 1, 28, 28).astype("float32") / 255
    with tarfile.open(shared_server.data_dir / job.result.model_version.replace("/versions", "")
                      / "model.tar.gz") as archive:
        script = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read()))
        model = onnx.load_from_string(archive.extractfile("model.onnx").read())
    with torch.no_grad():
        assert_same_classes(script(torch.tensor(pixels)).numpy(), ours)
    onnx.checker.check_model(model, full_check=True)
    assert_same_classes(run_onnx(model, pixels), ours)
    assert job.result.parameter_count == {"cnn-3-attention": 908834, "resnet": 271082}[preset]


def test_the_data_sets_can_be_looked_at(trained, images):
    names = [d.name for d in trained.dataset_service.ListDatasets(
        harness.dataset_pb.ListDatasetsRequest()).datasets]
    assert names == ["datasets/fashion-mnist", "datasets/small"]
    small = trained.dataset_service.GetDataset(
        harness.dataset_pb.GetDatasetRequest(name="datasets/small"))
    assert (small.training_images, small.test_images) == (2000, 500)
    assert list(small.class_names) == harness.CLASS_NAMES and not small.problem
    # The data that a job saw is the data that there is.
    assert len(small.checksum) == 64
    version = trained.models.GetModel(harness.model_pb.GetModelRequest(name="models/net")).versions[0]
    assert version.result.dataset_checksum == small.checksum
    answer = trained.dataset_service.GetImages(harness.dataset_pb.GetImagesRequest(
        name="datasets/small", indices=[5, 0, 499]))
    assert [i.index for i in answer.images] == [5, 0, 499]
    assert answer.images[0].data == images[5].tobytes()
    picture = trained.dataset_service.GetImages(harness.dataset_pb.GetImagesRequest(
        name="datasets/small", indices=[5], png=True)).images[0].data
    assert (numpy.array(Image.open(io.BytesIO(picture))) == images[5]).all()
