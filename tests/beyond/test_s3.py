"""Artifacts in a real object store, which is killed and started again, as is the server."""

import hashlib
import os
import random
import subprocess
import time

import pytest

import npz
import s3_store
from harness import BIN, DONE, Server, wait_for
from metrics_page import Page

ROUNDS = int(os.environ.get("ATELIER_BEYOND_ROUNDS", "3"))


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_store.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_store.SECRET)


@pytest.fixture
def server(seaweed, keys, data_dir, small_dataset, request):
    flags = [f"--artifacts=s3://{s3_store.BUCKET}/{request.node.name} ü+&", f"--s3_endpoint={seaweed.url}"]
    with Server(data_dir, {"small": small_dataset}, flags) as running:
        yield running


def wait_nothing_pending(server, timeout=120):
    wait_for(lambda: Page(server).value("atelier_objects_pending") == 0, timeout, "all to be uploaded")


def large(path, megabytes):
    """A data set of so many MB that cannot be made smaller."""
    images = megabytes * 1_000_000 // (64 * 64)
    pixels = random.Random(1).randbytes(images * 64 * 64)
    return npz.npz(path, x_train=((images, 64, 64), pixels),
                   y_train=((images,), bytes(i % 2 for i in range(images))))


def local_files(server):
    """SHA-256 of what is kept in the store as well, by its path."""
    return {path.relative_to(server.data_dir): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in ("models", "datasets") for path in (server.data_dir / folder).glob("*/*/*")}


def test_everything_comes_back_after_kills_of_store_and_server(server, seaweed, tmp_path):
    server.run("datasets", "push", "large", large(tmp_path / "large.npz", 60), check=DONE, timeout=600)
    names = []
    for number in range(ROUNDS):
        names.append(server.start_job(f"job-{number}", model_name=f"model-{number}"))
        time.sleep(random.random())
        seaweed.kill()
        server.wait_job(names[-1], "COMPLETED")
        server.kill()
        seaweed.start()
        server.start()
        time.sleep(2 * random.random())
        server.kill()
        server.start()
    wait_nothing_pending(server)
    before = local_files(server)
    assert len(before) == ROUNDS + 1
    server.stop()
    for path in before:
        (server.data_dir / path).unlink()
    server.start()
    for number in range(ROUNDS):
        server.run("download", f"model-{number}", "-o", tmp_path / f"{number}", check=DONE)
    server.run("datasets", "images", "large", "-o", tmp_path / "sheet.png", check=DONE, timeout=600)
    assert local_files(server) == before


def test_the_store_killed_in_the_middle_of_a_fetch(server, seaweed, tmp_path):
    server.run("datasets", "push", "large", large(tmp_path / "large.npz", 120), check=DONE, timeout=600)
    wait_nothing_pending(server)
    before = local_files(server)
    [path] = before
    (server.data_dir / path).unlink()
    name = server.start_job("waits", dataset="large", epochs=1)
    wait_for(lambda: (server.data_dir / f"{path}.fetch").exists(), what="the fetch to begin")
    seaweed.kill()
    wait_for(lambda: "object store" in server.job(name).waiting_reason, what="a reason")
    seaweed.start()
    wait_for(lambda: (server.data_dir / path).exists(), 120, "the data set to come back")
    assert local_files(server) == before
    server.run("stop", name, check=DONE)


def test_a_wrong_secret_is_refused(seaweed, keys, data_dir, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    finished = subprocess.run(
        [str(BIN / "atelierd"), "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0",
         f"--data_dir={data_dir}", f"--artifacts=s3://{s3_store.BUCKET}/wrong",
         f"--s3_endpoint={seaweed.url}"], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1 and "SignatureDoesNotMatch" in finished.stderr


def test_deleted_models_leave_the_store(server, seaweed):
    server.wait_job(server.start_job("first", model_name="first"), "COMPLETED")
    wait_nothing_pending(server)
    server.run("delete", "first@1", "--force", check=DONE)
    wait_for(lambda: Page(server).value("atelier_object_operations_total", operation="removal",
                                        result="done") >= 1, what="the removal")
