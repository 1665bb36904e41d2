"""Networks of users' own: files, options, what the client prints of them, and jobs that train them."""
import json
import pathlib

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
