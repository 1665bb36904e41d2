"""What Triton's own client makes of a server: `triton_client.py HOST:PORT MODEL`.

A process of its own: the client brings its own definitions of the messages that the tests generate,
and one process can have only one of the two. Ends with an AssertionError if anything is amiss.
"""

import sys

import numpy
import tritonclient.grpc


def main(address, model):
    client = tritonclient.grpc.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
    assert "statistics" in client.get_server_metadata().extensions
    metadata = client.get_model_metadata(model)
    source, target = metadata.inputs[0], metadata.outputs[0]
    assert list(source.shape) == [-1, 1, 28, 28]
    assert client.get_model_config(model).config.max_batch_size >= 32

    pixels = numpy.random.default_rng(1).random((4, 1, 28, 28), dtype=numpy.float32)
    given = tritonclient.grpc.InferInput(source.name, pixels.shape, source.datatype)
    given.set_data_from_numpy(pixels)
    result = client.infer(model, [given]).as_numpy(target.name)
    assert result.shape == (4, 10) and numpy.allclose(result.sum(1), 1, atol=1e-5)
    asked = tritonclient.grpc.InferRequestedOutput(target.name, class_count=1)
    labels = client.infer(model, [given], outputs=[asked]).as_numpy(target.name)
    assert [int(row[0].decode().split(":")[1]) for row in labels] == list(result.argmax(1))

    answers = []

    def on_answer(result, error):
        answers.append(error or result.as_numpy(target.name))

    client.start_stream(on_answer)
    client.async_stream_infer(model, [given])
    client.stop_stream()
    assert len(answers) == 1 and numpy.allclose(answers[0], result, atol=1e-6), answers

    counts = client.get_inference_statistics(model).model_stats[0]
    assert counts.inference_count >= 12
    names = [(entry.name, entry.state) for entry in client.get_model_repository_index().models]
    assert (model, "READY") in names, names
    client.unload_model(model)
    assert not client.is_model_ready(model)
    client.load_model(model)
    assert client.is_model_ready(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
