"""A job from the request to the model, and everything one can do to it meanwhile."""

import concurrent.futures
import json

import grpc
import pytest

import harness
from harness import kinds, state_names


def test_a_whole_job_passes_every_phase_and_makes_a_model(server):
    name = server.start_job("whole", epochs=3, model_name="whole")
    events = harness.Watcher(server, name).finish()

    assert state_names(events) == ["QUEUED", "STARTING", "PREPARING", "TRAINING", "EVALUATING",
                                   "STORING", "COMPLETED"]
    numbers = [e.number for e in events]
    assert numbers == sorted(set(numbers)) and numbers[0] >= 1
    epochs = kinds(events, "epoch")
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert epochs[-1].training_loss < epochs[0].training_loss
    assert kinds(events, "step") and kinds(events, "checkpoint")

    job = server.job(name)
    result = job.result
    assert result.parameter_count == 109386
    assert result.trainable_parameter_count == 109386
    assert result.best_epoch == min(epochs, key=lambda e: e.validation_loss).epoch
    assert 0.5 < result.test_accuracy <= 1 and result.test_loss > 0
    assert result.images_per_second > 0 and result.training_seconds > 0
    assert result.model_version == "models/whole/versions/1"
    assert kinds(events, "result")[0] == result
    assert [a.number for a in job.attempts] == [1]
    assert all(t.reason and t.message for t in job.transitions)

    matrix = server.training.GetConfusionMatrix(
        harness.training_pb.GetConfusionMatrixRequest(name=name))
    assert list(matrix.class_names) == harness.CLASS_NAMES
    assert sum(sum(row.counts) for row in matrix.rows) == 500
    right = sum(matrix.rows[i].counts[i] for i in range(10))
    assert right / 500 == pytest.approx(result.test_accuracy)
    assert sum(m.support for m in matrix.class_metrics) == 500

    model = server.models.GetModel(harness.model_pb.GetModelRequest(name="models/whole"))
    assert model.version_count == 1 and model.versions[0].result.test_accuracy == result.test_accuracy
    assert [(a.alias, a.version) for a in model.aliases] == [("latest", 1)]
    assert (server.data_dir / "models" / "whole" / "1" / "model.tar.gz").is_file()


def test_predictions_come_most_confidently_wrong_first_in_pages(shared_server):
    server = shared_server
    name = server.start_job("pages")
    server.wait_job(name)
    predictions, token = [], ""
    while True:
        page = server.training.GetPredictions(harness.training_pb.GetPredictionsRequest(
            name=name, page_size=130, page_token=token))
        predictions += page.predictions
        token = page.next_page_token
        if not token:
            break
    assert sorted(p.index for p in predictions) == list(range(500))
    wrong = [p for p in predictions if p.true_class != p.predicted_class]
    assert predictions[:len(wrong)] == wrong
    assert [p.probability for p in wrong] == sorted((p.probability for p in wrong), reverse=True)
    only = server.training.GetPredictions(harness.training_pb.GetPredictionsRequest(
        name=name, page_size=1000, wrong_only=True, true_class=6))
    assert list(only.predictions) == [p for p in wrong if p.true_class == 6]


def test_two_watchers_and_a_late_one_see_the_same_events(server):
    name = server.start_job("watched", epochs=4)
    first, second = harness.Watcher(server, name), harness.Watcher(server, name)
    seen = first.finish()
    assert second.finish() == seen
    assert server.events(name) == seen
    middle = seen[len(seen) // 2].number
    assert server.events(name, after=middle) == [e for e in seen if e.number > middle]
    only = list(server.training.StreamMetrics(
        harness.training_pb.StreamMetricsRequest(name=name, epochs_only=True)))
    assert only == [e for e in seen if e.WhichOneof("event") not in ("step", "resources")]


def test_resources_are_sampled_every_second(shared_server):
    server = shared_server
    name = server.start_job("sampled", preset="cnn-3", epochs=3)
    events = [e for e in server.events(name) if e.WhichOneof("event") == "resources"]
    samples = kinds(events, "resources")
    assert len(samples) >= 2
    for earlier, later in zip(samples, samples[1:]):
        assert later.cpu_seconds > earlier.cpu_seconds
        assert later.sent_bytes > earlier.sent_bytes
    # As busy as the machine let it be.
    seconds = (events[-1].time.ToNanoseconds() - events[-2].time.ToNanoseconds()) / 1e9
    busy = (samples[-1].cpu_seconds - samples[-2].cpu_seconds) / seconds
    assert samples[-1].cpu_utilization == pytest.approx(busy, rel=0.3, abs=0.1)
    assert samples[-1].peak_resident_bytes >= samples[-1].resident_bytes > 50 << 20
    assert samples[-1].received_bytes > 0


def test_a_queued_job_is_stopped_at_once(server):
    running = server.start_job("long", epochs=500, cores=2, patience=500)
    server.wait_job(running, "TRAINING")
    waiting = server.start_job("waiting", cores=2)
    assert server.job(waiting).queue_position == 0
    answer = server.training.StopJob(harness.training_pb.StopJobRequest(name=waiting))
    assert answer.state == harness.job_pb.JOB_STATE_STOPPED
    assert state_names(server.events(waiting)) == ["QUEUED", "STOPPED"]
    server.training.StopJob(harness.training_pb.StopJobRequest(name=running))
    server.wait_job(running, "STOPPED")


def test_a_job_stopped_before_its_first_epoch_leaves_no_model(server):
    name = server.start_job("early", dataset="fashion-mnist", preset="cnn-3", epochs=5)
    server.wait_event(name, "step")
    server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    job = server.wait_job(name)
    assert job.state == harness.job_pb.JOB_STATE_STOPPED and not job.HasField("result")
    with pytest.raises(grpc.RpcError) as raised:
        server.models.GetModel(harness.model_pb.GetModelRequest(name="models/cnn-3"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_job_stopped_later_keeps_what_it_learned_but_latest_does_not_follow(server):
    full = server.start_job("full", model_name="kept")
    server.wait_job(full)
    name = server.start_job("halfway", model_name="kept", epochs=500, patience=500)
    server.wait_event(name, "epoch")
    server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    job = server.wait_job(name)
    assert state_names(server.events(name))[-4:] == ["STOPPING", "EVALUATING", "STORING", "STOPPED"] \
        or state_names(server.events(name))[-2:] == ["STOPPING", "STOPPED"]
    assert job.result.stopped_early and 0 < job.result.test_accuracy <= 1
    model = server.models.GetModel(harness.model_pb.GetModelRequest(name="models/kept"))
    assert [(a.alias, a.version) for a in model.aliases] == [("latest", 1)]
    assert job.result.model_version == "models/kept/versions/2"
    # Stopping it again changes nothing.
    again = server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    assert again.state == harness.job_pb.JOB_STATE_STOPPED


@pytest.mark.parametrize("state", ["STARTING", "PREPARING", "TRAINING", "EVALUATING", "STORING"])
def test_a_stop_in_any_state_ends_the_job(server, state):
    name = server.start_job("stop", epochs=2, dataset="fashion-mnist")
    wanted = getattr(harness.job_pb, f"JOB_STATE_{state}")
    server.events(name, until=lambda e: e.transition.state == wanted)
    try:
        server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    except grpc.RpcError as error:  # It was faster than we were.
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert harness.error_details(error)[1].reason == "JOB_ENDED"
    job = server.wait_job(name)
    assert job.state in (harness.job_pb.JOB_STATE_STOPPED, harness.job_pb.JOB_STATE_COMPLETED)
    assert not server.worker_pids() or harness.wait_for(lambda: not server.worker_pids(), 10)


def test_stopping_and_deleting_in_the_wrong_state_is_refused(server):
    name = server.start_job("states", epochs=500, patience=500)
    with pytest.raises(grpc.RpcError) as raised:
        server.training.DeleteJob(harness.training_pb.DeleteJobRequest(name=name))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert harness.error_details(raised.value)[1].reason == "JOB_NOT_ENDED"
    with pytest.raises(grpc.RpcError) as raised:
        server.training.GetConfusionMatrix(
            harness.training_pb.GetConfusionMatrixRequest(name=name))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert harness.error_details(raised.value)[1].reason == "NOT_EVALUATED"
    server.wait_event(name, "epoch")
    server.training.StopJob(harness.training_pb.StopJobRequest(name=name))
    server.wait_job(name)
    server.training.DeleteJob(harness.training_pb.DeleteJobRequest(name=name))
    with pytest.raises(grpc.RpcError) as raised:
        server.job(name)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert not (server.data_dir / name).exists()

    done = server.start_job("done")
    server.wait_job(done)
    with pytest.raises(grpc.RpcError) as raised:
        server.training.StopJob(harness.training_pb.StopJobRequest(name=done))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_repeated_request_id_starts_one_job(server):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        names = {future.result() for future in
                 [pool.submit(server.start_job, "once", "id-1") for _ in range(8)]}
    assert len(names) == 1
    with pytest.raises(grpc.RpcError) as raised:
        server.start_job("once", "id-1", epochs=9)
    assert raised.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert harness.error_details(raised.value)[1].reason == "REQUEST_ID_REUSED"


def test_a_full_queue_refuses_and_keeps_what_it_has(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--max_queued_jobs=2"]) as server:
        running = server.start_job("running", epochs=500, cores=2, patience=500)
        server.wait_job(running, "TRAINING")
        names = [server.start_job(f"queued-{i}", cores=2) for i in range(2)]
        with pytest.raises(grpc.RpcError) as raised:
            server.start_job("refused")
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert harness.error_details(raised.value)[1].reason == "QUEUE_FULL"
        listed = server.training.ListJobs(harness.training_pb.ListJobsRequest()).jobs
        assert [job.name for job in listed] == [*reversed(names), running]


def test_higher_priority_leaves_the_queue_first(server):
    running = server.start_job("running", epochs=500, cores=2, patience=500)
    server.wait_job(running, "TRAINING")
    low = server.start_job("low", cores=2, epochs=1)
    high = server.start_job("high", cores=2, epochs=1, priority=5)
    server.training.StopJob(harness.training_pb.StopJobRequest(name=running))
    server.wait_job(high)
    low_start = server.wait_job(low).attempts[0].start_time
    assert server.job(high).attempts[0].start_time.ToNanoseconds() < low_start.ToNanoseconds()


def test_same_seed_same_weights_other_seed_other_weights(shared_server):
    server = shared_server
    results = []
    for seed in (3, 3, 4):
        name = server.start_job(f"seed-{seed}", preset="cnn-1", seed=seed, epochs=1)
        results.append(server.wait_job(name).result)
    assert results[0].test_loss == results[1].test_loss
    assert results[0].test_loss != results[2].test_loss


def test_the_log_of_a_worker_can_be_read(shared_server):
    server = shared_server
    name = server.start_job("logged")
    chunks = list(server.training.StreamLogs(
        harness.training_pb.StreamLogsRequest(name=name, follow=True), timeout=60))
    text = b"".join(chunk.text for chunk in chunks).decode()
    assert "epoch" in text and {chunk.attempt for chunk in chunks} == {1}
    again = list(server.training.StreamLogs(harness.training_pb.StreamLogsRequest(name=name)))
    assert b"".join(chunk.text for chunk in again).decode().startswith(text[:200])


def test_metadata_in_the_archive_uses_the_same_words(server):
    import tarfile
    name = server.start_job("archive", model_name="archive")
    result = server.wait_job(name).result
    path = server.data_dir / "models" / "archive" / "1" / "model.tar.gz"
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
        assert {"model.pt", "class_names.json", "metadata.json", "metrics.jsonl",
                "confusion_matrix.json"} <= names
        metadata = json.load(archive.extractfile("metadata.json"))
        assert json.load(archive.extractfile("class_names.json")) == harness.CLASS_NAMES
        epochs = [json.loads(line) for line in archive.extractfile("metrics.jsonl")]
    text = json.dumps(metadata)
    for word in ("test_accuracy", "test_loss", "parameter_count", "trainable_parameter_count",
                 "best_epoch", "training_seconds", "images_per_second", "seed"):
        assert f'"{word}"' in text, word
    assert [e["epoch"] for e in epochs] == [1, 2]
    assert f"{result.parameter_count}" in text
