"""A data set that is pushed while its server and its worker are killed is the same data set, once."""

import os
import random
import signal
import subprocess

import pytest

import harness
from npz import npz

ROUNDS = int(os.environ.get("ATELIER_FAULT_ROUNDS", "1"))
SIDE = 28
TRAIN, TEST = 60_000, 2_000


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Some 50 MB of noise, so that a kill hits the upload or the import."""
    draw = random.Random(3)
    size = SIDE * SIDE
    return npz(tmp_path_factory.mktemp("arrays") / "noise.npz",
               x_train=((TRAIN, SIDE, SIDE), draw.randbytes(TRAIN * size)),
               y_train=((TRAIN,), bytes(i % 10 for i in range(TRAIN))),
               x_test=((TEST, SIDE, SIDE), draw.randbytes(TEST * size)),
               y_test=((TEST,), bytes(i % 10 for i in range(TEST))))


@pytest.fixture(scope="module")
def checksum(arrays, tmp_path_factory):
    """Of the data set when nobody interferes."""
    with harness.Server(tmp_path_factory.mktemp("calm") / "data") as server:
        server.run("datasets", "push", "noise", arrays, check=harness.DONE)
        return server.json("datasets", "show", "noise")[0]["checksum"]


def kill_something(server, chance):
    """The server, which is started again, or the worker where there is one; what was killed."""
    workers = server.worker_pids()
    if workers and chance.random() < 0.5:
        os.kill(workers[0], signal.SIGKILL)
        return "worker"
    server.kill()
    server.start()
    return "server"


@pytest.mark.parametrize("round_", range(3 * ROUNDS))
def test_kills_at_random_moments_of_a_push(data_dir, arrays, checksum, round_):
    chance = random.Random(round_)
    with harness.Server(data_dir) as server:
        client = subprocess.Popen(
            [str(harness.BIN / "atelier"), f"--server={server.address}", "datasets", "push", "noise",
             str(arrays)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # A client that has found a server once waits for it.
        harness.wait_for(lambda: any((data_dir / "uploads").iterdir()), what="the upload to begin")
        killed = []
        # A worker that is lost four times fails its job.
        while killed.count("worker") < 3 and len(killed) < 6:
            try:
                client.wait(chance.uniform(0.01, 0.5 if killed else 0.15))
                break
            except subprocess.TimeoutExpired:
                killed.append(kill_something(server, chance))
        said, _ = client.communicate(timeout=180)
        assert client.returncode == harness.DONE, said
        assert killed, "the push was over before the first kill"
        dataset = server.json("datasets", "show", "noise")[0]
        assert (dataset["versions"], dataset["checksum"]) == (["1"], checksum), (killed, dataset)
    files = [path.relative_to(data_dir) for path in (data_dir / "datasets").rglob("*")
             if path.is_file()]
    assert [str(file) for file in files] == ["datasets/noise/1/packed.dataset"]
