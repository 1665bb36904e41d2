"""Serving under change: switches under load, restarts, deadlines, what a full server says."""

import json
import os
import pathlib
import threading

import grpc
import pytest

import harness


@pytest.fixture(scope="module")
def images(small_dataset):
    return harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz")


@pytest.fixture(scope="module")
def trained(shared_server):
    """A model `net` with two versions."""
    for epochs in (1, 2):
        job = shared_server.wait_job(shared_server.start_job("net", model_name="net", epochs=epochs))
        assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    return shared_server


def request(pixels, model="models/net"):
    return harness.inference_pb.ClassifyRequest(
        model=model, top_k=10, raw=harness.inference_pb.RawImages(pixels=pixels.tobytes()))


def point(server, alias, version):
    server.models.SetAlias(harness.model_pb.SetAliasRequest(
        name="models/net", alias=alias, version=version))


def test_answers_say_how_long_what_took_and_in_what_company(trained, images):
    answer = trained.inference.Classify(request(images[:100]))
    assert answer.compute_time.nanos > 0 and 1 <= answer.largest_batch <= 32
    assert len(answer.classifications) == 100


def test_grpcs_threads_give_way_to_those_that_compute(trained):
    niceness = {}
    for task in pathlib.Path(f"/proc/{trained.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        niceness.setdefault(name, set()).add(os.getpriority(os.PRIO_PROCESS, int(task.name)))
    own = os.getpriority(os.PRIO_PROCESS, trained.process.pid)
    assert niceness["classify-0"] == {own}
    for name in ("nexting_thread", "default-executo", "grpc_global_tim"):
        assert niceness[name] == {min(own + 5, 19)}, niceness


def test_an_alias_is_changed_under_load_without_a_failure_or_a_wrong_version(trained, images):
    probabilities = {}
    for version in (1, 2):
        answer = trained.inference.Classify(request(images[:1], f"models/net/versions/{version}"))
        probabilities[f"models/net/versions/{version}"] = [
            c.probability for c in answer.classifications[0].classes]
    assert len({tuple(p) for p in probabilities.values()}) == 2
    point(trained, "production", 1)
    ending, failures, answers = threading.Event(), [], [0]

    def ask():
        while not ending.is_set():
            try:
                answer = trained.inference.Classify(
                    request(images[:1], "models/net/versions/production"))
                got = [c.probability for c in answer.classifications[0].classes]
                if got != pytest.approx(probabilities[answer.model_version], abs=1e-6):
                    failures.append("another version's answer")
            except grpc.RpcError as error:
                failures.append(error)
            answers[0] += 1

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for i in range(200):
        point(trained, "production", 1 + i % 2)
        now = trained.inference.Classify(request(images[:1], "models/net/versions/production"))
        assert now.model_version == f"models/net/versions/{1 + i % 2}"
    ending.set()
    for caller in callers:
        caller.join()
    assert not failures and answers[0] > 200


def test_a_version_that_cannot_be_loaded_leaves_the_alias_and_the_old_one(server, images):
    for _ in range(2):
        server.wait_job(server.start_job("net", model_name="net", epochs=1))
    point(server, "production", 1)
    path = server.data_dir / "models" / "net" / "2" / "model.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(grpc.RpcError) as raised:
        point(server, "production", 2)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert harness.error_details(raised.value)[1].reason == "VERSION_UNAVAILABLE"
    assert "SHA-256" in raised.value.details()
    answer = server.inference.Classify(request(images[:1], "models/net/versions/production"))
    assert answer.model_version == "models/net/versions/1"


def test_latest_follows_a_new_version_by_itself(server, images):
    server.wait_job(server.start_job("net", model_name="net", epochs=1))
    assert server.inference.Classify(request(images[:1])).model_version == "models/net/versions/1"
    server.wait_job(server.start_job("net", model_name="net", epochs=1))
    harness.wait_for(lambda: server.inference.Classify(
        request(images[:1])).model_version == "models/net/versions/2", what="latest to move")


@pytest.mark.parametrize("damage", ["archive", "folder", "bytes"])
def test_a_version_whose_files_are_damaged_is_unavailable_and_the_rest_serve_on(
        server, images, damage):
    """While both versions are in memory, and again after a restart."""
    for _ in range(2):
        server.wait_job(server.start_job("net", model_name="net", epochs=1))
    for version in (1, 2):
        server.inference.Classify(request(images[:1], f"models/net/versions/{version}"))
    folder = server.data_dir / "models" / "net" / "2"
    if damage == "bytes":
        data = bytearray((folder / "model.tar.gz").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "model.tar.gz").write_bytes(data)
    else:
        (folder / "model.tar.gz").unlink()
    if damage == "folder":
        folder.rmdir()

    def refused():
        try:
            server.inference.Classify(request(images[:1]))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert harness.error_details(error)[1].reason == "VERSION_UNAVAILABLE"
            return True
        return False

    harness.wait_for(refused, what="the damage to be noticed")
    assert server.inference.Classify(request(images[:1], "models/net/versions/1")).classifications
    server.kill()
    server.start()
    assert refused()
    assert server.inference.Classify(request(images[:1], "models/net/versions/1")).classifications


def test_what_was_loaded_is_warm_when_a_restarted_server_is_ready(server, images):
    server.wait_job(server.start_job("net", model_name="net", epochs=1))
    server.inference.Classify(request(images[:1]))
    state = server.data_dir / "serving.json"
    harness.wait_for(lambda: state.exists() and json.loads(state.read_text())["loaded"],
                     what="the state to be written")
    server.kill()
    server.start()
    answer = server.inference.Classify(request(images[:1]))
    loading = 0.02  # Seconds; a load takes several times as long.
    assert answer.queue_time.seconds == 0 and answer.queue_time.nanos < loading * 1e9


def test_a_full_queue_says_so_and_when_to_come_back(server, images):
    server.wait_job(server.start_job("net", preset="cnn-3", model_name="net", epochs=1))
    server.inference.Classify(request(images[:1]))
    pixels = request(images[[i % 500 for i in range(4000)]])
    calls = [server.inference.Classify.future(pixels) for _ in range(40)]
    codes = {}
    for call in calls:
        codes.setdefault(call.code(), []).append(call)
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    refused = codes[grpc.StatusCode.RESOURCE_EXHAUSTED][0]
    assert harness.error_details(refused)[1].reason == "QUEUE_FULL"
    assert codes[grpc.StatusCode.OK]
    assert len(server.inference.Classify(request(images[:1])).classifications) == 1
