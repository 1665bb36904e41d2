"""Pictures as people have them: of any size, kind and way up."""

import io
import struct
import zlib

import grpc
import numpy
import pytest
from PIL import Image

import harness

i = harness.inference_pb


@pytest.fixture(scope="module")
def trained(shared_server):
    shared_server.wait_job(shared_server.start_job("pictures", model_name="pictures", epochs=5))
    return shared_server


@pytest.fixture(scope="module")
def pixels(trained):
    return harness.read_idx(trained.datasets["small"] / "t10k-images-idx3-ubyte.gz")[:100]


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def classify(server, files, **options):
    answer = server.inference.Classify(i.ClassifyRequest(
        model="models/pictures", top_k=10, encoded=i.EncodedImages(files=files, **options)))
    return [{c.name: c.probability for c in one.classes} for one in answer.classifications]


def raw(server, pixels):
    answer = server.inference.Classify(i.ClassifyRequest(
        model="models/pictures", top_k=10, raw=i.RawImages(pixels=pixels.tobytes())))
    return [{c.name: c.probability for c in one.classes} for one in answer.classifications]


def same(a, b, tolerance=1e-5):
    return all(abs(a[name] - b[name]) <= tolerance for name in b)


def best(answers):
    return [max(answer, key=answer.get) for answer in answers]


def test_every_colour_type_of_the_same_picture_gets_the_same_answer(trained, pixels):
    grey = Image.fromarray(pixels[0])
    expected, = raw(trained, pixels[0])
    opaque = grey.convert("RGBA")
    sixteen = Image.fromarray(pixels[0].astype(numpy.uint16) * 257)
    for image in (grey, grey.convert("RGB"), opaque, grey.convert("LA"), grey.convert("P"), sixteen):
        answer, = classify(trained, [encode(image)])
        assert same(answer, expected), image.mode
    answer, = classify(trained, [encode(grey, optimize=True, icc_profile=b"no profile" * 100)])
    assert same(answer, expected)
    for image in (grey, grey.convert("RGB"), grey.convert("CMYK")):
        answer, = classify(trained, [encode(image, "JPEG", quality=100)])
        assert same(answer, expected, 0.1), image.mode


def test_larger_pictures_are_averaged_and_smaller_ones_drawn_out(trained, pixels):
    image = Image.fromarray(pixels[1])
    expected, = raw(trained, pixels[1])
    answer, = classify(trained, [encode(image.resize((280, 280), Image.NEAREST))])
    assert same(answer, expected)
    small = image.resize((14, 14), Image.BOX)
    drawn_out = numpy.asarray(small.resize((28, 28), Image.BILINEAR))
    answer, = classify(trained, [encode(small)])
    assert same(answer, raw(trained, drawn_out)[0], 0.02)


def test_other_proportions_are_padded_stretched_or_refused(trained, pixels):
    image = Image.fromarray(pixels[2][:14])  # 14 × 28, to be padded by 7 rows above and below.
    border = numpy.concatenate([pixels[2][0], pixels[2][13], pixels[2][1:13, 0], pixels[2][1:13, 27]])
    padded = numpy.full((28, 28), int(border.mean() + 0.5), numpy.uint8)
    padded[7:21] = pixels[2][:14]
    assert same(classify(trained, [encode(image)])[0], raw(trained, padded)[0])
    stretched, = classify(trained, [encode(image)], resize=i.RESIZE_STRETCH)
    drawn_out = numpy.asarray(image.resize((28, 28), Image.BILINEAR))
    assert same(stretched, raw(trained, drawn_out)[0], 0.02)
    with pytest.raises(grpc.RpcError) as raised:
        classify(trained, [encode(image)], resize=i.RESIZE_NONE)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert list(harness.error_details(raised.value)[0]) == ["encoded.files[0]"]


def test_photos_on_white_are_recognised_when_inverted(trained, pixels):
    """Images of the test set as a shop would show them: dark on white, large, as JPEG."""
    photos = [encode(Image.fromarray(255 - one).resize((224, 224), Image.BICUBIC), "JPEG", quality=90)
              for one in pixels]
    expected = best(raw(trained, pixels))
    for inversion in (i.INVERSION_AUTO, i.INVERSION_YES):
        found = best(classify(trained, photos, inversion=inversion))
        assert sum(a == b for a, b in zip(found, expected)) >= 90
    assert sum(a == b for a, b in zip(best(classify(trained, photos)), expected)) < 60
    # What is bright on black already stays so.
    files = [encode(Image.fromarray(one)) for one in pixels]
    assert best(classify(trained, files, inversion=i.INVERSION_AUTO)) == expected


def test_transparent_ground_is_white(trained, pixels):
    alpha = numpy.where(pixels[0] > 0, 255, 0).astype(numpy.uint8)
    cut_out = Image.merge("LA", [Image.fromarray(255 - pixels[0]), Image.fromarray(alpha)])
    answer, = classify(trained, [encode(cut_out)], inversion=i.INVERSION_AUTO)
    assert same(answer, raw(trained, pixels[0])[0])


def test_white_strokes_on_nothing_are_seen(trained, pixels):
    strokes = Image.merge("LA", [Image.new("L", (28, 28), 255), Image.fromarray(pixels[0])])
    answer, = classify(trained, [encode(strokes)], inversion=i.INVERSION_AUTO)
    assert same(answer, raw(trained, pixels[0])[0])
    with pytest.raises(grpc.RpcError) as raised:
        classify(trained, [encode(Image.new("LA", (28, 28), (255, 0)))])
    assert "transparent" in raised.value.details()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_followed(trained, pixels, kind):
    turns = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
             5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
    upright = Image.fromarray(pixels[3])
    expected, = classify(trained, [encode(upright, kind)])
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        taken = upright if turn is None else upright.transpose(turn)
        answer, = classify(trained, [encode(taken, kind, exif=exif.tobytes())])
        assert same(answer, expected, 0.05 if kind == "JPEG" else 1e-5), orientation


def test_bombs_are_refused_quickly_and_the_server_serves_on(trained, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(7_000_000), 9))
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels[0]))
    good = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text * 300 + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))
    before = resident(trained)
    assert same(classify(trained, [good])[0], raw(trained, pixels[0])[0])
    flat = encode(Image.new("L", (4000, 4000)))
    with pytest.raises(grpc.RpcError) as raised:
        classify(trained, [flat] * 200)
    assert list(harness.error_details(raised.value)[0]) == ["encoded.files"]
    assert resident(trained) - before < 400 << 20
    assert classify(trained, [encode(Image.fromarray(pixels[0]))])


def resident(server):
    """The most memory that the server ever held, in bytes."""
    status = open(f"/proc/{server.process.pid}/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) << 10
