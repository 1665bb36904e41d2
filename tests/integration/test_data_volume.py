"""A data volume that the server cannot write to: it says so in a sentence, and changes nothing."""

import os
import pathlib
import shlex
import subprocess
import tempfile

import pytest

import harness

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and changes owners, as root alone can")


@pytest.fixture
def volume():
    """A folder that every user can reach; pytest's own are their maker's alone."""
    with tempfile.TemporaryDirectory(prefix="atelier-volume-") as folder:
        os.chmod(folder, 0o755)
        path = pathlib.Path(folder) / "data"
        path.mkdir(mode=0o755)
        yield path


def command(volume):
    return [str(harness.BIN / "atelierd"), "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0",
            f"--data_dir={volume}"]


def complaint(words, **options):
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, **options)
    assert ended.returncode == 1 and not ended.stdout, (ended.stdout, ended.stderr)
    assert ended.stderr.startswith("atelierd: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def nobody():
    return dict(user=NOBODY, group=NOBODY, extra_groups=[])


@as_root
def test_a_read_only_volume(volume):
    script = (f"mount --bind {volume} {volume} && mount -o remount,ro,bind {volume} && "
              f"exec {shlex.join(command(volume))}")
    sentence = complaint(["unshare", "--mount", "sh", "-c", script])
    assert str(volume) in sentence and "Read-only file system" in sentence
    assert "--data_dir" in sentence and not list(volume.iterdir())


@as_root
def test_a_volume_of_another_user(volume):
    sentence = complaint(command(volume), **nobody())
    assert str(volume) in sentence and "Permission denied" in sentence and "owner" in sentence
    assert not list(volume.iterdir())


@as_root
def test_a_database_that_another_user_left(volume):
    with harness.Server(volume, flags=["--workers=1"]) as server:
        assert server.stop() == 0
    os.chown(volume, NOBODY, NOBODY)
    os.chown(volume / "atelierd.lock", NOBODY, NOBODY)
    os.chmod(volume / "atelier.db", 0o600)
    before = (volume / "atelier.db").read_bytes()
    sentence = complaint(command(volume), **nobody())
    assert str(volume) in sentence, sentence
    assert (volume / "atelier.db").read_bytes() == before


@as_root
def test_a_volume_handed_to_the_right_user_serves(volume):
    os.chown(volume, NOBODY, NOBODY)
    started = subprocess.Popen(command(volume), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, **nobody())
    try:
        assert started.stdout.readline().startswith("atelierd: serving on ")
    finally:
        started.terminate()
        assert started.wait(60) == 0
        started.stdout.close()
