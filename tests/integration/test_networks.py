"""Networks of users' own: files, options, what the client prints of them, and jobs that train them."""
import json
import pathlib
import re
import xml.etree.ElementTree

import grpc
import pytest
from google.protobuf import json_format

import harness
from harness import job_pb, training_pb

network_pb = harness.proto("network")

FILES = sorted((pathlib.Path(__file__).resolve().parents[2] / "docs" / "networks").glob("*.json"))


def read(path):
    return json_format.Parse(path.read_text(), network_pb.Network())


def describe(server, dataset="datasets/small", **spec):
    return server.training.DescribeNetwork(training_pb.DescribeNetworkRequest(
        spec=job_pb.TrainingSpec(**spec), dataset=dataset))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_have_no_mistakes(shared_server, path):
    described = describe(shared_server, network=read(path))
    assert not described.problems and described.network.name == path.stem
    assert sum(layer.parameter_count for layer in described.layers if layer.depth == 0) == \
        described.parameter_count
    assert sum(layer.multiply_adds for layer in described.layers if layer.depth == 0) == \
        described.multiply_adds


def test_standardization_is_shown_as_the_first_layer(shared_server):
    first = describe(shared_server, preset="cnn-1", standardize=True).layers[0]
    assert (first.name, first.parameter_count) == ("standardization", 0)
    network = describe(shared_server, preset="cnn-1").network
    network.standardization.mean.append(0.25)
    network.standardization.deviation.append(0.5)
    described = describe(shared_server, network=network)
    assert described.network == network
    assert described.layers[0].description == "mean 0.250; deviation 0.500"
    network.standardization.mean.append(0.25)
    assert "2 numbers as mean; it must have 1" in describe(shared_server, network=network).problems[0]


def test_every_preset_has_its_file(shared_server):
    listed = shared_server.training.ListPresets(training_pb.ListPresetsRequest())
    for preset in listed.presets:
        described = describe(shared_server, preset=preset.name)
        path, = [path for path in FILES if path.stem == preset.name]
        assert described.network == read(path)
        assert described.compute_path == job_pb.COMPUTE_PATH_KERNELS and not described.path_reason


def test_the_page_about_the_files_has_their_sizes(shared_server):
    page = (FILES[0].parent / "README.md").read_text()
    for name in ("lenet-5", "resnet-9", "depthwise"):
        network = read(FILES[0].parent / f"{name}.json")
        described = describe(shared_server, network=network)
        assert f"[`{name}.json`]" in page and f"| {described.parameter_count:,} |" in page


def test_show_prints_layers_and_what_can_be_edited(shared_server, tmp_path):
    text = shared_server.run("network", "show", "cnn-1", check=harness.DONE).stdout
    assert "conv1" in text and "32 filters of 3×3" in text and "202,570 parameters" in text
    shown = shared_server.run("--output=json", "network", "show", "cnn-1", check=harness.DONE).stdout
    edited = json.loads(shown)
    edited["name"] = "wider"
    edited["layers"][0]["convolution"]["filters"] = 48
    path = tmp_path / "wider.json"
    path.write_text(json.dumps(edited))
    assert "no mistakes" in shared_server.run("network", "check", path, check=harness.DONE).stdout
    wide = shared_server.run("--output=csv", "network", "show", path, "--input=3x32x32",
                             "--classes=7", check=harness.DONE).stdout
    assert "conv1,0,48 filters of 3×3,48,32,32,false" in wide and "output,0,7 units,7,1,1,true" in wide


def test_every_mistake_is_named_with_its_layer(shared_server, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"layers": [
        {"convolution": {"filters": -3}}, {"group_norm": {"groups": 0}},
        {"batch_norm": {"epsilon": "NaN"}}, {"dense": {"units": 0}}, {}]}))
    said = shared_server.run("network", "check", path, check=harness.ERROR).stderr
    for words in ("Layer 1 (conv1): filters is -3; it must be 1 to 65536",
                  "Layer 2 (group_norm1): groups is 0", "Layer 3 (norm1): epsilon is nan",
                  "Layer 4 (dense1): units is 0", "Layer 5 (unknown1): is of no kind"):
        assert words in said, said
    with pytest.raises(grpc.RpcError) as error:
        shared_server.start_job(preset="", network=read(path))
    assert "spec.network" in harness.error_details(error.value)[0]


@pytest.mark.parametrize("content, words", [
    ("not JSON", "no network in JSON"),
    ('{"layers": [{"lstm": {}}]}', "lstm"),
    ('{"layers": [{"dense": {"units": "many"}}]}', "units"),
    ("{" + " " * (2 << 20) + "}", "at most 1 MiB"),
], ids=["text", "unknown layer", "wrong type", "too large"])
def test_files_that_are_no_networks(shared_server, tmp_path, content, words):
    path = tmp_path / "none.json"
    path.write_text(content)
    for command in (("network", "check", path), ("train", f"--network={path}")):
        said = shared_server.run(*command, check=harness.ERROR).stderr
        assert words in said and "none.json" in said, said
    assert "missing.json" in shared_server.run("train", "--network=missing.json",
                                               check=harness.ERROR).stderr


def wrong_fields(server, **spec):
    with pytest.raises(grpc.RpcError) as error:
        server.start_job(**spec)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return harness.error_details(error.value)[0]


def test_options_that_do_not_fit(shared_server):
    layers = [network_pb.Layer(dense=network_pb.Dense(units=4))]
    for field, spec in {
            "spec.kernel": {"preset": "dense", "kernel": 3},
            "spec.pool": {"preset": "cnn-3", "pool": [2, 2]},
            "spec.conv": {"preset": "", "conv": [8, 0]},
            "spec.dense": {"preset": "cnn-1", "dense": [0, 8]},
            "spec.network": {"preset": "cnn-1", "network": network_pb.Network(layers=layers)},
            "spec.preset": {"preset": ""},
    }.items():
        assert field in wrong_fields(shared_server, **spec), field
    many = network_pb.Network(layers=layers * 1000)
    assert "spec.network" in wrong_fields(shared_server, preset="", network=many)
    large = network_pb.Network(layers=[network_pb.Layer(dense=network_pb.Dense(units=60_000)),
                                       network_pb.Layer(dense=network_pb.Dense(units=2_000))])
    said = wrong_fields(shared_server, preset="", network=large, memory_bytes=512 << 20)
    assert "spec.network" in said and "parameters" in str(said)


def test_a_network_of_ones_own_is_trained_and_served(server, tmp_path):
    server.run("train", f"--network={FILES[0].parent / 'lenet-5.json'}", "--dataset=small",
               "--epochs=2", "--cores=1", "--shards=2", check=harness.DONE)
    job = server.json("jobs")[0]
    assert job["spec"]["network"]["name"] == "lenet-5" and job["spec"].get("preset", "") == ""
    assert job["result"]["compute_path"] == "COMPUTE_PATH_LIBTORCH"
    assert job["result"]["model_version"] == "models/lenet-5/versions/1"
    classified = server.run("classify", "--model=lenet-5", "--test-image=0", check=harness.DONE)
    assert "%" in classified.stdout
    shown = server.run("network", "show", "lenet-5@1", check=harness.DONE).stdout
    assert "mean of 2×2" in shown and "tanh" in shown
    server.run("download", "lenet-5", "--format=onnx", "-o", tmp_path / "lenet.onnx",
               check=harness.DONE)
    server.run("filters", "lenet-5", "-o", tmp_path / "filters.png", check=harness.DONE)
    server.run("report", job["name"], "-o", tmp_path / "report.html", check=harness.DONE)
    assert "lenet-5" in (tmp_path / "report.html").read_text()


def test_one_choice_varied_is_one_command(server):
    server.run("sweep", "--preset=cnn-1", "--dataset=small", "--kernel=3,5", "--conv=4/4,8", "--seeds=1",
               "--epochs=1", "--cores=1", "--shards=1", check=harness.DONE)
    experiment = server.json("experiments")[0]["name"]
    text = server.run("compare", experiment, check=harness.DONE).stdout
    assert "kernel" in text and "conv" in text and "4,8" in text
    kernels = {job["spec"]["kernel"]: job["result"]["compute_path"] for job in server.json("jobs")}
    assert kernels == {3: "COMPUTE_PATH_KERNELS", 5: "COMPUTE_PATH_LIBTORCH"}


def test_a_specification_can_be_sent_again(server):
    job = server.job(server.start_job(preset="cnn-1", kernel=5, epochs=1))
    again = server.training.StartTraining(training_pb.StartTrainingRequest(spec=job.spec))
    assert again.spec == job.spec


def test_what_the_client_would_stop_is_refused_by_the_server(shared_server):
    """A million layers, blocks deeper than any, and a kind of a later version, by gRPC alone."""
    layers = b"\x12\x00" * 1_000_000
    many = network_pb.Network.FromString(layers)
    said = str(wrong_fields(shared_server, preset="", network=many))
    assert "1000000 layers; at most 256" in said and "spec.network" in said
    described = describe(shared_server, network=many)
    assert described.problems == ["The network has 1000000 layers; at most 256 are possible."]
    deep = network_pb.Layer(activation="ACTIVATION_RELU")
    for _ in range(20):
        deep = network_pb.Layer(residual=network_pb.Residual(layers=[deep]))
    said = str(wrong_fields(shared_server, preset="", network=network_pb.Network(layers=[deep])))
    assert "inside of 8 residual blocks; at most 8" in said
    # Field 99 of Layer.
    later = network_pb.Layer.FromString(b"\x9a\x06\x00")
    said = str(wrong_fields(shared_server, preset="", network=network_pb.Network(layers=[later])))
    assert "layer 1 (unknown1): is of no kind that is known here" in said.replace("Layer", "layer")


def nested(depth):
    return '{"layers":[' + '{"residual":{"layers":[' * depth + '{"flatten":{}}' + "]}}" * depth + "]}"


@pytest.mark.parametrize("network, words", [
    ({"layers": [{"convolution": {"filters": 8}}, {"max_pooling": {"size": 29}}]},
     ["Layer 2 (pool1)", "29x29", "28x28"]),
    ({"layers": [{"residual": {"layers": [{"max_pooling": {"size": 10}}]}}]},
     ["Layer 1 (residual1)", "1x28x28", "1x2x2"]),
    ({"layers": [{"dense": {"units": 9}}, {"convolution": {"filters": 8}}]},
     ["Layer 2 (conv1)", "needs an image", "9 numbers"]),
    (nested(9), ["inside of 8 residual blocks"]),
    (nested(5000), ["no network in JSON", "recursion|depth|nest"]),
    ({"layers": [{}] * 257}, ["257 layers; at most 256"]),
    ({"layers": [{"dense": {"units": 65536}}, {"dense": {"units": 65536}}]},
     ["number of parameters is 4347", "268435456"]),
    ({"layers": [{"dropout": {"rate": "NaN"}}, {"dropout": {"rate": -0.5}}]},
     ["Layer 1 (dropout1): rate is nan", "Layer 2 (dropout2): rate is -0.5"]),
], ids=["vanishes", "disagrees", "no image", "deep", "far too deep", "many layers", "parameters",
        "no numbers"])
def test_networks_that_cannot_be_are_refused_in_words(shared_server, tmp_path, network, words):
    path = tmp_path / "wrong.json"
    path.write_text(network if isinstance(network, str) else json.dumps(network))
    for command in (("network", "check", path),
                    ("train", f"--network={path}", "--dataset=small")):
        said = shared_server.run(*command, check=harness.ERROR).stderr
        for word in words:
            assert re.search(word if "|" in word else re.escape(word), said, re.IGNORECASE), said
    assert not shared_server.json("jobs")


def test_options_that_the_network_does_not_allow(shared_server, tmp_path):
    """All are named before a job is made."""
    plain = tmp_path / "plain.json"
    plain.write_text('{"layers": [{"activation": "ACTIVATION_RELU"}]}')
    large = tmp_path / "large.json"
    large.write_text('{"layers": [{"dense": {"units": 60000}}, {"dense": {"units": 2000}}]}')
    for options, words in [
            ((f"--network={plain}", "--optimizer=muon"), ["--network", "muon", "matrices"]),
            (("--preset=cnn-1", "--class-weights=1:2:3"), ["--class-weights", "3", "10"]),
            (("--preset=cnn-1", "--class-weights=1:1:1:1:1:1:1:1:1:nan"), ["--class-weights", "nan"]),
            ((f"--network={large}", "--memory=512MiB"), ["parameters", "bytes", "536870912"]),
    ]:
        said = shared_server.run("train", "--dataset=small", *options, check=harness.ERROR).stderr
        for word in words:
            assert word in said, said
    assert not shared_server.json("jobs")


def test_a_file_of_100_megabytes_is_not_read(shared_server, tmp_path):
    path = tmp_path / "huge.json"
    with open(path, "wb") as file:
        file.truncate(100 << 20)
    said = shared_server.run("network", "check", path, check=harness.ERROR).stderr
    assert "the file has 104857600 bytes; a network has at most 1 MiB" in said


def test_show_draws_a_network(shared_server, tmp_path):
    path = tmp_path / "drawn.svg"
    said = shared_server.run("network", "show", "resnet", "-o", path, check=harness.DONE).stdout
    assert "Wrote" in said and "conv1" in said
    root = xml.etree.ElementTree.parse(path).getroot()
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and {"resnet", "image", "conv1", "output"} <= set(texts)
    assert [text for text in texts if "Computed by Atelier's kernels." in text]
    assert "--force replaces it" in shared_server.run("network", "show", "resnet", "-o", path,
                                                 check=harness.ERROR).stderr
    shared_server.run("network", "show", "cnn-1", "-o", path, "--force", check=harness.DONE)
    assert "cnn-1" in path.read_text()


def test_files_are_an_axis(server, tmp_path):
    """Networks without a name are called as their files, and compared by those."""
    for name, units in (("Slim", 4), ("wide_one", 16)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"layers": [{"dense": {"units": units}}]}))
    server.run("sweep", f"--network={tmp_path}/Slim.json,{tmp_path}/wide_one.json", "--dataset=small",
               "--learning-rate=0.001,0.01", "--seeds=2", "--epochs=1", "--cores=1", "--shards=1",
               check=harness.DONE)
    experiment = server.json("experiments")[0]["name"]
    text = server.run("compare", experiment, check=harness.DONE).stdout
    assert "Accuracy by network" in text and "Accuracy by learning-rate" in text
    assert "slim" in text and "wide-one" in text and "network slim" in text
    server.run("report", experiment, "-o", tmp_path / "report.html", check=harness.DONE)
    page = (tmp_path / "report.html").read_text()
    assert 'data-chart="Accuracy by network"' in page and page.count('data-chart="Network"') == 2
