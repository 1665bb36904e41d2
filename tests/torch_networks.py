"""Networks as PyTorch has them: built from `atelier.v1.Network` as JSON with torch.nn's own modules,
and drawn at random. Written from proto/atelier/v1/network.proto, apart from the program."""

import random

import torch
from torch import nn

ACTIVATIONS = {
    "ACTIVATION_RELU": nn.ReLU, "ACTIVATION_LEAKY_RELU": lambda: nn.LeakyReLU(0.01),
    "ACTIVATION_ELU": nn.ELU, "ACTIVATION_GELU": nn.GELU, "ACTIVATION_SILU": nn.SiLU,
    "ACTIVATION_HARD_SWISH": nn.Hardswish, "ACTIVATION_TANH": nn.Tanh,
    "ACTIVATION_SIGMOID": nn.Sigmoid,
}


class LayerNormOfPixels(nn.LayerNorm):
    """Over the channels of every pixel."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    def __init__(self, body, projection):
        super().__init__()
        self.body, self.projection = body, projection

    def forward(self, x):
        return self.body(x) + (x if self.projection is None else self.projection(x))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, units):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, units), nn.Linear(units, channels)

    def forward(self, x):
        gates = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


class SpatialAttention(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.map = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x):
        both = torch.stack((x.mean(1), x.amax(1)), dim=1)
        return x * torch.sigmoid(self.map(both))


class Builder:
    """Makes modules of layers. `owners` maps Atelier's names of tensors to the modules that have them
    and what these call them."""

    def __init__(self, shape):
        self.shape = tuple(shape)  # Of one image: C×H×W, or one number for a list.
        self.owners, self.counts = {}, {}

    def network(self, layers, classes):
        body = self.sequence(layers)
        last = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(self.shape).numel(), classes))
        self.keep("output", last[1])
        return nn.Sequential(body, last)

    def sequence(self, layers):
        modules = []
        for layer in layers:
            (kind, options), = layer.items()
            module = getattr(self, kind)(options)
            modules.append(module)
            with torch.no_grad():
                self.shape = tuple(module.eval()(torch.zeros(2, *self.shape)).shape[1:])
        return nn.Sequential(*modules)

    def keep(self, name, module):
        for part, _ in [*module.named_parameters(), *module.named_buffers()]:
            if part != "num_batches_tracked":
                self.owners[f"{name}.{part}"] = module, part

    def numbered(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1
        return f"{name}{self.counts[name]}"

    def kept(self, name, module):
        self.keep(self.numbered(name), module)
        return module

    @property
    def image(self):
        return len(self.shape) == 3

    def convolution(self, options):
        height = options.get("kernel", 3)
        width = options.get("kernel_width", height)
        dilation = options.get("dilation", 1)
        module = self.kept("conv", nn.Conv2d(
            self.shape[0], options["filters"], (height, width), stride=options.get("stride", 1),
            dilation=dilation, groups=options.get("groups", 1), bias=options.get("bias", True)))
        if options.get("padding") == "PADDING_VALID":
            return module
        rows, columns = dilation * (height - 1), dilation * (width - 1)
        return nn.Sequential(nn.ZeroPad2d((columns // 2, columns - columns // 2,
                                           rows // 2, rows - rows // 2)), module)

    def batch_norm(self, options):
        # A momentum of 1 leaves the batch's statistics behind.
        kind = nn.BatchNorm2d if self.image else nn.BatchNorm1d
        return self.kept("norm", kind(self.shape[0], eps=options.get("epsilon", 1e-3), momentum=1))

    def group_norm(self, options):
        return self.kept("group_norm", nn.GroupNorm(options["groups"], self.shape[0],
                                                    eps=options.get("epsilon", 1e-5)))

    def layer_norm(self, options):
        kind = LayerNormOfPixels if self.image else nn.LayerNorm
        return self.kept("layer_norm", kind(self.shape[0], eps=options.get("epsilon", 1e-6)))

    def activation(self, name):
        return ACTIVATIONS[name]()

    def _window(self, options):
        height = options.get("size", 2)
        size = (height, options.get("size_width", height))
        same = options.get("padding") == "PADDING_SAME"
        return dict(kernel_size=size, stride=options.get("stride", size),
                    padding=tuple(n // 2 if same else 0 for n in size))

    def max_pooling(self, options):
        return nn.MaxPool2d(**self._window(options))

    def average_pooling(self, options):
        return nn.AvgPool2d(**self._window(options), count_include_pad=False)

    def global_pooling(self, name):
        average = name == "GLOBAL_POOLING_AVERAGE"
        return nn.Sequential(nn.AdaptiveAvgPool2d(1) if average else nn.AdaptiveMaxPool2d(1),
                             nn.Flatten())

    def dropout(self, options):
        return nn.Identity()  # Comparisons are without.

    spatial_dropout = dropout

    def dense(self, options):
        inputs = torch.Size(self.shape).numel()
        return nn.Sequential(nn.Flatten(), self.kept("dense", nn.Linear(
            inputs, options["units"], bias=options.get("bias", True))))

    def residual(self, options):
        number = self.numbered("residual")
        before = self.shape
        body = self.sequence(options["layers"])
        projection = None
        if self.shape != before:
            stride = next(s for s in range(1, 9) if [-(-n // s) for n in before[1:]] ==
                          list(self.shape[1:]))
            projection = nn.Conv2d(before[0], self.shape[0], 1, stride=stride, bias=False)
            self.keep(number.replace("residual", "projection"), projection)
        self.shape = before  # sequence() of who asked moves on from here.
        return Residual(body, projection)

    def squeeze_excitation(self, options):
        module = SqueezeExcitation(self.shape[0], self.shape[0] // options["reduction"])
        number = self.numbered("squeeze")
        self.keep(number, module.squeeze)
        self.keep(number.replace("squeeze", "excite"), module.excite)
        return module

    def spatial_attention(self, options):
        module = SpatialAttention(options.get("kernel", 7))
        self.keep(self.numbered("attention"), module.map)
        return module

    def flatten(self, options):
        return nn.Flatten()


def build(architecture):
    """A module from images to logits, and which module has which tensor, see Builder."""
    shape = architecture["input"]
    builder = Builder((shape["channels"], shape["height"], shape["width"]))
    module = builder.network(architecture["network"].get("layers", []), architecture["classes"])
    return module, builder.owners


class Draw:
    """Draws valid networks from the list of layers."""

    KINDS_OF_PIXELS = ["convolution"] * 4 + ["max_pooling", "average_pooling", "spatial_dropout",
                                             "squeeze_excitation", "spatial_attention"]
    KINDS_OF_BOTH = ["batch_norm", "group_norm", "layer_norm", "activation", "activation", "dropout",
                     "residual", "residual"]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.next_activation = seed
        self.before = ""  # The kind of the layer before.

    def architecture(self, shape=None):
        shape = shape or (self.random.choice([1, 2, 3]), self.random.randint(9, 16),
                          self.random.randint(9, 16))
        self.shape = shape
        layers = self.layers(self.random.randint(4, 8), depth=0)
        if self.image and self.random.random() < 0.7:
            layers.append(self.random.choice([
                {"flatten": {}}, {"global_pooling": "GLOBAL_POOLING_AVERAGE"},
                {"global_pooling": "GLOBAL_POOLING_MAX"}]))
            self.shape = self.after(layers[-1:], self.shape)
        if self.random.random() < 0.8:
            layers += self.layers(self.random.randint(1, 4), depth=0, lists=True)
        return {"input": dict(zip(("channels", "height", "width"), shape)),
                "classes": self.random.randint(2, 12), "dropout": 0.25,
                "network": {"name": "drawn", "layers": layers}}

    @property
    def image(self):
        return len(self.shape) == 3

    @staticmethod
    def after(layers, shape):
        builder = Builder(shape)
        builder.sequence(layers)
        return builder.shape

    def layers(self, count, depth, lists=False):
        layers = []
        while len(layers) < count:
            kinds = list(self.KINDS_OF_BOTH)
            kinds += ["dense"] * 4 if lists else self.KINDS_OF_PIXELS
            if not lists and depth == 0 and len(layers) == 0:
                kinds = ["convolution"]
            kind = self.random.choice(kinds)
            if lists and self.image:
                kind = "dense"
            # What is normalised already: gradients would be mostly rounding.
            if "norm" in kind and "norm" in self.before:
                continue
            layer = {kind: getattr(self, kind)(depth, lists) if kind == "residual"
                     else getattr(self, kind)()}
            if layer[kind] is None:
                continue
            layers.append(layer)
            self.shape = self.after([layer], self.shape)
            if kind != "residual":
                self.before = kind
        return layers

    def some(self, **options):
        """Each option or, half the time, its default."""
        return {name: value for name, value in options.items() if self.random.random() < 0.5}

    def convolution(self):
        channels, height, width = self.shape
        groups = self.random.choice([g for g in (1, 1, 2, 3, channels) if channels % g == 0])
        options = {"filters": groups * self.random.randint(1, max(2, 20 // groups))}
        if groups > 1:
            options["groups"] = groups
        options |= self.some(kernel=self.random.randint(1, 5), kernel_width=self.random.randint(1, 5),
                             dilation=self.random.randint(1, 2), bias=False)
        if self.random.random() < 0.3:
            options["stride"] = 2
        reach = max(options.get("kernel", 3), options.get("kernel_width", 3))
        fits = options.get("dilation", 1) * (reach - 1) < min(height, width)
        if fits and self.random.random() < 0.3:
            options["padding"] = "PADDING_VALID"
        return options

    def batch_norm(self):
        return self.some(momentum=0.5, epsilon=0.01)

    def group_norm(self):
        numbers = torch.Size(self.shape).numel()
        groups = [g for g in range(1, self.shape[0] + 1)
                  if self.shape[0] % g == 0 and numbers // g > 3]
        if not groups:
            return None
        return {"groups": self.random.choice(groups)} | self.some(epsilon=0.001)

    def layer_norm(self):
        # Of two numbers little would be left.
        return self.some(epsilon=0.001) if self.shape[0] > 3 else None

    def activation(self):
        self.next_activation += 1
        return list(ACTIVATIONS)[self.next_activation % len(ACTIVATIONS)]

    def _pooling(self):
        if min(self.shape[1:]) < 5:
            return None
        if self.random.random() < 0.5:
            return self.some(size=self.random.choice([3, 5]), size_width=3, stride=2) | {
                "size": 3, "padding": "PADDING_SAME"}
        return self.some(size=3, size_width=self.random.choice([1, 2]), stride=1)

    max_pooling = average_pooling = _pooling

    def dropout(self):
        return self.some(rate=0.5)

    spatial_dropout = dropout

    def dense(self):
        return {"units": self.random.randint(2, 20)} | self.some(bias=False)

    def squeeze_excitation(self):
        return {"reduction": self.random.randint(1, self.shape[0])}

    def spatial_attention(self):
        return self.some(kernel=self.random.choice([1, 3, 5]))

    def residual(self, depth, lists):
        """None where what was drawn cannot be added to what it gets."""
        if depth == 2:
            return None
        before = self.shape
        layers = self.layers(self.random.randint(1, 3), depth + 1, lists)
        after, self.shape = self.shape, before
        strided = len(after) == 3 and any([-(-n // s) for n in before[1:]] == list(after[1:])
                                          for s in range(1, 9))
        return {"layers": layers} if after == before or strided else None


def kinds_in(layers):
    """The kinds of layers, activations and ways of pooling and padding among them."""
    kinds = set()
    for layer in layers:
        (kind, options), = layer.items()
        kinds.add(kind)
        if isinstance(options, str):
            kinds.add(options)
        elif kind == "residual":
            kinds |= kinds_in(options["layers"])
        else:
            kinds |= {f"{kind}.{name}" for name in options}
            if "padding" in options:
                kinds.add(f"{kind}.{options['padding']}")
    return kinds
