"""Serving replicas: they follow another server's models, `atelierd --role=serving --registry=…`."""
import contextlib
import json
import shutil
import subprocess
import threading
import time

import grpc
import pytest
from PIL import Image

import harness
from harness import BIN, DONE, ERROR, Server, wait_for
from metrics_page import Page

open_pb = harness.importlib.import_module("inference.grpc_service_pb2")
open_grpc = harness.importlib.import_module("inference.grpc_service_pb2_grpc")

SERVING, NOT_SERVING = 1, 2
UNREADABLE = "atelier_replica_registry_unreadable_since_timestamp_seconds"


def replica_of(folder, name, *flags):
    return Server(folder / name, flags=["--role=serving", *flags])


def follow(primary, folder, name, *flags):
    return replica_of(folder, name, f"--registry={primary.data_dir}", *flags)


@pytest.fixture(scope="module")
def primary(tmp_path_factory, small_dataset):
    """A server with three versions of the model `net`."""
    folder = tmp_path_factory.mktemp("primary") / "data"
    with Server(folder, {"small": small_dataset}) as server:
        for seed in (1, 2, 3):
            server.wait_job(server.start_job("net", model_name="net", epochs=1, seed=seed), "COMPLETED")
        yield server


@pytest.fixture
def replicas(primary, tmp_path):
    with follow(primary, tmp_path, "one") as one, follow(primary, tmp_path, "two") as two:
        yield one, two


def version(server, reference=""):
    """Which version of `net` answers; an error's code in its place."""
    answered = server.answering("net", reference)
    return answered.code() if isinstance(answered, grpc.RpcError) else answered


def health(server, service=""):
    """As grpc.health.v1.Health answers, whose stubs gRPC's own package hides."""
    check = server.channel.unary_unary("/grpc.health.v1.Health/Check")
    return check(bytes([10, len(service)]) + service.encode() if service else b"")[1]


def log_of(server):
    return server.log.read_text()


def test_replicas_follow_aliases_and_deletions(primary, replicas):
    primary.run("alias", "net@1", "production", check=DONE)
    for replica in replicas:
        wait_for(lambda: version(replica, "production") == 1, 10)
        assert version(replica) == 3
    primary.run("alias", "net@2", "production", check=DONE)
    for replica in replicas:
        wait_for(lambda: version(replica, "production") == 2, 10, "the alias to be followed")
    primary.run("alias", "net", "production", "--remove", check=DONE)
    primary.run("delete", "net@1", check=DONE)
    for replica in replicas:
        wait_for(lambda: version(replica, "1") == grpc.StatusCode.NOT_FOUND, 10, "the deletion")
        assert version(replica, "production") == grpc.StatusCode.NOT_FOUND
        assert Page(replica).value("atelier_replica_versions") == 2
    assert Page(primary).value("atelier_registry_publications_total", result="done") >= 5


def test_a_new_version_is_followed(primary, replicas):
    assert [version(replica) for replica in replicas] == [3, 3]
    primary.wait_job(primary.start_job("net", model_name="net", epochs=1, seed=4), "COMPLETED")
    for replica in replicas:
        wait_for(lambda: version(replica) == 4, 10, "the new version")
    primary.run("delete", "net@4", check=DONE)
    for replica in replicas:
        wait_for(lambda: version(replica) == 3, 10, "the one before")


def test_a_replica_has_models_and_nothing_else(primary, replicas, tmp_path):
    replica = replicas[0]
    listed = replica.json("models")
    assert [model["name"] for model in listed] == ["models/net"]
    assert replica.json("models", "net") == primary.json("models", "net")
    for command in (["jobs"], ["datasets"], ["alias", "net@2", "production"], ["download", "net"],
                    ["filters", "net"], ["train", "--preset=dense"],
                    ["admin", "backup", tmp_path / "backup.tar"]):
        ended = replica.run(*command, check=ERROR)
        assert "This server is a serving replica" in ended.stderr, (command, ended)
    replica.run("health", check=DONE)
    stub = open_grpc.GRPCInferenceServiceStub(replica.channel)
    assert stub.ServerReady(open_pb.ServerReadyRequest()).ready
    assert stub.ModelReady(open_pb.ModelReadyRequest(name="net")).ready
    assert stub.ModelMetadata(open_pb.ModelMetadataRequest(name="net")).versions


def test_what_was_loaded_is_warm_after_a_restart(primary, tmp_path):
    with follow(primary, tmp_path, "one") as replica:
        assert version(replica) == 3 and version(replica, "2") == 2
        replica.stop()
        replica.start()
        index = open_grpc.GRPCInferenceServiceStub(replica.channel).RepositoryIndex(
            open_pb.RepositoryIndexRequest(ready=True))
        assert sorted(int(model.version) for model in index.models) == [2, 3]


def test_a_registry_that_is_away_takes_nothing_out_of_service(primary, replicas):
    replica = replicas[0]
    assert version(replica) == 3
    models, away = primary.data_dir / "models", primary.data_dir / "away"
    models.rename(away)
    try:
        began = time.time()
        wait_for(lambda: Page(replica).value(UNREADABLE), 10, "it to be noticed")
        assert began - 1 <= Page(replica).value(UNREADABLE) <= time.time()
        time.sleep(2)  # Longer than archives are looked at.
        assert version(replica) == 3 and version(replica, "3") == 3
        assert version(replica, "2") == grpc.StatusCode.UNAVAILABLE
        assert health(replica) == SERVING
        assert "What is known of it is served on" in log_of(replica)
    finally:
        away.rename(models)
    wait_for(lambda: Page(replica).value(UNREADABLE) == 0, 10)
    wait_for(lambda: version(replica, "2") == 2, 20)
    assert "is followed again" in log_of(replica)


def test_a_damaged_registry_changes_nothing(primary, replicas):
    replica = replicas[0]
    assert version(replica) == 3
    registry = primary.data_dir / "models" / "registry.pb"
    sound = registry.read_bytes()
    (registry.parent / "new").write_bytes(sound[:-5])
    (registry.parent / "new").rename(registry)
    wait_for(lambda: "it is damaged" in log_of(replica), 10)
    assert version(replica) == 3 and Page(replica).value(UNREADABLE) > 0
    primary.stop()
    primary.start()
    wait_for(lambda: registry.read_bytes() == sound, 10, "the primary to publish it anew")
    wait_for(lambda: Page(replica).value(UNREADABLE) == 0, 10)


def test_a_replica_that_never_saw_a_registry_waits_for_it(primary, tmp_path):
    with replica_of(tmp_path, "one", f"--registry={tmp_path / 'data'}") as replica:
        stub = open_grpc.GRPCInferenceServiceStub(replica.channel)
        assert health(replica) == NOT_SERVING
        assert health(replica, "atelier.v1.InferenceService") == NOT_SERVING
        assert not stub.ServerReady(open_pb.ServerReadyRequest()).ready
        assert version(replica) == grpc.StatusCode.UNAVAILABLE
        assert "Nothing is served" in log_of(replica)
        shutil.copytree(primary.data_dir / "models", tmp_path / "data" / "models")
        wait_for(lambda: health(replica) == SERVING, 10)
        assert stub.ServerReady(open_pb.ServerReadyRequest()).ready
        assert version(replica) == 3


def test_wrong_places_and_flags_are_refused(primary, tmp_path):
    def refusal(*flags):
        return subprocess.run([BIN / "atelierd", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0",
                               *flags], capture_output=True, text=True, timeout=60)

    role, registry = "--role=serving", f"--registry={primary.data_dir}"
    primary.stop()
    try:
        for flags, words in [
                ([role, registry, f"--data_dir={primary.data_dir}"], "is that of a server"),
                ([role, registry, f"--data_dir={tmp_path}", "--workers=3"], "--workers: it has no effect"),
                ([role, registry, f"--data_dir={tmp_path}", "--check"], "a serving replica"),
                ([role, f"--data_dir={tmp_path}", "--registry=s3://B/p"], "--registry: 'B' is no bucket")]:
            ended = refusal(*flags)
            assert ended.returncode == 1 and words in ended.stderr, (flags, ended)
    finally:
        primary.start()


@contextlib.contextmanager
def killed_after(server, seconds):
    timer = threading.Timer(seconds, server.kill)
    timer.start()
    yield
    timer.join()


def test_a_kill_under_load_fails_no_call_of_bench(replicas):
    one, two = replicas
    with killed_after(one, 1.5):
        ended = subprocess.run(
            [BIN / "atelier", f"--server={one.address},{two.address}", "--output=json", "bench",
             "classify", "net", "--warmup=0.5", "--duration=3", "--concurrency=16"],
            capture_output=True, text=True, timeout=60)
    assert ended.returncode == DONE, ended
    measured = json.loads(ended.stdout)
    assert measured["failed"] == 0 and measured["answered"] == measured["sent"] > 100, measured


def test_a_kill_fails_no_file_of_classify(replicas, tmp_path):
    one, two = replicas
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3000):
        Image.new("L", (28, 28), number % 256).save(pictures / f"{number:04}.png")
    client = subprocess.Popen(
        [BIN / "atelier", f"--server={one.address},{two.address}", "--output=json", "classify", "net",
         pictures], stdout=subprocess.PIPE, text=True)
    lines = [client.stdout.readline()]
    one.kill()
    lines += client.stdout.readlines()
    client.stdout.close()
    assert client.wait(60) == DONE
    assert len(lines) == 3000


def test_calls_are_balanced(replicas):
    one, two = replicas
    both = f"--server={one.address},{two.address}"
    subprocess.run([BIN / "atelier", both, "bench", "classify", "net", "--warmup=0", "--duration=1"],
                   check=True, capture_output=True, timeout=60)
    answered = [Page(replica).value("atelier_inference_requests_total", model="net", version="3", code="OK")
                for replica in replicas]
    assert min(answered) > 0.4 * sum(answered), answered


def test_a_server_that_is_away_is_left_out(replicas):
    one, two = replicas
    one.kill()
    both = f"--server={one.address},{two.address}"
    listed = subprocess.run([BIN / "atelier", both, "models"], capture_output=True, text=True, timeout=60)
    assert listed.returncode == DONE and "net" in listed.stdout, listed
    two.kill()
    ended = subprocess.run([BIN / "atelier", both, "models"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == ERROR and "None of the servers at" in ended.stderr, ended
