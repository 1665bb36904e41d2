"""Computes a graph of the operators that model.onnx may have, each as ONNX defines it: by ONNX's own
reference where the installed version has one, else here with torch."""

import numpy
import onnx
import onnx.numpy_helper
import torch


def run(model, images):
    """The first output for images, N×C×H×W floats."""
    try:
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        return compute(model, images)
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: images})[0]


def compute(model, images):
    values = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
    values[model.graph.input[0].name] = torch.tensor(images)
    for node in model.graph.node:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = OPERATORS[node.op_type](given, *inputs)
    return numpy.asarray(values[model.graph.output[0].name])


def padded(given, x, value):
    top, left, bottom, right = given["pads"]
    return torch.nn.functional.pad(x, (left, right, top, bottom), value=value)


def convolve(given, x, weight, bias=None):
    assert list(weight.shape[2:]) == given["kernel_shape"]
    return torch.nn.functional.conv2d(padded(given, x, 0), weight, bias, stride=given["strides"],
                                      dilation=given["dilations"], groups=given["group"])


def windows(given, x):
    (height, width), (down, right) = given["kernel_shape"], given["strides"]
    return x.unfold(2, height, down).unfold(3, width, right)


def max_pool(given, x):
    return windows(given, padded(given, x, -numpy.inf)).amax((4, 5))


def average_pool(given, x):
    inside = windows(given, padded(given, torch.ones_like(x), 0)).sum((4, 5))
    return windows(given, padded(given, x, 0)).sum((4, 5)) / inside


def batch_norm(given, x, scale, shift, mean, variance):
    scale, shift, mean, variance = (
        t.reshape(1, -1, *[1] * (x.dim() - 2)) for t in (scale, shift, mean, variance))
    return (x - mean) / (variance + given["epsilon"]).sqrt() * scale + shift


def instance_norm(given, x, scale, shift):
    axes = tuple(range(2, x.dim()))
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    scale, shift = (t.reshape(1, -1, *[1] * len(axes)) for t in (scale, shift))
    return (x - mean) / (variance + given["epsilon"]).sqrt() * scale + shift


def gemm(given, x, weight, bias=0):
    assert given == {"transB": 1}
    return x @ weight.T + bias


def reshape(given, x, shape):
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape.tolist())])


def unsqueeze(given, x, axes):
    for axis in axes.tolist():
        x = x.unsqueeze(axis)
    return x


OPERATORS = {
    "Add": lambda _, x, y: x + y,
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Concat": lambda given, *parts: torch.cat(parts, given["axis"]),
    "Conv": convolve,
    "Div": lambda _, x, y: x / y,
    "Elu": lambda given, x: torch.where(x < 0, given["alpha"] * (x.exp() - 1), x),
    "Erf": lambda _, x: torch.erf(x),
    "Flatten": lambda given, x: x.flatten(given["axis"]),
    "Gemm": gemm,
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda _, x: x.amax((2, 3), keepdim=True),
    "HardSigmoid": lambda given, x: (given["alpha"] * x + given["beta"]).clamp(0, 1),
    "InstanceNormalization": instance_norm,
    "LeakyRelu": lambda given, x: torch.where(x < 0, given["alpha"] * x, x),
    "MaxPool": max_pool,
    "Mul": lambda _, x, y: x * y,
    "ReduceMax": lambda given, x: x.amax(given["axes"], keepdim=True),
    "ReduceMean": lambda given, x: x.mean(given["axes"], keepdim=True),
    "Relu": lambda _, x: x.clamp(min=0),
    "Reshape": reshape,
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Softmax": lambda given, x: x.softmax(given["axis"]),
    "Sqrt": lambda _, x: x.sqrt(),
    "Sub": lambda _, x, y: x - y,
    "Tanh": lambda _, x: torch.tanh(x),
    "Unsqueeze": unsqueeze,
}
