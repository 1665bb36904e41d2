"""Data sets that are pushed: uploads that survive cuts and kills, imports, versions, and what is trained
on them."""

import hashlib
import io
import pathlib
import struct
import tarfile
import threading
import time
import zipfile
import zlib

import grpc
import pytest

import harness
from harness import dataset_pb, job_pb, wait_for
from npz import npz

PIECE = 256 << 10


def png(pixels):
    """A grey PNG file of rows of bytes."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    height, width = len(pixels), len(pixels[0])
    rows = b"".join(b"\0" + bytes(row) for row in pixels)
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(label, number, side=8):
    """Stripes by class, so that a network can learn them; no two alike."""
    dark, light = number % 50, 200 + number % 56
    return png([[light if (x if label else y) % 4 < 2 else dark + (x * y * number) % 9
                 for x in range(side)] for y in range(side)])


def picture_folder(folder, count=40, classes=("across", "down"), split=""):
    """`count` pictures of each class."""
    for label, name in enumerate(classes):
        place = folder / split / name
        place.mkdir(parents=True)
        for number in range(count):
            (place / f"{number:04}.png").write_bytes(picture(label, number))
    return folder


def pixels(count, side=8):
    return bytes((i * 37 + i // 64) % 251 for i in range(count * side * side))


def mnist_like_npz(path, train=60, test=20):
    return npz(path,
               x_train=((train, 8, 8), pixels(train)),
               y_train=((train,), bytes(i % 2 for i in range(train))),
               x_test=((test, 8, 8), pixels(test)[::-1]),
               y_test=((test,), bytes(i % 2 for i in range(test))))


def announce(server, name, content, **fields):
    return server.dataset_service.CreateUpload(dataset_pb.CreateUploadRequest(
        dataset=f"datasets/{name}", size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), **fields))


def send(server, upload, content, begin=0, end=None):
    """One WriteUpload from `begin` to `end`."""
    end = len(content) if end is None else end

    def pieces():
        for at in range(begin, end, PIECE):
            yield dataset_pb.WriteUploadRequest(name=upload.name, offset=at,
                                                data=content[at:min(at + PIECE, end)])
    return server.dataset_service.WriteUpload(pieces(), timeout=60)


def push(server, name, content, source_name="x", **options):
    """Uploads and imports; the ended job."""
    upload = announce(server, name, content, source_name=source_name)
    send(server, upload, content)
    job = server.dataset_service.ImportDataset(dataset_pb.ImportDatasetRequest(
        upload=upload.name, options=job_pb.ImportOptions(**options)))
    return server.wait_job(job.name, "COMPLETED", "FAILED", "STOPPED")


def reason_of(call, *arguments):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments)
    info = harness.error_details(raised.value)[1]
    return info and info.reason


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_of_pictures_becomes_a_data_set_that_is_trained_on(server, tmp_path):
    folder = picture_folder(tmp_path / "stripes")
    said = server.run("datasets", "push", "stripes", folder, check=harness.DONE).stdout
    assert "✔ completed" in said and "stripes@1" in said and "across" in said, said
    dataset = server.json("datasets", "show", "stripes")[0]
    assert dataset["name"] == "datasets/stripes/versions/1"
    assert dataset["class_names"] == ["across", "down"]
    assert int(dataset["training_images"]) + int(dataset["test_images"]) == 80
    assert dataset["source"]["name"] == "stripes"
    shown = server.run("datasets", "show", "stripes@1", check=harness.DONE).stdout
    assert "█" in shown and dataset["checksum"] in shown, shown

    trained = server.run("train", "--dataset", "stripes", "--preset", "dense", "--epochs", "2",
                         "--batch-size", "16", "--name", "s", check=harness.DONE).stdout
    assert "stripes@1" in trained, trained
    job = server.json("jobs")[0]
    assert job["spec"]["dataset"] == "stripes@1"
    assert job["result"]["dataset_checksum"] == dataset["checksum"]
    for command in ("classify", "explain"):
        options = ["--method", "occlusion", "--window", "4"] if command == "explain" else []
        answer = server.run(command, "dense", "--test-image", "0", *options, cwd=tmp_path,
                            check=harness.DONE).stdout
        assert "est image 0 of stripes@1" in answer, answer
    # The upload has done its part.
    wait_for(lambda: not files_below(server.data_dir / "uploads"), what="the upload to be removed")
    assert files_below(server.data_dir / "datasets") == ["stripes/1/packed.dataset"]


def test_listings_of_jobs_take_imports_as_what_they_are(server, tmp_path):
    folder = picture_folder(tmp_path / "stripes", count=10)
    server.run("datasets", "push", "stripes", folder, check=harness.DONE)
    listed = server.run("jobs", check=harness.DONE).stdout
    assert "import" in listed and "20 images" in listed and "stripes@1" in listed, listed
    job = server.json("jobs")[0]
    assert "spec" not in job and job["import_result"]["dataset_version"] == "datasets/stripes/versions/1"
    name = job["name"].split("/")[1]
    shown = server.run("show", name, check=harness.DONE).stdout
    assert "importing" in shown and "the most frequent" in shown, shown
    csv = server.run("--output=csv", "jobs", check=harness.DONE).stdout.splitlines()
    row = dict(zip(csv[0].split(","), csv[1].split(",")))
    assert row["preset"] == "import" and row["epochs"] == "" and row["test_accuracy"] == ""
    assert "trains nothing" in server.run("compare", name, check=harness.ERROR).stderr


def test_the_same_content_is_sent_and_imported_once(server, tmp_path):
    archive = mnist_like_npz(tmp_path / "digits.npz")
    server.run("datasets", "push", "digits", archive, check=harness.DONE)
    again = server.run("datasets", "push", "digits", archive, check=harness.DONE).stdout
    assert "Nothing was sent: digits@1" in again, again
    other = server.run("datasets", "push", "digits", archive, "--invert", check=harness.DONE).stdout
    assert "digits@2" in other, other
    datasets = {entry["name"] for entry in server.json("datasets")}
    assert "datasets/digits/versions/2" in datasets and "datasets/digits/versions/1" not in datasets


def test_a_push_checks_the_labels_of_what_it_made(server, tmp_path):
    folder = picture_folder(tmp_path / "pictures")
    said = server.run("datasets", "push", "stripes", folder, "--check", check=harness.DONE).stdout
    assert "check of stripes@1" in said and "suspicious" in said
    again = server.run("datasets", "push", "stripes", folder, "--check", check=harness.DONE).stdout
    assert "Nothing was sent" in again and "suspicious" in again
    assert sum("check" in job for job in server.json("jobs")) == 2
    lines = server.run("--output=csv", "datasets", "push", "stripes", folder, "--check", "--seed=1",
                       check=harness.DONE).stdout.splitlines()
    assert lines[0] == "index,true_class,true_probability,predicted_class,probability"
    assert "--check" in server.run("datasets", "push", "stripes", folder, "--check", "--detach").stderr


def test_an_import_has_the_resources_that_are_asked_for(server, tmp_path):
    folder = picture_folder(tmp_path / "pictures")
    refused = server.run("datasets", "push", "stripes", folder, "--cores=1000", "--memory=1MiB",
                         check=harness.ERROR).stderr
    assert "--cores: The number of cores is 1000" in refused and "--memory: The memory is" in refused
    assert server.json("jobs") == []
    server.run("datasets", "push", "stripes", folder, "--cores=1", "--memory=512MiB", check=harness.DONE)
    job = server.json("jobs")[0]["import"]
    assert job["cores"] == 1 and int(job["memory_bytes"]) == 512 << 20


def test_an_upload_goes_on_after_the_server_was_killed(server, tmp_path):
    content = mnist_like_npz(tmp_path / "digits.npz", train=40_000).read_bytes()
    half = len(content) // PIECE // 2 * PIECE
    upload = announce(server, "digits", content)
    assert send(server, upload, content, end=half).received_bytes == half
    server.kill()
    server.start()
    again = announce(server, "digits", content)
    assert again.received_bytes == half
    send(server, again, content, begin=half)
    job = server.dataset_service.ImportDataset(dataset_pb.ImportDatasetRequest(upload=again.name))
    assert server.wait_job(job.name, "COMPLETED", "FAILED").state == job_pb.JOB_STATE_COMPLETED


def test_a_killed_server_loses_at_most_what_was_not_acknowledged(server, tmp_path):
    content = mnist_like_npz(tmp_path / "digits.npz", train=40_000).read_bytes()
    upload = announce(server, "digits", content)
    begun = threading.Event()

    def pieces():
        yield dataset_pb.WriteUploadRequest(name=upload.name, offset=0, data=content[:PIECE])
        begun.set()
        time.sleep(30)

    call = server.dataset_service.WriteUpload.future(pieces())
    begun.wait(30)
    received = server.data_dir / upload.name / "content"
    wait_for(lambda: received.stat().st_size == PIECE, what="the first piece to be written")
    assert reason_of(send, server, upload, content, PIECE) == "UPLOAD_BUSY"
    server.kill()
    with pytest.raises(grpc.RpcError):
        call.result()
    server.start()
    received = server.dataset_service.GetUpload(dataset_pb.GetUploadRequest(name=upload.name))
    assert received.received_bytes in (0, PIECE)
    send(server, upload, content, begin=received.received_bytes)


def test_a_client_sends_the_rest_to_a_server_that_came_back(server, tmp_path):
    archive = tmp_path / "digits.npz"
    mnist_like_npz(archive, train=60_000)
    content = archive.read_bytes()
    upload = announce(server, "digits", content)
    send(server, upload, content, end=PIECE)
    # The same bytes, so the command continues what was sent.
    said = server.run("datasets", "push", "digits", archive, check=harness.DONE).stdout
    assert "Continues an earlier upload" in said and "digits@1" in said, said


def test_two_pushes_at_once_of_one_name_make_two_versions_or_one(server, tmp_path):
    first = mnist_like_npz(tmp_path / "a.npz", train=60)
    other = mnist_like_npz(tmp_path / "b.npz", train=80)
    codes = []

    def run(path):
        codes.append(server.run("datasets", "push", "digits", path).returncode)

    threads = [threading.Thread(target=run, args=(path,)) for path in (first, other, first)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]
    dataset = server.json("datasets", "show", "digits")[0]
    assert dataset["versions"] == ["1", "2"], dataset


def test_an_import_goes_on_in_another_attempt_when_its_worker_is_killed(data_dir, tmp_path):
    content = mnist_like_npz(tmp_path / "digits.npz", train=200_000, test=1000).read_bytes()
    with harness.Server(data_dir) as server:
        upload = announce(server, "digits", content)
        send(server, upload, content)
        job = server.dataset_service.ImportDataset(dataset_pb.ImportDatasetRequest(upload=upload.name))
        wait_for(server.worker_pids, what="the worker")
        server.kill_workers()
        server.kill()
        server.start()
        ended = server.wait_job(job.name, "COMPLETED", "FAILED")
        assert ended.state == job_pb.JOB_STATE_COMPLETED, ended
        assert files_below(data_dir / "datasets") == ["digits/1/packed.dataset"]


def test_a_data_set_that_jobs_need_is_not_deleted(server, tmp_path):
    archive = mnist_like_npz(tmp_path / "digits.npz", train=600)
    server.run("datasets", "push", "digits", archive, check=harness.DONE)
    job = server.start_job(dataset="digits", preset="dense", epochs=5000, patience=5000, batch_size=10)
    refused = server.run("datasets", "delete", "digits", check=harness.ERROR).stderr
    assert "needs it and has not ended" in " ".join(refused.split()) and "--force" not in refused, refused
    server.run("stop", job.split("/")[1], "--wait")
    server.run("datasets", "delete", "digits@1", check=harness.DONE)
    assert files_below(server.data_dir / "datasets") == []
    assert "There is no data set 'digits'" in server.run(
        "datasets", "show", "digits", check=harness.NOT_FOUND).stderr
    assert "spec.dataset" in harness.error_details(raised_by(
        lambda: server.start_job(dataset="digits@1", preset="dense")))[0]


def raised_by(call):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def test_space_is_checked_before_the_first_byte_and_at_the_end(data_dir, tmp_path):
    # 1 MiB of zeros is a few bytes when it is sent.
    count = 20_000
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape, data in (("x_train", (count, 8, 8), bytes(count * 64)),
                                  ("y_train", (count,), bytes(i % 2 for i in range(count)))):
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
            header += " " * (-(len(header) + 11) % 64) + "\n"
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header))
                             + header.encode() + data)
    with harness.Server(data_dir, flags=["--dataset_space=1MiB"]) as server:
        large = tmp_path / "large.npz"
        large.write_bytes(bytes(2 << 20))
        refused = server.run("datasets", "push", "large", large, check=harness.ERROR).stderr
        assert "--dataset_space" in refused and "2097152 bytes" in refused, refused
        assert files_below(data_dir / "uploads") == []
        assert bomb.stat().st_size < 1 << 20
        job = push(server, "bomb", bomb.read_bytes())
        assert job.state == job_pb.JOB_STATE_FAILED
        assert files_below(data_dir / "datasets") == []


def test_names_that_are_none_are_refused_before_anything_is_read(server, tmp_path):
    archive = mnist_like_npz(tmp_path / "digits.npz")
    for name in ("Digits", "../x", "digits@2", "x-", "a" * 64, ""):
        said = server.run("datasets", "push", name, archive, check=harness.ERROR).stderr
        assert "data set" in said, (name, said)
    refused = server.run("datasets", "push", "small", archive, check=harness.ERROR).stderr
    assert "--datasets" in refused, refused
    assert files_below(server.data_dir / "uploads") == []


@pytest.mark.parametrize("name", ["../../evil.png", "/tmp/evil.png", "a/../../evil/1.png"])
def test_no_name_in_an_archive_leaves_its_place(server, tmp_path, name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for label, folder in enumerate(("across", "down")):
            for number in range(10):
                data = picture(label, number)
                entry = tarfile.TarInfo(f"{folder}/{number}.png")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        data = picture(0, 99)
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    before = files_below(tmp_path.parent)
    push(server, "evil", buffer.getvalue(), source_name="../../evil")
    new = set(files_below(tmp_path.parent)) - set(before)
    assert not [path for path in new if "evil.png" in path], new
    assert not pathlib.Path("/tmp/evil.png").exists()
    assert not [path for path in files_below(server.data_dir / "datasets")
                if not path.startswith("evil/")]


def test_one_class_and_an_empty_class_are_refused_with_what_is_wrong(server, tmp_path):
    one = picture_folder(tmp_path / "one", count=5, classes=("only",))
    said = server.run("datasets", "push", "one", one, check=harness.JOB_FAILED)
    assert "class" in said.stdout + said.stderr, said
    assert "one" not in {entry["name"] for entry in server.json("datasets")}


def test_a_stopped_import_leaves_nothing(data_dir, tmp_path):
    content = mnist_like_npz(tmp_path / "digits.npz", train=400_000).read_bytes()
    with harness.Server(data_dir) as server:
        upload = announce(server, "digits", content)
        send(server, upload, content)
        job = server.dataset_service.ImportDataset(dataset_pb.ImportDatasetRequest(upload=upload.name))
        server.training.StopJob(harness.training_pb.StopJobRequest(name=job.name))
        assert server.wait_job(job.name, "STOPPED", "COMPLETED").state == job_pb.JOB_STATE_STOPPED
        assert files_below(data_dir / "datasets") == []
        # Its bytes are still there, for another try.
        assert announce(server, "digits", content).received_bytes == len(content)


def test_a_pulled_data_set_can_be_pushed_again(server, tmp_path):
    server.run("datasets", "push", "stripes", picture_folder(tmp_path / "stripes", count=20),
               check=harness.DONE)
    before = server.json("datasets", "show", "stripes")[0]
    server.run("datasets", "pull", "stripes", "-o", tmp_path / "idx", check=harness.DONE)
    assert "train-images-idx3-ubyte" in files_below(tmp_path / "idx")
    server.run("datasets", "push", "again", tmp_path / "idx", check=harness.DONE)
    after = server.json("datasets", "show", "again")[0]
    assert after["checksum"] == before["checksum"] and after["class_names"] == before["class_names"]
    server.run("datasets", "pull", "stripes", "--png", "-o", tmp_path / "png", check=harness.DONE)
    assert len([path for path in files_below(tmp_path / "png") if path.endswith(".png")]) == 40
    server.run("datasets", "push", "pictures", tmp_path / "png", check=harness.DONE)
    assert server.json("datasets", "show", "pictures")[0]["checksum"] == before["checksum"]
    refused = server.run("datasets", "pull", "stripes", "-o", tmp_path / "idx", check=harness.ERROR)
    assert "no empty folder" in refused.stderr


def test_classes_whose_names_cannot_be_folders_are_pulled_apart(server, tmp_path):
    server.run("datasets", "push", "odd", mnist_like_npz(tmp_path / "odd.npz"), "--classes",
               "a/b,class-0", check=harness.DONE)
    server.run("datasets", "pull", "odd", "--png", "-o", tmp_path / "png", check=harness.DONE)
    assert len({path.split("/")[1] for path in files_below(tmp_path / "png")}) == 2


def test_a_validation_split_of_its_own_is_used(server, tmp_path):
    archive = npz(tmp_path / "blood.npz",
                  train_images=((60, 8, 8), pixels(60)),
                  train_labels=((60, 1), bytes(i % 2 for i in range(60))),
                  val_images=((20, 8, 8), pixels(20)[::-1]),
                  val_labels=((20, 1), bytes(i % 2 for i in range(20))),
                  test_images=((10, 8, 8), pixels(10)[::2] * 2),
                  test_labels=((10, 1), bytes(i % 2 for i in range(10))))
    server.run("datasets", "push", "blood", archive, check=harness.DONE)
    dataset = server.json("datasets", "show", "blood")[0]
    assert dataset["training_images"] == "60" and dataset["validation_images"] == "20"
    refused = server.run("train", "--dataset", "blood", "--preset", "dense", "--validation-fraction",
                         "0.2", check=harness.ERROR).stderr
    assert "--validation-fraction" in refused and "20 validation images" in refused, refused
    server.run("train", "--dataset", "blood", "--preset", "dense", "--epochs", "1", "--batch-size",
               "60", check=harness.DONE)
    job = server.json("jobs")[0]
    assert "validation_fraction" not in job["spec"], job["spec"]
    # Accuracies of twenty images are multiples of a twentieth.
    accuracy = job["result"]["validation_accuracy"] * 20 if "validation_accuracy" in job["result"] else 0
    assert abs(accuracy - round(accuracy)) < 1e-9


def test_a_sheet_of_images_is_drawn(server, tmp_path):
    target = tmp_path / "sheet.png"
    server.run("datasets", "images", "small", "--split", "training", "-o", target, check=harness.DONE)
    assert target.read_bytes().startswith(b"\x89PNG")
    rows = server.run("--output=csv", "datasets", "images", "small", "--class", "Bag", "--columns=5",
                      "--rows=2", check=harness.DONE).stdout.splitlines()
    assert len(rows) == 11 and all(",Bag," in row for row in rows[1:])
    wrong = server.run("datasets", "images", "small", "--class", "Bags", check=harness.ERROR).stderr
    assert "--class" in wrong and "Bag" in wrong, wrong
