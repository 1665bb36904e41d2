"""A connection that breaks between client and server: the client comes back, shows everything once, and
leaves no half of a file."""

import re
import subprocess

import pytest

import harness
from proxy import Proxy
from recovery import LONG_SPEC, check_same, wait_epoch


@pytest.fixture
def proxy(server):
    with Proxy(server.address) as running:
        yield running


def test_a_watcher_comes_back_and_misses_nothing(server, proxy, long_undisturbed):
    name = server.start_job("cut", **LONG_SPEC)
    watcher = harness.Watcher(proxy, name)
    for epoch in (5, 15, 30):
        wait_epoch(server, name, epoch)
        proxy.cut()
    job = check_same(server, name, watcher.finish(), long_undisturbed)
    assert watcher.breaks >= 3 and len(job.attempts) == 1


def test_the_client_follows_a_job_over_cuts_and_shows_every_epoch_once(server, proxy):
    name = server.start_job("cut", **LONG_SPEC)
    client = subprocess.Popen(
        [str(harness.BIN / "atelier"), f"--server={proxy.address}", "watch", name],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    for epoch in (5, 15, 30):
        wait_epoch(server, name, epoch)
        proxy.cut()
    text, complaints = client.communicate(timeout=120)
    assert client.returncode == harness.DONE, complaints
    assert proxy.cuts >= 3
    epochs = [int(n) for n in re.findall(r"^ +(\d+)  +[\d.]+ +[\d.]+ %", text, re.M)]
    assert epochs == list(range(1, LONG_SPEC["epochs"] + 1)), text


def test_a_download_that_breaks_off_leaves_no_half_of_a_file(server, proxy, tmp_path):
    name = server.start_job("net", preset="cnn-1", epochs=1, model_name="net")
    server.wait_job(name)
    proxy.cut_after = 200_000
    path = tmp_path / "net.tar.gz"
    finished = subprocess.run(
        [str(harness.BIN / "atelier"), f"--server={proxy.address}", "download", "net", "-o", str(path)],
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert proxy.cuts >= 1
    if finished.returncode == harness.DONE:
        whole = server.data_dir / "models/net/1/model.tar.gz"
        assert path.read_bytes() == whole.read_bytes()
    else:
        assert finished.returncode == harness.ERROR and finished.stderr
        left = {p.name for p in tmp_path.iterdir()} - {"data", "data.log"}
        assert not left, left
