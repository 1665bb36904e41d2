"""Networks drawn at random from the list of layers, by Atelier and by Python's PyTorch: the first step
of a training, the trained model's answers, and its files."""

import json
import subprocess

import numpy
import pytest

import harness

torch = pytest.importorskip("torch", reason="python3-torch is not installed")
onnx = pytest.importorskip("onnx", reason="python3-onnx is not installed")

import onnx_graph  # noqa: E402
import torch_networks  # noqa: E402

NETWORKS = 20


def drawn(seed):
    return torch_networks.Draw(seed).architecture()


def all_kinds():
    """Every field of Layer, and every value of its enumerations but the first."""
    network_pb = harness.proto("network")
    kinds = {field.name for field in network_pb.Layer.DESCRIPTOR.fields}
    for enumeration in (network_pb.Activation, network_pb.GlobalPooling):
        kinds |= {name for name, number in enumeration.items() if number}
    for message in (network_pb.Convolution, network_pb.BatchNorm, network_pb.GroupNorm,
                    network_pb.LayerNorm, network_pb.Pooling, network_pb.Dropout, network_pb.Dense,
                    network_pb.SqueezeExcitation, network_pb.SpatialAttention):
        for kind in network_pb.Layer.DESCRIPTOR.fields:
            if kind.message_type is message.DESCRIPTOR:
                kinds |= {f"{kind.name}.{field.name}" for field in message.DESCRIPTOR.fields}
    return kinds


def test_all_kinds_of_layers_and_options_come_up():
    come_up = set()
    for seed in range(NETWORKS):
        come_up |= torch_networks.kinds_in(drawn(seed)["network"]["layers"])
    assert all_kinds() - come_up == set()
    assert {"convolution.PADDING_VALID", "max_pooling.PADDING_SAME",
            "average_pooling.PADDING_SAME"} <= come_up


class FirstStep:
    """One network's first step by Atelier, and the same network in PyTorch, in double."""

    def __init__(self, seed, folder):
        self.folder = folder
        self.architecture = drawn(seed)
        (folder / "network.json").write_text(json.dumps(self.architecture))
        subprocess.run([str(harness.BIN / "first_step"), f"--architecture={folder / 'network.json'}",
                        f"--folder={folder}", f"--seed={seed}"], check=True, timeout=120)
        self.step = json.loads((folder / "step.json").read_text())
        self.shapes = {t["name"]: t["shape"] for t in self.step["tensors"]}
        shape = self.architecture["input"]
        pixels = numpy.fromfile(folder / "images.u8", "uint8").reshape(
            -1, shape["channels"], shape["height"], shape["width"])
        self.images = pixels.astype("float32") / numpy.float32(255)
        self.labels = torch.tensor(numpy.fromfile(folder / "labels.u8", "uint8").astype("int64"))
        self.module, self.tensors = torch_networks.build(self.architecture)
        self.module.double()
        self.reload()

    def read(self, kind, name):
        values = numpy.fromfile(self.folder / kind / f"{name}.f32", "float32")
        return values.reshape(self.shapes[name])

    def reload(self):
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.tensor(self.read("weights", name)))

    def logits(self):
        return self.module(torch.tensor(self.images).double())


@pytest.fixture(scope="module", params=range(NETWORKS))
def first(request, tmp_path_factory):
    return FirstStep(request.param, tmp_path_factory.mktemp(f"network{request.param}"))


def distance(ours, expected, scale=None):
    """The largest difference, relative to the largest magnitude."""
    expected = expected.detach().numpy() if torch.is_tensor(expected) else expected
    assert ours.shape == expected.shape
    return numpy.abs(ours - expected).max() / (scale or numpy.abs(expected).max())


def test_the_tensors_are_those_of_pytorch(first):
    assert {name: list(t.shape) for name, t in first.tensors.items()} == first.shapes


def test_loss_and_gradients_of_the_first_step(first):
    first.reload()
    first.module.train()
    first.module.zero_grad()
    loss = torch.nn.functional.cross_entropy(first.logits(), first.labels)
    loss.backward()
    assert first.step["loss"] == pytest.approx(loss.item(), rel=1e-5)
    trainable = [t["name"] for t in first.step["tensors"] if t["trainable"]]
    largest = max(first.tensors[name].grad.abs().max().item() for name in trainable)
    wrong = {}
    for name in trainable:
        gradient = first.tensors[name].grad
        error = distance(first.read("gradients", name), gradient)
        if error > 1e-5:
            wrong[name] = (error, gradient.abs().max().item() / largest)
    assert not wrong, wrong
