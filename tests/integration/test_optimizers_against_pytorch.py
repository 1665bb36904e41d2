"""Steps of every optimiser by Atelier and by Python's PyTorch, on the same network and batch: the rules,
weight decay, clipping, class weights and label smoothing."""

import json
import subprocess

import numpy
import pytest

import harness

torch = pytest.importorskip("torch", reason="python3-torch is not installed")

import torch_networks  # noqa: E402

STEPS = 4
RATE = 0.001
CLASSES = 5
ARCHITECTURE = {
    "network": {"name": "small", "layers": [
        {"convolution": {"filters": 6}}, {"activation": "ACTIVATION_TANH"}, {"max_pooling": {}},
        {"convolution": {"filters": 8}}, {"activation": "ACTIVATION_TANH"},
        {"dense": {"units": 12}}, {"activation": "ACTIVATION_TANH"}]},
    "input": {"channels": 1, "height": 8, "width": 8}, "classes": CLASSES, "dropout": 0}
WEIGHTS = [1, 0, 2.5, 0.5, 1]


class Steps:
    """The network after some steps with the flags of first_step, and the same by PyTorch, in double."""

    def __init__(self, folder, **flags):
        self.folder = folder
        (folder / "network.json").write_text(json.dumps(ARCHITECTURE))
        flags |= dict(architecture=folder / "network.json", folder=folder, steps=STEPS,
                      learning_rate=RATE, seed=4)
        subprocess.run([str(harness.BIN / "first_step"),
                        *(f"--{name}={value}" for name, value in flags.items())],
                       check=True, timeout=120)
        tensors = json.loads((folder / "step.json").read_text())["tensors"]
        self.shapes = {t["name"]: t["shape"] for t in tensors}
        pixels = numpy.fromfile(folder / "images.u8", "uint8").reshape(-1, 1, 8, 8)
        self.images = torch.tensor(pixels.astype("float32") / numpy.float32(255)).double()
        self.labels = torch.tensor(numpy.fromfile(folder / "labels.u16", "uint16").astype("int64"))
        self.module, owners = torch_networks.build(ARCHITECTURE)
        self.module.double().train()
        self.tensors = {name: getattr(*owner) for name, owner in owners.items()}
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(torch.tensor(self.read("weights", name)))

    def read(self, kind, name):
        values = numpy.fromfile(self.folder / kind / f"{name}.f32", "float32")
        return values.reshape(self.shapes[name])

    def expect(self, optimizer, tolerance=1e-5, before_step=None, clip=None, **loss):
        for step in range(1, STEPS + 1):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.module(self.images), self.labels, **loss).backward()
            if clip:
                assert torch.nn.utils.clip_grad_norm_(self.module.parameters(), clip) > clip
            if before_step:
                before_step(step)
            optimizer.step()
        for name, tensor in self.tensors.items():
            expected, ours = tensor.detach().numpy(), self.read("after", name)
            error = numpy.abs(ours - expected).max() / numpy.abs(expected).max()
            assert error < tolerance, (name, error)
            moved = numpy.abs(expected - self.read("weights", name)).max()
            assert moved > 10 * tolerance * numpy.abs(expected).max(), f"{name} was trained"


def adam(optimizer, steps, **choices):
    """Where Keras has epsilon: beside the root as it is, PyTorch: beside the corrected one."""
    def before_step(step):
        for group in optimizer.param_groups:
            group["eps"] = 1e-7 / (1 - 0.999 ** step) ** 0.5
    steps.expect(optimizer, before_step=before_step, **choices)


@pytest.mark.parametrize("momentum, nesterov, weight_decay",
                         [(0, False, 0), (0.9, False, 0.1), (0.9, True, 0.1)])
def test_sgd(tmp_path, momentum, nesterov, weight_decay):
    choices = dict(momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    steps = Steps(tmp_path, optimizer="sgd", **choices)
    steps.expect(torch.optim.SGD(steps.module.parameters(), RATE, **choices))


@pytest.mark.parametrize("momentum, weight_decay", [(0, 0), (0.8, 0.1)])
def test_rmsprop(tmp_path, momentum, weight_decay):
    choices = dict(momentum=momentum, weight_decay=weight_decay)
    steps = Steps(tmp_path, optimizer="rmsprop", beta2=0.9, **choices)
    steps.expect(torch.optim.RMSprop(steps.module.parameters(), RATE, alpha=0.9, eps=1e-7, **choices))


@pytest.mark.parametrize("optimizer, stock", [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
@pytest.mark.parametrize("weight_decay", [0, 0.3])
def test_adam_and_adamw(tmp_path, optimizer, stock, weight_decay):
    steps = Steps(tmp_path, optimizer=optimizer, weight_decay=weight_decay)
    adam(stock(steps.module.parameters(), RATE, weight_decay=weight_decay), steps)


def test_gradients_are_clipped_by_their_global_norm(tmp_path):
    steps = Steps(tmp_path, optimizer="sgd", momentum=0.9, max_gradient_norm=0.2)
    steps.expect(torch.optim.SGD(steps.module.parameters(), RATE, momentum=0.9), clip=0.2)


@pytest.mark.parametrize("label_smoothing", [0, 0.2])
def test_class_weights(tmp_path, label_smoothing):
    steps = Steps(tmp_path, optimizer="sgd", momentum=0.9, label_smoothing=label_smoothing,
                  class_weights=",".join(map(str, WEIGHTS)))
    steps.expect(torch.optim.SGD(steps.module.parameters(), RATE, momentum=0.9),
                 weight=torch.tensor(WEIGHTS).double(), label_smoothing=label_smoothing)


class Muon(torch.optim.Optimizer):
    """https://kellerjordan.github.io/posts/muon/, scaled as Liu et al. 2025 have it."""

    def __init__(self, parameters, rate, momentum, weight_decay):
        super().__init__(parameters, {})
        self.rate, self.momentum, self.weight_decay = rate, momentum, weight_decay

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
            velocity.mul_(self.momentum).add_(p.grad)
            x = (p.grad + self.momentum * velocity).flatten(1)
            x = x / (x.norm() + 1e-7)
            tall = x.shape[0] > x.shape[1]
            x = x.T if tall else x
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = (x.T if tall else x).reshape(p.shape)
            p.mul_(1 - self.rate * self.weight_decay)
            p.sub_(self.rate * 0.2 * max(p.flatten(1).shape) ** 0.5 * x)


def test_muon(tmp_path):
    steps = Steps(tmp_path, optimizer="muon", momentum=0.95, nesterov=True, weight_decay=0.3)
    hidden = [steps.tensors["conv2.weight"], steps.tensors["dense1.weight"]]
    others = [t for t in steps.tensors.values() if all(t is not h for h in hidden)]
    muon = Muon(hidden, RATE, 0.95, 0.3)
    adamw = torch.optim.AdamW(others, RATE, weight_decay=0.3)

    class Both:
        param_groups = adamw.param_groups

        def zero_grad(self):
            muon.zero_grad(), adamw.zero_grad()

        def step(self):
            muon.step(), adamw.step()

    # The iteration enlarges what is smallest three times over, each step, and its rounding with it.
    adam(Both(), steps, tolerance=2e-4)
