"""A data set of 300 classes, from push to report; pictures in WebP."""

import csv
import io

from PIL import Image

import harness
from test_dataset_push import files_below, picture

CLASSES = 300


def folder_of_classes(folder):
    """Four pictures of each class."""
    for label in range(CLASSES):
        place = folder / f"kind-{label}"
        place.mkdir(parents=True)
        for number in range(4):
            (place / f"{label:03}-{number}.png").write_bytes(picture(label % 2, 4 * label + number))
    return folder


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_many_classes_from_push_to_report(server, tmp_path):
    server.run("datasets", "push", "kinds", folder_of_classes(tmp_path / "kinds"), check=harness.DONE)
    shown = server.run("datasets", "show", "kinds", check=harness.DONE).stdout
    assert "The 30 smallest of 300 classes; --classes shows all." in shown
    counts = rows(server.run("--output=csv", "datasets", "show", "kinds", "--classes").stdout)
    assert counts[0] == ["class", "training_images", "validation_images", "test_images"]
    assert len(counts) == 1 + CLASSES and counts[-1][0] == "kind-299"

    server.run("train", "--preset=dense", "--dataset=kinds", "--epochs=1", "--name=many",
               check=harness.DONE)
    job = server.json("jobs")[0]["name"]
    assert "top-5 accuracy" in server.run("show", job, check=harness.DONE).stdout
    text = server.run("confusion", job, check=harness.DONE).stdout
    assert "The matrix of 300 classes is too large to read" in text
    assert "270 are left out" in text and len(text.splitlines()) < 70
    matrix = rows(server.run("--output=csv", "confusion", job).stdout)
    assert len(matrix) == 1 + CLASSES and all(len(row) == 1 + CLASSES for row in matrix)
    assert len(rows(server.run("--output=csv", "confusion", job, "--classes").stdout)) == 1 + CLASSES
    server.run("report", job, "-o", tmp_path / "report.html", check=harness.DONE)
    page = (tmp_path / "report.html").read_text()
    assert "Confusion matrix of 300 classes" in page and "A dot is 2×2 pairs" in page
    assert len(page) < 1_000_000

    # IDX files hold labels as bytes; those of more classes are rows of numbers.
    server.run("datasets", "pull", "kinds", "-o", tmp_path / "idx", check=harness.DONE)
    assert "train-labels-idx2-int" in files_below(tmp_path / "idx")
    server.run("datasets", "push", "again", tmp_path / "idx", check=harness.DONE)
    assert (server.json("datasets", "show", "again")[0]["checksum"]
            == server.json("datasets", "show", "kinds")[0]["checksum"])


def test_webp_is_read_and_other_formats_are_named(server, tmp_path):
    pets = tmp_path / "pets"
    for label, name in enumerate(("cat", "dog")):
        (pets / name).mkdir(parents=True)
        for number in range(30):
            image = Image.new("RGB", (8, 8), (200 * label, 8 * number, 50))
            image.save(pets / name / f"{number}.webp", lossless=True)
    image.save(pets / "dog" / "last.bmp")
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 255)]
    frames[0].save(pets / "dog" / "moves.webp", save_all=True, append_images=frames[1:])
    said = server.run("datasets", "push", "pets", pets, check=harness.DONE).stdout
    assert "a BMP file" in said and "animated" in said
    dataset = server.json("datasets", "show", "pets")[0]
    assert dataset["source"]["format"] == "a folder per class, WebP"
    assert int(dataset["training_images"]) + int(dataset["test_images"]) == 60
    assert int(dataset["unreadable_count"]) == 2

    server.run("train", "--preset=dense", "--dataset=pets", "--epochs=1",
               "--batch-size=16", check=harness.DONE)
    answer = server.json("classify", "dense", pets / "cat" / "3.webp")[0]
    assert answer["model_version"].startswith("models/dense/")
    refused = server.run("classify", "dense", pets / "dog" / "last.bmp", check=harness.ERROR)
    assert "no PNG, JPEG or WebP file" in refused.stderr
