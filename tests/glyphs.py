#!/usr/bin/env python3
"""Renders a small data set: the letters A to J in Debian's DejaVu fonts, moved, turned and of several
sizes, as IDX files: white on black, or with --color in any colour on any other of enough contrast. The
same options give the same images (of the same version of FreeType).

    tests/glyphs.py FOLDER [--training 4000] [--test 1000] [--seed 1] [--size 28] [--color]
"""

import argparse
import json
import pathlib

import numpy
from PIL import Image, ImageDraw, ImageFont

from idx import write_idx

LETTERS = "ABCDEFGHIJ"
FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")  # The package fonts-dejavu-core.
NAMES = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif",
         "DejaVuSerif-Bold"]
SIZE = 28


def render(letter, size, font, angle, shift):
    """One letter, white on black, turned by degrees and moved by pixels from the middle."""
    image = Image.new("L", (size, size))
    left, top, right, bottom = font.getbbox(letter)
    at = ((size - left - right) / 2 + shift[0], (size - top - bottom) / 2 + shift[1])
    ImageDraw.Draw(image).text(at, letter, fill=255, font=font)
    return numpy.asarray(image.rotate(angle, resample=Image.BILINEAR))


def paint(mask, random):
    """A colour where the mask is white and another where it is black, 3×H×W."""
    ink, paper = random.uniform(0, 255, (2, 3))
    while abs(ink.mean() - paper.mean()) < 60:
        ink, paper = random.uniform(0, 255, (2, 3))
    return paper[:, None, None] + (ink - paper)[:, None, None] * (mask / 255)


def make_split(count, random, size, color):
    """Images and labels, as many of each class."""
    scale = size / SIZE
    fonts = [ImageFont.truetype(str(FONTS / f"{name}.ttf"), round(points * scale))
             for name in NAMES for points in (16, 18, 20, 22)]
    labels = random.permutation(numpy.arange(count) % len(LETTERS)).astype(numpy.uint8)
    images = numpy.stack([
        render(LETTERS[label], size, fonts[random.integers(len(fonts))], random.uniform(-15, 15),
               random.uniform(-3, 3, size=2) * scale)
        for label in labels])
    if color:
        images = numpy.stack([paint(image, random) for image in images])
    noise = random.normal(0, 12, images.shape)
    return numpy.clip(images + noise, 0, 255).astype(numpy.uint8), labels


def make_glyphs(folder, training=4000, test=1000, seed=1, size=SIZE, color=False):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(seed)
    for part, count in (("train", training), ("t10k", test)):
        images, labels = make_split(count, random, size, color)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    (folder / "class_names.json").write_text(json.dumps(list(LETTERS)))
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Renders a small data set of letters.")
    parser.add_argument("folder")
    parser.add_argument("--training", type=int, default=4000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--color", action="store_true")
    arguments = parser.parse_args()
    make_glyphs(**vars(arguments))
