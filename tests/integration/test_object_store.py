"""What outlives a job is kept in an S3-compatible store: `atelierd --artifacts=s3://…`."""
import hashlib
import io
import shutil
import subprocess
import tarfile

import pytest

import fake_s3
import harness
import npz
from harness import BIN, DONE, ERROR, Server, wait_for
from metrics_page import Page

open_pb = harness.importlib.import_module("inference.grpc_service_pb2")
open_grpc = harness.importlib.import_module("inference.grpc_service_pb2_grpc")

PREFIX = "team/ä b+c=d&e@f%g"


@pytest.fixture
def s3(monkeypatch, tmp_path):
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", fake_s3.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", fake_s3.SECRET)
    store = fake_s3.FakeS3()
    yield store
    store.stop()


def flags(s3, *further):
    return [f"--artifacts=s3://{fake_s3.BUCKET}/{PREFIX}", f"--s3_endpoint={s3.url}", *further]


@pytest.fixture
def kept(s3, data_dir, small_dataset):
    """A server whose artifacts go to the store."""
    with Server(data_dir, {"small": small_dataset}, flags(s3)) as running:
        yield running


def bare(job):
    return job.name.removeprefix("jobs/")


def stored(s3, key, timeout=30):
    """The object's bytes, once they are there."""
    return wait_for(lambda: s3.objects.get(f"{PREFIX}/{key}"), timeout, f"{key} to be uploaded")[0]


def archive_key(job):
    return f"{bare(job)}/output/model.tar.gz"


def wait_nothing_pending(server):
    wait_for(lambda: Page(server).value("atelier_objects_pending") == 0, what="all to be uploaded")


def lose_local(server, *names):
    """What a new disk has not."""
    for name in names:
        shutil.rmtree(server.data_dir / name)


def refused(data_dir, *further):
    """What the server says that does not start."""
    command = [str(BIN / "atelierd"), "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0",
               f"--data_dir={data_dir}", *further]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1, finished
    return finished.stderr


def push(server, tmp_path):
    npz.npz(tmp_path / "digits.npz", images=((40, 8, 8), bytes(i * 37 % 251 for i in range(2560))),
            labels=((40,), bytes(i % 2 for i in range(40))))
    server.run("datasets", "push", "digits", tmp_path / "digits.npz", check=DONE)


def test_archives_and_logs_are_uploaded_and_show_names_the_place(s3, kept):
    job = kept.wait_job(kept.start_job("first", model_name="first"))
    archive = stored(s3, archive_key(job))
    assert hashlib.sha256(archive).hexdigest() == kept.json("models", "first@1")[0]["sha256"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert "model.pt" in tar.getnames()
    uri = f"s3://{fake_s3.BUCKET}/{PREFIX}/{archive_key(job)}"
    assert job.result.archive_uri == uri
    assert uri in kept.run("show", bare(job), check=DONE).stdout.replace("\n", "")
    assert uri in kept.run("models", "first@1", check=DONE).stdout.replace("\n", "")
    assert stored(s3, f"{bare(job)}/logs/1/worker.log") == (
        kept.data_dir / "jobs" / bare(job) / "attempts/1/worker.log").read_bytes()
    wait_nothing_pending(kept)
    page = Page(kept)
    assert page.value("atelier_object_operations_total", operation="upload", result="done") >= 3
    assert page.value("atelier_object_bytes_total", direction="up") >= len(archive)


def test_a_server_without_its_files_gets_them_back(s3, kept, tmp_path):
    push(kept, tmp_path)
    job = kept.wait_job(kept.start_job("first", model_name="first", epochs=2))
    log = kept.run("logs", bare(job), check=DONE).stdout
    kept.run("download", "first", "-o", tmp_path / "before", check=DONE)
    stored(s3, f"{bare(job)}/logs/1/worker.log")
    wait_for(lambda: any(f"{bare(job)}/checkpoints/" in key for key in s3.objects), what="a checkpoint")
    wait_nothing_pending(kept)
    kept.stop()
    lose_local(kept, "models", "datasets", "jobs", "checkpoints")
    kept.start()
    kept.run("download", "first", "-o", tmp_path / "after", check=DONE)
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
    assert kept.run("logs", bare(job), check=DONE).stdout == log
    kept.run("classify", "--model=first", "--test-image", 0, check=DONE)
    kept.run("datasets", "images", "digits", "-o", tmp_path / "sheet.png", check=DONE)
    lose_local(kept, "models", "datasets")
    kept.wait_job(kept.start_job("second", dataset="digits", batch_size=8), "COMPLETED")
    continued = kept.json("continue", bare(job), "--epochs", "+1")[-1]
    assert continued["state"] == "JOB_STATE_COMPLETED"
    assert Page(kept).value("atelier_object_operations_total", operation="fetch", result="done") >= 4


def test_a_store_that_is_away_holds_up_nothing_and_loses_nothing(s3, data_dir, small_dataset, tmp_path):
    s3.stop()
    with Server(data_dir, {"small": small_dataset}, flags(s3)) as server:
        job = server.wait_job(server.start_job("first", model_name="first"), "COMPLETED")
        server.run("download", "first", "-o", tmp_path / "model", check=DONE)
        assert Page(server).value("atelier_objects_pending") >= 1
        assert "is tried again" in server.log.read_text()
        server.kill()
        server.start()
        s3.start()
        assert stored(s3, archive_key(job), 60) == (tmp_path / "model").read_bytes()
        wait_nothing_pending(server)


def test_uploads_go_on_after_kills_of_the_server(s3, kept):
    refuse = [5]

    def script(call):
        if call.method != "PUT" or "model.tar.gz" not in call.key or not refuse[0]:
            return None
        refuse[0] -= 1
        return ("503", 1) if refuse[0] % 2 else "drop"

    s3.script = script
    job = kept.wait_job(kept.start_job("first"), "COMPLETED")
    for _ in range(2):
        before = s3.count("PUT", "model.tar.gz")
        wait_for(lambda: s3.count("PUT", "model.tar.gz") > before, what="another try")
        kept.kill()
        kept.start()
    stored(s3, archive_key(job), 60)
    wait_nothing_pending(kept)
    assert refuse == [0]


def test_a_lost_answer_to_an_upload_is_made_good(s3, kept):
    lost = []

    def script(call):
        if call.method == "PUT" and "model.tar.gz" in call.key and not lost:
            lost.append(call)
            return "lose answer"
        return None

    s3.script = script
    kept.wait_job(kept.start_job("first"), "COMPLETED")
    wait_nothing_pending(kept)
    assert lost


@pytest.mark.parametrize("lie", ["damage", "shorten", "promise more", "send more", "truncate", 500])
def test_a_store_that_lies_is_not_believed(s3, kept, tmp_path, lie):
    kept.wait_job(kept.start_job("first", model_name="first"), "COMPLETED")
    kept.run("download", "first", "-o", tmp_path / "before", check=DONE)
    wait_nothing_pending(kept)
    lose_local(kept, "models")
    s3.script = lambda call: lie if call.method == "GET" and "model.tar.gz" in call.key else None
    failed = kept.run("download", "first", "-o", tmp_path / "after", check=ERROR)
    assert "cannot be brought back from the object store" in failed.stderr
    assert not (kept.data_dir / "models/first/1/model.tar.gz").exists()
    s3.script = lambda call: None
    wait_for(lambda: kept.run("download", "first", "-o", tmp_path / "after").returncode == DONE)
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


def test_a_job_whose_data_set_is_away_waits_and_others_do_not(s3, kept, tmp_path):
    push(kept, tmp_path)
    wait_nothing_pending(kept)
    lose_local(kept, "datasets")
    s3.script = lambda call: 503 if call.method == "GET" else None
    waiting = kept.start_job("waiting", dataset="digits", batch_size=8)
    kept.wait_job(kept.start_job("other"), "COMPLETED")
    reason = wait_for(lambda: kept.job(waiting).waiting_reason, what="a reason")
    assert "object store" in reason
    assert kept.job(waiting).queue_position == 0
    stopped = kept.start_job("stopped", dataset="digits", batch_size=8)
    wait_for(lambda: kept.job(stopped).waiting_reason, what="a reason")
    kept.run("stop", stopped, check=DONE)
    kept.wait_job(stopped, "STOPPED")
    s3.script = lambda call: None
    kept.wait_job(waiting, "COMPLETED")


def test_deleting_removes_the_objects_also_if_the_store_is_away_then(s3, kept, tmp_path):
    push(kept, tmp_path)
    job = kept.wait_job(kept.start_job("first", model_name="first"), "COMPLETED")
    stored(s3, archive_key(job))
    wait_nothing_pending(kept)
    s3.stop()
    kept.run("delete", bare(job), check=DONE)
    kept.run("delete", "first@1", "--force", check=DONE)
    kept.run("datasets", "delete", "digits", check=DONE)
    kept.kill()
    kept.start()
    s3.start()
    left = lambda: [k for k in s3.objects if bare(job) in k or "/datasets/" in k]  # noqa: E731
    wait_for(lambda: not left(), 90, "the objects to be removed")
    assert f"{PREFIX}/atelier-server" in s3.objects


def test_two_servers_with_one_prefix_are_refused(s3, kept, tmp_path):
    said = refused(tmp_path / "other", *flags(s3))
    assert "belongs to another server" in said and "a prefix of its own" in said


def test_models_from_before_are_uploaded(s3, data_dir, small_dataset):
    with Server(data_dir, {"small": small_dataset}) as server:
        job = server.wait_job(server.start_job("first"), "COMPLETED")
        assert not job.result.archive_uri
        server.stop()
        server.flags = flags(s3)
        server.start()
        stored(s3, archive_key(job))


def test_keys_may_be_changed_while_the_server_runs(s3, data_dir, small_dataset, monkeypatch, tmp_path):
    profile = "[lab]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    credentials = tmp_path / "credentials"
    credentials.write_text(profile.format(fake_s3.KEY, fake_s3.SECRET))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    with Server(data_dir, {"small": small_dataset}, flags(s3)) as server:
        credentials.write_text(profile.format("old", "old"))
        job = server.wait_job(server.start_job("first"), "COMPLETED")
        wait_for(lambda: "InvalidAccessKeyId" in server.log.read_text(), what="the refusal")
        credentials.write_text(profile.format(fake_s3.KEY, fake_s3.SECRET))
        stored(s3, archive_key(job), 60)


def test_a_store_that_cannot_be_used_is_refused_at_start(s3, data_dir, monkeypatch):
    def said(*further):
        return refused(data_dir, *further)

    assert "make the bucket first" in said("--artifacts=s3://other", f"--s3_endpoint={s3.url}")
    s3.read_only = True
    assert "cannot be written to" in said(*flags(s3))
    s3.read_only, s3.skewed = False, True
    assert "set this machine's clock" in said(*flags(s3))
    s3.skewed = False
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "the secret key is not that of the access key" in said(*flags(s3))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    assert "does not know the access key" in said(*flags(s3))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set" in said(*flags(s3))
    assert not s3.objects


def test_wrong_flags_are_named(data_dir):
    assert "--artifacts: '/srv' is not s3://" in refused(data_dir, "--artifacts=/srv")
    assert "--s3_region: it has no effect" in refused(data_dir, "--s3_region=eu-west-1")
    assert "--s3_endpoint: 'store'" in refused(data_dir, "--artifacts=s3://bucket", "--s3_endpoint=store")


# Serving replicas.

def replica_flags(s3):
    return ["--role=serving", f"--registry=s3://{fake_s3.BUCKET}/{PREFIX}", f"--s3_endpoint={s3.url}"]


def test_a_replica_follows_the_store_and_outlives_it(s3, kept, tmp_path):
    jobs = [kept.wait_job(kept.start_job("net", model_name="net", epochs=1, seed=seed)) for seed in (1, 2)]
    kept.run("alias", "net@1", "production", check=DONE)
    stored(s3, archive_key(jobs[1]))
    stored(s3, "registry.pb")
    wait_nothing_pending(kept)
    with Server(tmp_path / "replica", flags=replica_flags(s3)) as replica:
        assert replica.answering("net") == 2
        wait_for(lambda: replica.answering("net", "production") == 1, 20, "the alias to be published")
        kept.run("alias", "net@2", "production", check=DONE)
        wait_for(lambda: replica.answering("net", "production") == 2, 20, "the alias to be followed")
        assert len(list((tmp_path / "replica" / "archives").iterdir())) == 2
        s3.stop()
        wait_for(lambda: Page(replica).value(
            "atelier_replica_registry_unreadable_since_timestamp_seconds"), 20, "it to be noticed")
        assert replica.answering("net") == 2
        replica.stop()
        replica.start()
        assert replica.answering("net", "production") == 2, "by what it keeps"
        s3.start()
        kept.run("alias", "net@1", "production", check=DONE)
        wait_for(lambda: replica.answering("net", "production") == 1, 30, "the store to be followed again")
        assert s3.count("GET", "model.tar.gz") == 2, "each archive was fetched once"


def test_a_replica_refuses_damaged_archives(s3, kept, tmp_path):
    job = kept.wait_job(kept.start_job("net", model_name="net", epochs=1))
    stored(s3, archive_key(job))
    stored(s3, "registry.pb")
    wait_nothing_pending(kept)
    key = f"{PREFIX}/{archive_key(job)}"
    archive = s3.objects[key]
    s3.objects[key] = (bytes(len(archive[0])), *archive[1:])
    with Server(tmp_path / "replica", flags=replica_flags(s3)) as replica:
        assert "other bytes than were stored" in replica.answering("net").details()
        s3.objects[key] = archive
        wait_for(lambda: replica.answering("net") == 1, 20, "the archive to be asked for again")


def test_an_archive_that_is_only_in_the_store_is_classified_with(s3, kept):
    job = kept.wait_job(kept.start_job("net", model_name="net", epochs=1))
    stored(s3, archive_key(job))
    wait_nothing_pending(kept)
    kept.stop()
    lose_local(kept, "models")
    kept.start()
    stub = open_grpc.GRPCInferenceServiceStub(kept.channel)
    assert stub.ModelReady(open_pb.ModelReadyRequest(name="net")).ready, "it answers when it is asked"
    assert kept.answering("net") == 1
