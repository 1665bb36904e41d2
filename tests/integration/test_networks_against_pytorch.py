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
    """One network's first step by Atelier, and the same network in PyTorch."""

    def __init__(self, seed, folder):
        self.folder = folder
        self.architecture = drawn(seed)
        (folder / "network.json").write_text(json.dumps(self.architecture))
        subprocess.run([str(harness.BIN / "first_step"), f"--architecture={folder / 'network.json'}",
                        f"--folder={folder}", f"--seed={seed}"], check=True, timeout=120)
        self.step = json.loads((folder / "step.json").read_text())
        self.shapes = {t["name"]: t["shape"] for t in self.step["tensors"]}
        self.trainable = [t["name"] for t in self.step["tensors"] if t["trainable"]]
        shape = self.architecture["input"]
        pixels = numpy.fromfile(folder / "images.u8", "uint8").reshape(
            -1, shape["channels"], shape["height"], shape["width"])
        self.images = torch.tensor(pixels.astype("float32") / numpy.float32(255))
        self.labels = torch.tensor(numpy.fromfile(folder / "labels.u16", "uint16").astype("int64"))
        self.module, self.owners = torch_networks.build(self.architecture)

    def tensor(self, name):
        """The module's tensor; another one after every change of its type."""
        return getattr(*self.owners[name])

    def read(self, kind, name):
        """A tensor's weights, gradients or weights after the step."""
        values = numpy.fromfile(self.folder / kind / f"{name}.f32", "float32")
        return torch.tensor(values.reshape(self.shapes[name]))

    def load(self, tensors, type):
        """Gives the module such weights, in that type."""
        self.module.to(type)
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.tensor(name).copy_(tensor)

    def train(self, type):
        """PyTorch's first step: its loss and its gradients by name."""
        self.load({name: self.read("weights", name) for name in self.shapes}, type)
        self.module.train()
        self.module.zero_grad()
        # As they lie in memory there; rounding depends on it.
        images = torch.empty(self.images.shape, dtype=type, memory_format=torch.channels_last)
        images.copy_(self.images)
        loss = torch.nn.functional.cross_entropy(self.module(images), self.labels)
        loss.backward()
        return loss.item(), {name: self.tensor(name).grad.clone() for name in self.trainable}

    def script(self):
        return torch.jit.load(str(self.folder / "model.pt"))


@pytest.fixture(scope="module", params=range(NETWORKS))
def first(request, tmp_path_factory):
    return FirstStep(request.param, tmp_path_factory.mktemp(f"network{request.param}"))


def distance(one, other, scale=None):
    """The largest difference, relative to the other's largest magnitude."""
    assert one.shape == other.shape
    return ((one - other).abs().max() / (scale or other.abs().max())).item()


def test_the_tensors_are_those_of_pytorch(first):
    assert {name: list(first.tensor(name).shape) for name in first.owners} == first.shapes
    assert [name for name in first.shapes if first.tensor(name).requires_grad] == first.trainable


def test_loss_and_gradients_of_the_first_step(first):
    """PyTorch in double is the truth. Where PyTorch in float32 is far from it, because a gradient is
    a small difference of large numbers, Atelier may be as far from it and a little more."""
    _, rounded = first.train(torch.float32)
    loss, exact = first.train(torch.float64)
    assert first.step["loss"] == pytest.approx(loss, rel=1e-5)
    largest = max(gradient.abs().max().item() for gradient in exact.values())
    wrong = {}
    for name, gradient in exact.items():
        # Zero but for rounding, such as that of a bias before a normalisation.
        scale = largest if gradient.abs().max() < 1e-9 * largest else None
        error = distance(first.read("gradients", name), gradient, scale)
        if error > max(1e-5, 2 * distance(rounded[name], gradient, scale)):
            wrong[name] = error
    assert not wrong


def test_running_statistics_after_the_first_step(first):
    """The first step's are the batch's."""
    first.train(torch.float64)
    for name in first.shapes.keys() - set(first.trainable):
        assert distance(first.read("after", name), first.tensor(name)) < 1e-5, name


def test_answers_of_the_exported_weights(first):
    script = first.script()
    exported = dict(script.named_parameters()) | dict(script.named_buffers())
    assert len(exported) == len(first.shapes)
    weights = {name: exported[name.replace(".", "_")] for name in first.shapes}
    for name, tensor in weights.items():
        assert torch.equal(tensor, first.read("weights", name)), name
    first.load(weights, torch.float64)
    with torch.no_grad():
        expected = first.module.eval()(first.images.double()).softmax(1)
        served = numpy.fromfile(first.folder / "probabilities.f32", "float32")
        assert distance(torch.tensor(served).reshape(expected.shape), expected, 1) < 1e-5
        assert distance(script(first.images), expected, 1) < 1e-5


def test_answers_of_the_onnx_file(first):
    model = onnx.load(str(first.folder / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    served = numpy.fromfile(first.folder / "probabilities.f32", "float32")
    answers = onnx_graph.run(model, first.images.numpy())
    assert answers.shape == (len(first.images), first.architecture["classes"])
    assert abs(answers.ravel() - served).max() < 1e-4
