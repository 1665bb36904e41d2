"""Filters and feature maps: the calls, the commands, and the report's section about them."""

import base64
import csv
import io
import os
import tarfile

import grpc
import numpy
import pytest
from PIL import Image

import harness


@pytest.fixture(scope="module")
def trained(shared_server):
    """A server with `net`, a cnn-2, and `flat`, a dense network."""
    jobs = [shared_server.start_job(name, preset=preset, model_name=name, epochs=1)
            for name, preset in (("net", "cnn-2"), ("flat", "dense"))]
    for job in jobs:
        assert shared_server.wait_job(job).state == harness.job_pb.JOB_STATE_COMPLETED
    shared_server.job_of_net = jobs[0]
    return shared_server


@pytest.fixture(scope="module")
def images(small_dataset):
    return harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz")


def get_filters(server, name="models/net", **fields):
    return server.models.GetFilters(harness.model_pb.GetFiltersRequest(name=name, **fields))


def get_maps(server, name="models/net", **fields):
    return server.models.GetFeatureMaps(harness.model_pb.GetFeatureMapsRequest(name=name, **fields))


def raw(image):
    return harness.inference_pb.RawImages(pixels=image.tobytes())


def tiles_of(picture):
    """The tiles of a picture, an array of one number per zoomed square each."""
    image = numpy.array(Image.open(io.BytesIO(picture.png)).convert("RGB"))
    # All tiles are grey, what is between them is not.
    assert image[0, 0, 0] != image[0, 0, 2]
    image = image[:, :, 0]
    for i in range(picture.tiles):
        top = picture.gap + i // picture.columns * (picture.tile_height + picture.gap)
        left = picture.gap + i % picture.columns * (picture.tile_width + picture.gap)
        yield image[top:top + picture.tile_height:picture.zoom,
                    left:left + picture.tile_width:picture.zoom]


def test_filters_are_the_weights_of_the_model_file(trained):
    torch = pytest.importorskip("torch")
    with tarfile.open(trained.data_dir / "models" / "net" / "1" / "model.tar.gz") as archive:
        module = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read()))
    parameters = {name: value.detach().numpy() for name, value in module.named_parameters()}
    for layer, shape in ((1, (32, 1, 3, 3)), (2, (64, 32, 3, 3))):
        filters = get_filters(trained, layer=layer)
        assert filters.model_version == "models/net/versions/1"
        assert (filters.layer, filters.layer_count) == (layer, 2)
        values = numpy.frombuffer(filters.values, "<f4").reshape(shape)
        assert tuple(filters.shape) == shape
        assert (values == parameters[f"conv{layer}_weight"]).all()
        assert filters.scale == numpy.abs(values).max()
        planes = values.reshape(-1, 3, 3)
        tiles = list(tiles_of(filters.picture))
        assert len(tiles) == len(planes)
        for plane, tile in zip(planes, tiles):
            assert numpy.abs(127.5 + 127.5 * plane / filters.scale - tile).max() <= 1.01


def test_feature_maps_lead_to_what_classify_answers(trained, images):
    """The last block's maps, through the dense layers of the model file, give Classify's answer."""
    torch = pytest.importorskip("torch")
    with tarfile.open(trained.data_dir / "models" / "net" / "1" / "model.tar.gz") as archive:
        module = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read()))
    weights = dict(module.named_parameters())
    maps = get_maps(trained, raw=raw(images[3]), values=True)
    assert [(m.block, m.shape.channels, m.shape.height, m.shape.width) for m in maps.maps] == [
        (1, 32, 14, 14), (2, 64, 7, 7)]
    for entry in maps.maps:
        values = numpy.frombuffer(entry.values, "<f4")
        assert (values.min(), values.max()) == (entry.minimum, entry.maximum)
        planes = values.reshape(entry.shape.channels, entry.shape.height, entry.shape.width)
        for plane, tile in zip(planes, tiles_of(entry.picture)):
            if plane.max() > plane.min():
                expected = (plane - plane.min()) / (plane.max() - plane.min()) * 255
                assert numpy.abs(expected - tile).max() <= 1.01
            else:
                assert (tile == 128).all()
    x = torch.tensor(numpy.frombuffer(maps.maps[-1].values, "<f4").copy())
    x = (weights["dense1_weight"] @ x + weights["dense1_bias"]).clamp(min=0)
    ours = (weights["output_weight"] @ x + weights["output_bias"]).softmax(0).detach().numpy()
    answer = trained.inference.Classify(harness.inference_pb.ClassifyRequest(
        model="models/net", raw=raw(images[3]), top_k=10)).classifications[0]
    for entry in answer.classes:
        assert ours[entry.index] == pytest.approx(entry.probability, abs=1e-4)


def test_files_and_raw_pixels_give_the_same_maps(trained, images):
    file = io.BytesIO()
    Image.fromarray(images[0]).save(file, "PNG")
    encoded = harness.inference_pb.EncodedImages(files=[file.getvalue()])
    assert get_maps(trained, encoded=encoded).maps == get_maps(trained, raw=raw(images[0])).maps


def test_mistakes_are_named(trained, images):
    two = harness.inference_pb.RawImages(pixels=images[:2].tobytes())
    wide = io.BytesIO()
    Image.fromarray(images[0][:, :20]).save(wide, "PNG")
    exact = harness.inference_pb.EncodedImages(files=[wide.getvalue()],
                                               resize=harness.inference_pb.RESIZE_NONE)
    for call, field in (
            (lambda: get_filters(trained, layer=3), "layer"),
            (lambda: get_filters(trained, layer=-1), "layer"),
            (lambda: get_filters(trained, zoom=99), "zoom"),
            (lambda: get_filters(trained, name="net"), "name"),
            (lambda: get_maps(trained), "input"),
            (lambda: get_maps(trained, raw=two), "raw.pixels"),
            (lambda: get_maps(trained, encoded=exact), "encoded.files[0]"),
            (lambda: get_maps(trained, raw=raw(images[0]), block=3), "block")):
        with pytest.raises(grpc.RpcError) as raised:
            call()
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert list(harness.error_details(raised.value)[0]) == [field]
    for name, reason in (("models/none", "MODEL_NOT_FOUND"), ("models/flat", "NO_CONVOLUTIONS"),
                         ("models/net/versions/7", "VERSION_NOT_FOUND")):
        for call in (lambda: get_filters(trained, name=name),
                     lambda: get_maps(trained, name=name, raw=raw(images[0]))):
            with pytest.raises(grpc.RpcError) as raised:
                call()
            assert harness.error_details(raised.value)[1].reason == reason


def test_commands_write_pictures(trained, images, tmp_path):
    written = trained.run("filters", "net", cwd=tmp_path, check=harness.DONE)
    assert "32 filters of 1×3×3" in written.stdout and "\x1b" not in written.stdout
    with Image.open(tmp_path / "net-v1-layer1.png") as picture:
        assert picture.mode == "P"
    Image.fromarray(images[0]).save(tmp_path / "boot.png")
    trained.run("features", trained.job_of_net, "boot.png", "-o", "maps", cwd=tmp_path,
                check=harness.DONE)
    assert sorted(os.listdir(tmp_path / "maps")) == ["net-v1-boot-block1.png",
                                                     "net-v1-boot-block2.png"]
    trained.run("features", "net@1", "--test-image=3", "--block=2", cwd=tmp_path,
                check=harness.DONE)
    assert (tmp_path / "net-v1-test3-block2.png").exists()
    before = sorted(os.listdir(tmp_path))
    [answer] = trained.json("filters", "net", "--layer=2")
    assert len(base64.b64decode(answer["values"])) == 64 * 32 * 9 * 4
    rows = list(csv.DictReader(io.StringIO(
        trained.run("--output=csv", "features", "net", tmp_path / "boot.png", cwd=tmp_path,
                    check=harness.DONE).stdout)))
    assert len(rows) == 32 * 14 * 14 + 64 * 7 * 7
    assert sorted(os.listdir(tmp_path)) == before


def test_commands_refuse_what_is_wrong(trained, images, tmp_path):
    Image.fromarray(images[0][:, :20]).save(tmp_path / "narrow.png")
    (tmp_path / "mine.png").write_text("mine")
    for words, code in (
            (("filters", "none"), harness.NOT_FOUND),
            (("filters", "net@7"), harness.NOT_FOUND),
            (("filters", "flat"), harness.ERROR),
            (("filters", "net", "--layer=3"), harness.ERROR),
            (("filters", "net", "--layer=conv1"), harness.ERROR),
            (("filters", "net", "-o", "mine.png"), harness.ERROR),
            (("filters", "net", "-o", "no/folder.png"), harness.ERROR),
            (("features", "net", "narrow.png", "--resize=none"), harness.ERROR),
            (("features", "net", "mine.png"), harness.ERROR),
            (("features", "net", "--test-image=99999"), harness.ERROR),
            (("features", "net", "narrow.png", "-o", "mine.png"), harness.ERROR),
            (("features", "net", "narrow.png", "-o", "no/such/folder"), harness.ERROR)):
        refused = trained.run(*words, cwd=tmp_path)
        assert refused.returncode == code, (words, refused)
        assert refused.stdout == "" and refused.stderr.startswith("atelier: "), words
    assert sorted(os.listdir(tmp_path)) == ["mine.png", "narrow.png"]
    assert (tmp_path / "mine.png").read_text() == "mine"
