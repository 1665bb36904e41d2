"""Networks drawn at random, which the general path trains: kills change no bit of their weights."""

import os
import signal

import numpy
import pytest
from google.protobuf import json_format

import harness
from recovery import SPEC, calm_run, check_same, end_reasons, wait_epoch

pytest.importorskip("torch", reason="python3-torch is not installed")

import torch_networks  # noqa: E402

# Between them dropout, running statistics of batch norm, residual blocks and every other kind of norm.
SEEDS = [6, 11, 14]


SHAPE = (1, 12, 12)


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """240 images of noise, each of four classes with a corner that is lighter."""
    folder = tmp_path_factory.mktemp("patches")
    random = numpy.random.default_rng(4)
    for part, count in (("train", 240), ("t10k", 40)):
        labels = numpy.arange(count, dtype=numpy.uint8) % 4
        images = random.integers(0, 150, (count, 2, 6, 2, 6))
        images[numpy.arange(count), labels // 2, :, labels % 2, :] += 80
        harness.write_idx(folder / f"{part}-images-idx3-ubyte.gz",
                          images.reshape(count, 12, 12).astype(numpy.uint8))
        harness.write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    (folder / "class_names.json").write_text('["a", "b", "c", "d"]')
    return folder


@pytest.fixture
def server(data_dir, patches):
    with harness.Server(data_dir, {"small": patches}) as running:
        yield running


def drawn(seed):
    network = torch_networks.Draw(seed).architecture(SHAPE)["network"]
    return dict(SPEC, preset="", epochs=16, patience=16, batch_size=16,
                network=json_format.ParseDict(network, harness.proto("network").Network()))


def test_what_keeps_state_or_draws_numbers_comes_up():
    kinds = set()
    for seed in SEEDS:
        network = torch_networks.Draw(seed).architecture(SHAPE)["network"]
        kinds |= torch_networks.kinds_in(network["layers"])
    assert {"dropout", "batch_norm", "group_norm", "layer_norm", "residual", "squeeze_excitation",
            "spatial_attention"} <= kinds


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_workers_and_servers_change_no_bit(server, patches, tmp_path, seed):
    """The worker is killed, then the server together with the next worker."""
    spec = drawn(seed)
    undisturbed = calm_run(tmp_path / "calm", patches, spec)
    name = server.start_job("drawn", **spec)
    watcher = harness.Watcher(server, name)
    server.wait_event(name, "checkpoint")
    workers = server.worker_pids()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    harness.wait_for(lambda: server.worker_pids() not in ([], workers), 60, "the next attempt")
    wait_epoch(server, name, 5)
    workers = server.worker_pids()
    server.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    server.start()
    job = check_same(server, name, watcher.finish(), undisturbed)
    assert job.result.compute_path == harness.job_pb.COMPUTE_PATH_LIBTORCH
    assert end_reasons(job)[:-1] == ["WORKER_LOST", "WORKER_LOST"]
    assert job.attempts[-1].resumed_epoch >= 1
