"""The metrics page of a working server: what docs/metrics.md promises, and nothing else."""

import re
import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest

import harness
from metrics_page import Page, get

sys.path.insert(0, str(harness.ROOT / "tests" / "deploy"))

import deployment  # noqa: E402


def classify(server, model, images=8):
    return server.inference.Classify(harness.inference_pb.ClassifyRequest(
        model=model, raw=harness.inference_pb.RawImages(pixels=bytes(28 * 28 * images))))


@pytest.fixture(scope="module")
def working(tmp_path_factory, small_dataset):
    """A server that has trained one model, failed with another, trains a third and has classified
    images."""
    folder = tmp_path_factory.mktemp("metrics")
    with harness.Server(folder / "data", datasets={"small": small_dataset}) as server:
        server.finished = server.wait_job(server.start_job("finished", model_name="net"))
        server.failed = server.start_job("failed", preset="cnn-3", dataset="fashion-mnist", epochs=1,
                                         memory_bytes=256 << 20, batch_size=8192, shards=1)
        server.wait_job(server.failed, "FAILED")
        running = server.start_job("running", epochs=10000, patience=10000)
        server.wait_event(running, "epoch")
        server.wait_event(running, "resources")
        classify(server, "models/net")
        with pytest.raises(grpc.RpcError):
            classify(server, "models/missing")
        server.running = running
        yield server
        server.training.StopJob(harness.training_pb.StopJobRequest(name=running))
        server.wait_job(running, "STOPPED")


def test_the_page_is_what_the_documentation_says(working):
    documented, exported = deployment.documented_metrics(), Page(working).exported()
    assert set(exported) - set(documented) == set(), "exported and not documented"
    # Nothing is imported or checked here, and there is no engine; tests/unit/metrics has their series.
    for name in ["atelier_job_imported_images", "atelier_job_scored_images",
                 *[n for n in documented if n.startswith("atelier_engine_")]]:
        del documented[name]
    assert set(documented) - set(exported) == set(), "documented and not exported"
    for name in documented:
        assert exported[name] == documented[name], name


def test_it_says_which_libtorch_runs(working):
    build, = [labels for name, labels, _ in Page(working).samples if name == "atelier_build_info"]
    assert build["libtorch"][0].isdigit(), build


def test_every_family_has_a_help_text(working):
    page = Page(working)
    for name in page.types:
        assert f"# HELP {name} " in page.text


def test_running_jobs_have_series_and_ended_ones_none(working):
    page = Page(working)
    failed = {(labels["job"], labels["reason"]) for name, labels, _ in page.samples
              if name == "atelier_job_failed_timestamp_seconds"}
    assert failed == {(working.failed.removeprefix("jobs/"), "OUT_OF_MEMORY")}
    jobs = {labels["job"] for name, labels, _ in page.samples
            if "job" in labels and name != "atelier_job_failed_timestamp_seconds"}
    assert jobs == {working.running.removeprefix("jobs/")}
    assert page.value("atelier_jobs", state="completed") == 1
    assert page.value("atelier_jobs", state="training") == 1
    assert page.value("atelier_job_cores") == page.value("atelier_worker_cores_in_use") == 1
    assert page.value("atelier_job_resident_memory_bytes") > 10e6
    assert page.value("atelier_job_last_checkpoint_timestamp_seconds") <= time.time()


def test_classification_is_counted_by_version_and_code(working):
    before = Page(working)
    for _ in range(5):
        classify(working, "models/net", images=4)
    after = Page(working)
    labels = {"model": "net", "version": "1"}

    def grown(name, **more):
        return after.value(name, **labels, **more) - before.value(name, **labels, **more)

    assert grown("atelier_inference_requests_total", code="OK") == 5
    assert grown("atelier_inference_images_total") == 20
    assert grown("atelier_inference_request_duration_seconds_count") == 5
    assert grown("atelier_inference_batch_size_sum") == 20
    assert after.value("atelier_inference_in_flight", **labels) == 0
    assert after.value("atelier_model_load_duration_seconds", **labels) > 0
    # Numbers of two or four bytes, some of them perhaps twice in other layouts.
    numbers = working.finished.result.parameter_count
    assert 2 * numbers <= after.value("atelier_model_memory_bytes", **labels) <= 12 * numbers


def test_calls_are_counted_under_their_codes(working):
    page = Page(working)
    method = {"grpc_service": "atelier.v1.InferenceService", "grpc_method": "Classify",
              "grpc_type": "unary"}
    assert page.value("grpc_server_handled_total", grpc_code="NOT_FOUND", **method) >= 1
    handled = sum(page.values("grpc_server_handled_total", **method))
    assert page.value("grpc_server_started_total", **method) == handled
    assert page.value("grpc_server_handling_seconds_count", **method) == handled
    # The running job's worker is attached.
    worker = {"grpc_service": "atelier.worker.v1.WorkerService", "grpc_type": "bidi_stream"}
    assert page.value("grpc_server_started_total", **worker) \
        - sum(page.values("grpc_server_handled_total", **worker)) == 1


def test_calls_of_unknown_methods_leave_no_series(working):
    before = {(name, tuple(labels.items())) for name, labels, _ in Page(working).samples}
    for path in ("/atelier.v1.InferenceService/Nothing", "/no.Service/Get", "/x/y"):
        call = working.channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as failed:
            call(b"")
        assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
    after = {(name, tuple(labels.items())) for name, labels, _ in Page(working).samples}
    assert not [series for series in after - before if series[0].startswith("grpc_")]


def test_many_scrapes_at_once_and_slow_ones_are_harmless(working):
    host, port = working.metrics_address.split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(3)]
    for connection in slow:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")  # And then nothing.
    pages = []
    threads = [threading.Thread(target=lambda: pages.append(get(
        f"http://{working.metrics_address}/metrics"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    classify(working, "models/net")
    for thread in threads:
        thread.join(30)
    assert len(pages) == 16 and all("atelier_build_info{" in page for page in pages)
    assert re.search(r'atelier_build_info\{[^}]*libtorch="\d+\.\d+', pages[0]), pages[0][:2000]
    for connection in slow:
        connection.close()


def test_a_metrics_port_in_use_is_named_and_nothing_is_started(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        finished = subprocess.run(
            [str(harness.BIN / "atelierd"), "--listen=127.0.0.1:0", f"--metrics_listen={address}",
             f"--data_dir={tmp_path / 'data'}"], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert address in finished.stderr and "serving" not in finished.stdout


def test_counts_of_ended_jobs_survive_a_restart_and_follow_deletion(server):
    name = server.start_job("a", epochs=1)
    server.wait_job(name)
    server.stop()
    server.start()
    page = Page(server)
    assert page.value("atelier_jobs", state="completed") == 1
    assert page.value("atelier_job_transitions_total", state="completed", reason="COMPLETED") == 0
    server.training.DeleteJob(harness.training_pb.DeleteJobRequest(name=name))
    assert Page(server).value("atelier_jobs", state="completed") == 0


def test_a_killed_worker_is_counted(server):
    name = server.start_job("a", epochs=10000, patience=10000)
    server.wait_event(name, "epoch")
    for pid in server.worker_pids():
        subprocess.run(["kill", "-9", str(pid)], check=True)
    harness.wait_for(lambda: Page(server).value("atelier_workers_lost_total") == 1,
                     what="the lost worker to be counted")
    assert Page(server).value("atelier_job_transitions_total", state="queued",
                              reason="WORKER_LOST") == 1
