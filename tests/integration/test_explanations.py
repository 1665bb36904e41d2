"""Explanations against PyTorch's autograd and against Classify, and pictures of filters and feature maps
of any network."""

import csv
import io
import json
import pathlib
import tarfile

import grpc
import numpy
import pytest
from PIL import Image

import harness
import idx

torch = pytest.importorskip("torch", reason="python3-torch is not installed")

import torch_networks  # noqa: E402

GRAD_CAM = harness.model_pb.EXPLANATION_METHOD_GRAD_CAM
OCCLUSION = harness.model_pb.EXPLANATION_METHOD_OCCLUSION
NETWORKS = pathlib.Path(__file__).parents[2] / "docs" / "networks"

# Large, tall and small kernels, groups of colours.
KERNELS = {"name": "kernels", "layers": [
    {"convolution": {"filters": 6, "kernel": 5}}, {"activation": "ACTIVATION_RELU"},
    {"convolution": {"filters": 6, "kernel": 11, "kernel_width": 3, "groups": 2}},
    {"max_pooling": {"size": 2}},
    {"residual": {"layers": [{"convolution": {"filters": 8, "kernel": 1}}]}},
    {"global_pooling": "GLOBAL_POOLING_AVERAGE"}]}


@pytest.fixture(scope="module")
def colour_dataset(tmp_path_factory):
    """Images of 3×16×16: red, green or blue dominates in one half."""
    folder = tmp_path_factory.mktemp("colours")
    random = numpy.random.default_rng(3)
    for prefix, count in (("train", 300), ("t10k", 60)):
        labels = numpy.arange(count, dtype="uint8") % 3
        images = random.integers(0, 120, (count, 3, 16, 16), dtype="uint8")
        images[numpy.arange(count), labels, :, :8] += 120
        idx.write_idx(folder / f"{prefix}-images-idx4-ubyte.gz", images)
        idx.write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    (folder / "class_names.json").write_text('["red", "green", "blue"]')
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_dataset, colour_dataset):
    """A server with a cnn-2, networks of files, and a dense network; on grey and on colour images."""
    folder = tmp_path_factory.mktemp("explained") / "data"
    kernels = tmp_path_factory.mktemp("networks") / "kernels.json"
    kernels.write_text(json.dumps(KERNELS))
    with harness.Server(folder, datasets={"small": small_dataset,
                                          "colours": colour_dataset}) as server:
        for name, dataset, choice in (("net", "small", "--preset=cnn-2"),
                                      ("flat", "small", "--preset=dense"),
                                      ("lenet", "small", f"--network={NETWORKS / 'lenet-5.json'}"),
                                      ("resnet", "small", f"--network={NETWORKS / 'resnet-9.json'}"),
                                      ("deep", "colours", f"--network={NETWORKS / 'depthwise.json'}"),
                                      ("kernels", "colours", f"--network={kernels}")):
            server.run("train", choice, f"--dataset={dataset}", "--epochs=1", f"--name={name}",
                       f"--model-name={name}", "--seed=3", check=harness.DONE)
        yield server


@pytest.fixture(scope="module")
def images(small_dataset, colour_dataset):
    return {"small": harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz"),
            "colours": idx.read_idx(colour_dataset / "t10k-images-idx4-ubyte.gz")}


def raw(image):
    return harness.inference_pb.RawImages(pixels=image.tobytes())


def explain(server, model, image, **fields):
    return server.models.Explain(harness.model_pb.ExplainRequest(
        name=f"models/{model}", raw=raw(image), **fields))


def heat_of(explanation):
    values = numpy.frombuffer(explanation.values, "<f4")
    assert (values.min(), values.max()) == (explanation.minimum, explanation.maximum)
    return values.reshape(explanation.height, explanation.width)


def module_of(server, model):
    """The model in PyTorch, and its layers in order."""
    with tarfile.open(server.data_dir / "models" / model / "1" / "model.tar.gz") as archive:
        script = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read()))
        metadata = json.loads(archive.extractfile("metadata.json").read())
    module, owners = torch_networks.build(metadata["architecture"])
    exported = dict(script.named_parameters()) | dict(script.named_buffers())
    with torch.no_grad():
        for name, owner in owners.items():
            getattr(*owner).copy_(exported[name.replace(".", "_")])
    return module.eval(), list(module[0])


def blocks_of(layers):
    """The layers after which blocks end: before a convolution, a residual block, or the image's end.
    Of networks whose residual blocks have one convolution each."""
    ends, begun = [], False
    for i, layer in enumerate(layers):
        convolves = any(isinstance(part, torch.nn.Conv2d) for part in layer.modules())
        ends_image = any(isinstance(part, (torch.nn.AdaptiveAvgPool2d, torch.nn.Flatten,
                                           torch.nn.Linear)) for part in layer.modules())
        if (convolves or ends_image) and begun:
            ends.append(layers[i - 1])
            begun = False
        begun |= convolves
    return ends + ([layers[-1]] if begun else [])


def grad_cam(module, layer, image, target):
    """By the paper's definition, and all probabilities."""
    kept = []
    hook = layer.register_forward_hook(lambda _layer, _inputs, output: kept.append(output))
    pixels = torch.tensor(image.reshape(1, -1, *image.shape[-2:]).astype("float32") / 255)
    logits = module(pixels.requires_grad_())[0]
    hook.remove()
    gradient, = torch.autograd.grad(logits[target], kept)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * kept[0]).sum(1).relu()[0].detach().numpy(), logits.softmax(0).detach().numpy()


@pytest.mark.parametrize("model, dataset, blocks", [
    ("net", "small", 2), ("lenet", "small", 2), ("deep", "colours", 11), ("kernels", "colours", 3)])
def test_grad_cam_of_every_block_is_that_of_autograd(trained, images, model, dataset, blocks):
    module, layers = module_of(trained, model)
    ends = blocks_of(layers)
    assert len(ends) == blocks
    for index in (1, 4):
        image = images[dataset][index]
        for block, layer in enumerate(ends, 1):
            for target in (0, 2):
                answer = explain(trained, model, image, block=block, target_class=str(target),
                                 values=True)
                expected, probabilities = grad_cam(module, layer, image, target)
                assert (answer.block, answer.block_count) == (block, blocks)
                assert numpy.abs(heat_of(answer) - expected).max() < 1e-4 * max(1, expected.max())
                assert answer.target.index == target
                for entry in [*answer.classes, answer.target]:
                    assert entry.probability == pytest.approx(probabilities[entry.index], abs=1e-4)


def test_the_default_is_the_last_block_and_the_predicted_class(trained, images):
    module, layers = module_of(trained, "resnet")
    image = images["small"][3]
    answer = explain(trained, "resnet", image, values=True)
    assert answer.method == GRAD_CAM and answer.block == answer.block_count == 8
    assert answer.target == answer.classes[0]
    # The last residual block, before the pooling of the whole image.
    expected, probabilities = grad_cam(module, layers[-2], image, answer.target.index)
    assert numpy.abs(heat_of(answer) - expected).max() < 1e-4 * max(1, expected.max())
    assert answer.target.index == probabilities.argmax()


@pytest.mark.parametrize("model, dataset", [("net", "small"), ("flat", "small"),
                                            ("kernels", "colours")])
def test_occlusion_is_how_far_classify_falls(trained, images, model, dataset):
    image = images[dataset][5]
    answer = explain(trained, model, image, method=OCCLUSION, window=6, stride=5, values=True)
    assert (answer.window, answer.stride) == (6, 5)
    planes = image.reshape(-1, *image.shape[-2:]).astype("float32") / 255
    size = planes.shape[-1]
    begins = [min(begin, size - 6) for begin in range(0, size - 1, 5) if begin < size - 6 + 5]
    covered = [planes]
    for top in begins:
        for left in begins:
            other = planes.copy()
            other[:, top:top + 6, left:left + 6] = planes.mean((1, 2), keepdims=True)
            covered.append(other)
    answers = trained.inference.Classify(harness.inference_pb.ClassifyRequest(
        model=f"models/{model}", top_k=3 if dataset == "colours" else 10,
        floats=harness.inference_pb.FloatImages(pixels=numpy.concatenate(covered).ravel())))
    probabilities = [{entry.index: entry.probability for entry in image.classes}[answer.target.index]
                     for image in answers.classifications]
    expected = probabilities[0] - numpy.array(probabilities[1:])
    heat = heat_of(answer)
    assert heat.shape == (len(begins), len(begins))
    assert numpy.abs(heat.ravel() - expected).max() < 1e-4
    assert answer.target.probability == pytest.approx(probabilities[0], abs=1e-4)


def test_the_picture_is_the_image_enlarged(trained, images):
    answer = explain(trained, "net", images["small"][1], zoom=3)
    picture = Image.open(io.BytesIO(answer.png))
    assert (picture.mode, picture.size, answer.zoom) == ("RGB", (84, 84), 3)
    assert not answer.values


def test_mistakes_are_named(trained, images):
    image = images["small"][0]
    for fields, field in (({"block": 3}, "block"), ({"window": 4}, "window"),
                          ({"method": OCCLUSION, "block": 1}, "block"),
                          ({"method": OCCLUSION, "window": 29}, "window"),
                          ({"method": OCCLUSION, "stride": 8}, "stride"),
                          ({"target_class": "Hat"}, "target_class"), ({"zoom": 99}, "zoom")):
        with pytest.raises(grpc.RpcError) as raised:
            explain(trained, "net", image, **fields)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert list(harness.error_details(raised.value)[0]) == [field]
    with pytest.raises(grpc.RpcError) as raised:
        explain(trained, "flat", image)
    assert harness.error_details(raised.value)[1].reason == "NO_CONVOLUTIONS"
    assert "Occlusion" in raised.value.details()


def test_the_command_writes_the_picture_and_prints_the_answer(trained, tmp_path):
    said = trained.run("explain", "net", "--test-image=3", cwd=tmp_path, check=harness.DONE).stdout
    assert "Grad-CAM of block 2 of 2: 7×7 values" in said and "Evidence for" in said
    assert Image.open(tmp_path / "net-v1-test3-grad-cam.png").size == (224, 224)
    trained.run("explain", "net", "--test-image=3", cwd=tmp_path, check=harness.ERROR)
    trained.run("explain", "flat", "--test-image=3", "--method=occlusion", "--class=Bag", "-o",
                "bag.png", cwd=tmp_path, check=harness.DONE)
    assert (tmp_path / "bag.png").exists()
    rows = list(csv.DictReader(io.StringIO(
        trained.run("--output=csv", "explain", "net", "--test-image=3", "--block=1",
                    check=harness.DONE).stdout)))
    assert len(rows) == 14 * 14
    refused = trained.run("explain", "net", "--test-image=3", "--class=Hat", check=harness.ERROR)
    assert "--class" in refused.stderr and "T-shirt/top" in refused.stderr


def test_filters_that_see_colours_are_drawn_in_colour(trained):
    for model, shape in (("deep", (32, 3, 3, 3)), ("kernels", (6, 3, 5, 5))):
        filters = trained.models.GetFilters(harness.model_pb.GetFiltersRequest(
            name=f"models/{model}"))
        assert filters.color and tuple(filters.shape) == shape
        picture = filters.picture
        assert picture.tiles == shape[0]
        pixels = numpy.array(Image.open(io.BytesIO(picture.png)))
        values = numpy.frombuffer(filters.values, "<f4").reshape(shape)
        for i in range(picture.tiles):
            top = picture.gap + i // picture.columns * (picture.tile_height + picture.gap)
            left = picture.gap + i % picture.columns * (picture.tile_width + picture.gap)
            tile = pixels[top:top + picture.tile_height:picture.zoom,
                          left:left + picture.tile_width:picture.zoom]
            expected = 127.5 + 127.5 * values[i].transpose(1, 2, 0) / filters.scale
            assert numpy.abs(tile - expected).max() <= 1.01


@pytest.mark.parametrize("model, layer, shape, tiles", [
    ("deep", 2, (32, 1, 3, 3), 32),  # Depthwise.
    ("deep", 3, (64, 32, 1, 1), 64 * 32),
    ("kernels", 2, (6, 3, 11, 3), 18),
    ("kernels", 3, (8, 6, 1, 1), 48),
    ("lenet", 1, (6, 1, 5, 5), 6),
    ("resnet", 8, (128, 128, 3, 3), 128 * 128)])
def test_filters_of_any_size_are_drawn(trained, tmp_path, model, layer, shape, tiles):
    filters = trained.models.GetFilters(harness.model_pb.GetFiltersRequest(
        name=f"models/{model}", layer=layer, values=False))
    assert tuple(filters.shape) == shape and not filters.color
    picture = filters.picture
    assert picture.tiles == tiles
    assert (picture.tile_height, picture.tile_width) == (shape[2] * picture.zoom,
                                                         shape[3] * picture.zoom)
    trained.run("filters", model, f"--layer={layer}", "-o", tmp_path, check=harness.DONE)
    size = Image.open(tmp_path / f"{model}-v1-layer{layer}.png").size
    assert size == (picture.gap + picture.columns * (picture.tile_width + picture.gap),
                    picture.gap + picture.rows * (picture.tile_height + picture.gap))


@pytest.mark.parametrize("model, blocks", [("deep", 11), ("kernels", 3), ("lenet", 2),
                                           ("resnet", 8)])
def test_feature_maps_of_every_block_are_drawn(trained, tmp_path, model, blocks):
    trained.run("features", model, "--test-image=2", "-o", tmp_path, check=harness.DONE)
    assert len(list(tmp_path.iterdir())) == blocks


def test_the_stored_files_were_checked_on_validation_images(trained):
    [job] = [job.name for job in trained.training.ListJobs(
        harness.training_pb.ListJobsRequest()).jobs if job.name.startswith("jobs/deep")]
    log = trained.run("logs", job, check=harness.DONE).stdout
    assert "the archive answers validation images as the network does" in log
