"""The Open Inference Protocol v2 as stock clients speak it: bare grpcio always, Triton's where it is."""

import importlib
import importlib.util
import pathlib
import struct
import subprocess
import sys

import grpc
import numpy
import pytest

import harness

pb = importlib.import_module("inference.grpc_service_pb2")
pb_grpc = importlib.import_module("inference.grpc_service_pb2_grpc")


@pytest.fixture(scope="module")
def trained(shared_server):
    job = shared_server.wait_job(shared_server.start_job("net", model_name="net", epochs=1))
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    return shared_server


@pytest.fixture(scope="module")
def stub(trained):
    return pb_grpc.GRPCInferenceServiceStub(trained.channel)


@pytest.fixture(scope="module")
def images(small_dataset):
    return harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz")


def infer_request(images, datatype="FP32", **fields):
    pixels = images.reshape(-1, 1, 28, 28)
    raw = (pixels.astype("<f4") / 255 if datatype == "FP32" else pixels).tobytes()
    return pb.ModelInferRequest(
        model_name="net", raw_input_contents=[raw],
        inputs=[pb.ModelInferRequest.InferInputTensor(name="images", datatype=datatype,
                                                      shape=pixels.shape)], **fields)


def probabilities(response):
    return numpy.frombuffer(response.raw_output_contents[0], "<f4").reshape(
        tuple(response.outputs[0].shape))


def test_the_answers_are_those_of_classify(trained, stub, images):
    floats = stub.ModelInfer(infer_request(images[:40], id="a"))
    raw = stub.ModelInfer(infer_request(images[:40], "UINT8"))
    ours = trained.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/net", top_k=10,
        raw=harness.inference_pb.RawImages(pixels=images[:40].tobytes())))
    assert (floats.id, floats.model_name, floats.model_version) == ("a", "net", "1")
    expected = numpy.zeros((40, 10))
    for row, answer in zip(expected, ours.classifications):
        for entry in answer.classes:
            row[entry.index] = entry.probability
    assert probabilities(floats) == pytest.approx(expected, abs=1e-5)
    assert probabilities(raw) == pytest.approx(expected, abs=1e-5)


def test_the_classification_extension_names_the_classes(stub, images):
    output = pb.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")
    output.parameters["classification"].int64_param = 2
    response = stub.ModelInfer(infer_request(images[:3], outputs=[output]))
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == ("BYTES", [3, 2])
    raw, elements = response.raw_output_contents[0], []
    while raw:
        size, = struct.unpack_from("<I", raw)
        elements.append(raw[4:4 + size].decode())
        raw = raw[4 + size:]
    best = probabilities(stub.ModelInfer(infer_request(images[:3]))).argmax(1)
    assert len(elements) == 6
    for element, index in zip(elements[::2], best):
        assert element.split(":")[1:] == [str(index), harness.CLASS_NAMES[index]]


def test_a_stream_mixes_models_and_mistakes(trained, stub, images):
    requests = []
    for i in range(50):
        request = infer_request(images[i:i + 1], id=str(i))
        if i % 5 == 0:
            request.model_name = "nothing"
        requests.append(request)
    answers = list(stub.ModelStreamInfer(iter(requests), timeout=60))
    assert sorted(int(a.infer_response.id) for a in answers) == list(range(50))
    for answer in answers:
        assert bool(answer.error_message) == (int(answer.infer_response.id) % 5 == 0)


def test_the_repository_is_listed_loaded_and_unloaded(trained, stub, images):
    stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="net"))
    index = stub.RepositoryIndex(pb.RepositoryIndexRequest()).models
    assert [(m.name, m.version, m.state) for m in index] == [("net", "1", "UNAVAILABLE")]
    assert not stub.ModelReady(pb.ModelReadyRequest(name="net")).ready
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(infer_request(images[:1]))
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="net"))
    assert stub.ModelReady(pb.ModelReadyRequest(name="net")).ready
    stub.ModelInfer(infer_request(images[:1]))


def test_statistics_are_true(stub, images):
    stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="net"))
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="net"))
    for count in (1, 1, 40):
        stub.ModelInfer(infer_request(images[:count]))
    stats, = stub.ModelStatistics(pb.ModelStatisticsRequest(name="net")).model_stats
    assert (stats.inference_count, stats.inference_stats.success.count) == (42, 3)
    assert {b.batch_size: b.compute_infer.count for b in stats.batch_stats} == {1: 2, 32: 1, 8: 1}
    assert stats.execution_count == 4
    assert stats.inference_stats.success.ns >= stats.inference_stats.compute_infer.ns > 0


def test_tritons_own_client_works_unchanged(trained):
    if importlib.util.find_spec("tritonclient") is None:
        pytest.skip("there is no tritonclient here (pip install tritonclient[grpc])")
    finished = subprocess.run(
        [sys.executable, pathlib.Path(__file__).with_name("triton_client.py"), trained.address, "net"],
        capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
