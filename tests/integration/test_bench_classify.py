"""`atelier bench classify` against the real server."""

import json
import signal
import subprocess

import pytest

import harness


@pytest.fixture(scope="module")
def trained(shared_server):
    shared_server.wait_job(shared_server.start_job("bench", model_name="bench", epochs=1))
    return shared_server


def bench(server, *arguments, check=harness.DONE):
    measured, = server.json("bench", "classify", "bench", "--warmup=0.1", *arguments, check=check)
    return measured


def requests_answered(server):
    answer, = server.json("top")
    return sum(sample["value"] for sample in answer["samples"]
               if sample["name"] == "atelier_inference_requests_total")


def test_a_closed_loop_measures_throughput_and_latency(trained):
    measured = bench(trained, "--concurrency=8", "--duration=0.5", "--images=2")
    assert measured["answered"] == measured["sent"] > 0 and measured["errors"] == {}
    assert measured["images_per_second"] == pytest.approx(2 * measured["requests_per_second"])
    latency = measured["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    # The server's part of an answer's time cannot be more than all of it.
    parts = sum(measured[f"{part}_ms"]["mean"] for part in ("queue", "compute", "rest"))
    assert parts == pytest.approx(latency["mean"], abs=0.01)
    assert measured["compute_ms"]["mean"] > 0
    assert measured["versions"] == {"models/bench/versions/1": measured["answered"]}


def test_an_open_loop_sends_at_its_rate_with_images_of_the_test_set(trained):
    measured = bench(trained, "--rate=100", "--duration=1", "--dataset=small")
    assert measured["loop"] == "open" and measured["not_sent"] == 0
    assert 70 <= measured["sent"] <= 130
    assert measured["answered"] == measured["sent"]


def test_overload_with_deadlines_is_counted_by_code(trained):
    measured = bench(trained, "--rate=20000", "--max-in-flight=2000", "--images=64",
                     "--deadline=0.02", "--duration=0.5", check=None)
    assert set(measured["errors"]) <= {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
    assert measured["failed"] + measured["not_sent"] > 0
    assert measured["sent"] == measured["answered"] + measured["failed"]


def test_ctrl_c_prints_what_was_measured(trained):
    client = subprocess.Popen(
        [str(harness.BIN / "atelier"), f"--server={trained.address}", "--output=json", "bench",
         "classify", "bench", "--warmup=0", "--duration=3600"], stdout=subprocess.PIPE, text=True)
    before = requests_answered(trained)
    harness.wait_for(lambda: requests_answered(trained) > before + 100, 30)
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=30)
    assert client.returncode == 130
    measured = json.loads(out)
    assert measured["complete"] is False and measured["answered"] > 0


def test_mistakes_are_told_before_anything_is_measured(trained):
    for arguments, code in [(["none"], harness.NOT_FOUND), (["bench@9"], harness.NOT_FOUND),
                            (["bench", "--rate=0"], harness.ERROR),
                            (["bench", "--rate=1", "--concurrency=1"], harness.ERROR),
                            (["bench", "--dataset=none"], harness.NOT_FOUND),
                            (["bench", "--images=4097"], harness.ERROR), ([], harness.ERROR)]:
        ended = trained.run("bench", "classify", *arguments, check=code)
        assert ended.stdout == "" and ended.stderr.count("\n") == 1, ended
    assert "bench classify --help" in trained.run("bench", "classify").stderr
