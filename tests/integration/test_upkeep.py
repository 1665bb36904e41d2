"""Checking, repairing, backing up and restoring data directories, with the real programs."""

import hashlib
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile

import grpc
import pytest

import harness
from npz import npz
from test_access import Guarded, refusal

admin_pb = harness.proto("admin_service")
STORED = harness.ROOT / "tests" / "data" / "data-directory-0.1.0.tar.gz"


def atelierd(*flags, timeout=120):
    return subprocess.run([str(harness.BIN / "atelierd"), *map(str, flags)], capture_output=True,
                          text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def check(data_dir, *flags, sound):
    """Runs --check, or what `flags` say; returns the report."""
    ended = atelierd(f"--data_dir={data_dir}", *(flags or ["--check"]))
    assert ended.returncode == (0 if sound else 1), ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory, small_dataset):
    """A data directory with two versions of a model, a pushed data set, checkpoints, logs, and a part of
    an upload; no server uses it."""
    folder = tmp_path_factory.mktemp("filled")
    arrays = npz(folder / "noise.npz", x_train=((40, 8, 8), bytes(range(256)) * 10),
                 y_train=((40,), bytes(i % 2 for i in range(40))),
                 x_test=((10, 8, 8), bytes(range(128)) * 5),
                 y_test=((10,), bytes(i % 2 for i in range(10))))
    with harness.Server(folder / "data", datasets={"small": small_dataset}) as server:
        for base in ("first", "second"):
            server.wait_job(server.start_job(base, model_name="model"))
        server.run("datasets", "push", "noise", arrays, check=harness.DONE)
        server.dataset_service.CreateUpload(harness.dataset_pb.CreateUploadRequest(
            dataset="datasets/other", size_bytes=1000, sha256=hashlib.sha256(b"x").hexdigest(),
            source_name="other"))
    return folder / "data"


@pytest.fixture
def copy(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "copy")


def archive(data_dir, version=1):
    return data_dir / "models" / "model" / str(version) / "model.tar.gz"


def files_of(data_dir):
    return {str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if path.is_file()}


def test_a_directory_that_was_used_is_sound(filled):
    before = files_of(filled)
    report = check(filled, sound=True)
    assert "models: 2 versions sound" in report and "data sets: 1 versions sound" in report
    assert "The data directory is sound." in report
    assert files_of(filled) == before


def test_a_directory_of_0_1_0_is_sound(tmp_path):
    with tarfile.open(STORED) as stored:
        stored.extractall(tmp_path)
    report = check(tmp_path / "data", sound=True)
    assert "models: 4 versions sound" in report
    assert "models: 4 versions sound" in check(tmp_path / "data", "--repair", sound=True)


def test_a_directory_whose_server_was_killed_in_a_training_is_sound(data_dir, small_dataset):
    with harness.Server(data_dir, datasets={"small": small_dataset}) as server:
        job = server.start_job(epochs=200, patience=200)
        server.wait_event(job, "epoch")
        server.kill()
        server.kill_workers()
        check(data_dir, sound=True)
        server.start()
        server.run("stop", job.removeprefix("jobs/"), check=harness.DONE)
        server.wait_job(job, "STOPPED")


def test_a_running_server_keeps_others_off(server, tmp_path):
    for flags in (["--check"], ["--repair"], [f"--restore={tmp_path / 'x'}"]):
        assert "in use by another server" in check(server.data_dir, *flags, sound=False)


@pytest.mark.parametrize("missing", ["nothing", "a file"])
def test_what_is_no_data_directory_stays_as_it_is(tmp_path, missing):
    folder = tmp_path / "folder"
    if missing == "a file":
        folder.mkdir()
        (folder / "mine").write_text("mine")
    assert "is no data directory" in check(folder, sound=False)
    assert folder.exists() == (missing == "a file")


def test_an_archive_with_a_flipped_bit_is_found(copy):
    content = bytearray(archive(copy).read_bytes())
    content[len(content) // 2] ^= 1
    archive(copy).write_bytes(content)
    report = check(copy, sound=False)
    assert "problem: model model@1" in report and "another" in report
    assert "1 of 1 problems remain." in report
    assert "not mended: put a copy back" in check(copy, "--repair", sound=False)
    assert archive(copy).read_bytes() == content


def test_rows_without_files_are_found_and_stay(copy):
    archive(copy, 2).unlink()
    (copy / "datasets" / "noise" / "1" / "packed.dataset").unlink()
    report = check(copy, "--repair", sound=False)
    assert "problem: model model@2" in report and "problem: data set noise@1" in report
    with harness.Server(copy) as server:
        assert server.run("models", "model", check=harness.DONE).stdout.count("model@") >= 1


def test_a_data_set_with_a_flipped_bit_is_found(copy):
    packed = copy / "datasets" / "noise" / "1" / "packed.dataset"
    content = bytearray(packed.read_bytes())
    content[100] ^= 1
    packed.write_bytes(content)
    assert "problem: data set noise@1" in check(copy, sound=False)


def test_files_without_rows_are_moved_and_never_deleted(copy):
    for path in ("models/model/7/model.tar.gz", "models/gone/1/model.tar.gz",
                 "datasets/gone/2/packed.dataset", "jobs/gone-20260101-000000/attempts/1/worker.log",
                 "checkpoints/gone-20260101-000000/checkpoint-1.ckpt"):
        (copy / path).parent.mkdir(parents=True)
        (copy / path).write_text(path)
    report = check(copy, sound=False)
    assert report.count("problem: ") == 5 and "--repair mends 5 of them" in report
    report = check(copy, "--repair", sound=True)
    assert report.count("mended: moved to recovered/") == 5
    for path in ("models/model/7/model.tar.gz", "models/gone/1/model.tar.gz",
                 "datasets/gone/2/packed.dataset", "jobs/gone-20260101-000000/attempts/1/worker.log",
                 "checkpoints/gone-20260101-000000/checkpoint-1.ckpt"):
        assert (copy / "recovered" / path).read_text() == path
    check(copy, sound=True)


def test_a_second_repair_overwrites_nothing_that_the_first_moved(copy):
    for content in ("first", "second"):
        orphan = copy / "models" / "model" / "7"
        orphan.mkdir()
        (orphan / "model.tar.gz").write_text(content)
        check(copy, "--repair", sound=True)
    moved = copy / "recovered" / "models" / "model"
    assert (moved / "7" / "model.tar.gz").read_text() == "first"
    assert (moved / "7.2" / "model.tar.gz").read_text() == "second"


def test_an_upload_that_is_not_what_was_announced_is_moved(copy):
    upload, = (copy / "uploads").iterdir()
    (upload / "content").write_bytes(bytes(1000))
    assert "its content is not what was announced" in check(copy, sound=False)
    check(copy, "--repair", sound=True)
    assert (copy / "recovered" / "uploads" / upload.name / "content").read_bytes() == bytes(1000)


def test_missing_and_wrong_indexes_are_made_anew(copy):
    with sqlite3.connect(copy / "atelier.db") as database:
        database.execute("DROP INDEX unfinished_jobs")
    report = check(copy, sound=False)
    assert "the index unfinished_jobs is missing" in report
    check(copy, "--repair", sound=True)
    check(copy, sound=True)


def test_a_missing_table_is_told_and_not_invented(copy):
    with sqlite3.connect(copy / "atelier.db") as database:
        database.execute("DROP TABLE evaluations")
    report = check(copy, "--repair", sound=False)
    assert "the table evaluations is missing" in report and "restore a backup" in report


def test_a_damaged_database_is_told_and_files_are_left_alone(copy):
    database = copy / "atelier.db"
    content = bytearray(database.read_bytes())
    content[8192:len(content) // 2] = os.urandom(len(content) // 2 - 8192)
    database.write_bytes(content)
    before = files_of(copy) - {"atelier.db-wal", "atelier.db-shm", "atelierd.lock"}
    said = check(copy, "--repair", sound=False)
    assert "database" in said and "damaged" in said or "malformed" in said
    assert files_of(copy) - {"atelier.db-wal", "atelier.db-shm", "atelierd.lock"} == before


def test_a_notice_that_waits_for_an_ended_job_is_sent_after_a_repair(copy):
    with sqlite3.connect(copy / "atelier.db") as database:
        job, = database.execute("SELECT id FROM jobs LIMIT 1").fetchone()
        database.execute("INSERT INTO notices (job, url) VALUES (?, 'http://127.0.0.1:1/')", (job,))
    assert "waits for the end of a job that has ended" in check(copy, sound=False)
    check(copy, "--repair", sound=True)
    with sqlite3.connect(copy / "atelier.db") as database:
        due, data = database.execute("SELECT due, data FROM notices").fetchone()
    assert due > 0 and harness.job_pb.TrainingJob.FromString(data).name == f"jobs/{job}"


# Backup and restore.

@pytest.fixture
def backup(copy, tmp_path):
    """A backup of a server that runs, and the server's directory."""
    with harness.Server(copy) as server:
        server.run("admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
    return tmp_path / "backup.tar"


def restore(file, data_dir, sound=True):
    return check(data_dir, f"--restore={file}", sound=sound)


def test_what_is_restored_is_what_was_backed_up(backup, filled, tmp_path):
    said = restore(backup, tmp_path / "restored")
    assert "Restored" in said
    check(tmp_path / "restored", sound=True)
    assert archive(tmp_path / "restored").read_bytes() == archive(filled).read_bytes()
    logs = {path for path in files_of(filled) if path.endswith(("worker.log", ".ckpt"))}
    assert logs and logs <= files_of(tmp_path / "restored")
    with harness.Server(tmp_path / "restored") as server:
        assert len(server.training.ListJobs(harness.training_pb.ListJobsRequest()).jobs) == 3
        assert server.json("datasets", "show", "noise")[0]["versions"] == ["1"]


def test_a_backup_in_a_training_restores_to_a_training_that_ends(data_dir, small_dataset, tmp_path):
    """The backup's job is not the running one: its server must leave that one's worker alone."""
    spec = dict(preset="cnn-1", epochs=60, patience=60, seed=3)
    with harness.Server(data_dir, datasets={"small": small_dataset}) as server:
        job = server.start_job("calm", **spec)
        server.wait_event(job, "epoch")
        server.run("admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
        restore(tmp_path / "backup.tar", tmp_path / "restored")
        check(tmp_path / "restored", sound=True)
        with harness.Server(tmp_path / "restored", datasets={"small": small_dataset}) as other:
            ended = other.wait_job(job)
            assert ended.state == harness.job_pb.JOB_STATE_COMPLETED
            assert len(ended.attempts) == 2
            original = server.wait_job(job)
            assert original.state == harness.job_pb.JOB_STATE_COMPLETED
            assert len(original.attempts) == 1
            assert ended.result.test_loss == original.result.test_loss


def test_a_server_goes_on_while_it_is_backed_up(server, tmp_path):
    """What is deleted in a backup is in it; the server's next backup does without."""
    server.wait_job(server.start_job("first", model_name="model"))
    stub = harness.stubs("admin_service").AdminServiceStub(server.channel)
    stream = stub.Backup(admin_pb.BackupRequest())
    received = [next(stream)]
    with pytest.raises(grpc.RpcError) as second:
        list(stub.Backup(admin_pb.BackupRequest()))
    assert harness.error_details(second.value)[1].reason == "BACKUP_RUNNING"
    server.run("delete", "model", "--force", check=harness.DONE)
    received += list(stream)
    content = b"".join(chunk.data for chunk in received)
    assert hashlib.sha256(content).hexdigest() == received[-1].sha256
    (tmp_path / "backup.tar").write_bytes(content)
    restore(tmp_path / "backup.tar", tmp_path / "restored")
    assert "models: 1 versions sound" in check(tmp_path / "restored", sound=True)
    harness.wait_for(lambda: not (server.data_dir / "backup").exists(), what="the links to go")


def pad(data_dir, size):
    """Makes a log longer, so that a backup takes its time."""
    log = next((data_dir / "jobs").glob("*/attempts/1/worker.log"))
    with open(log, "ab") as file:
        file.truncate(size)


def test_a_server_that_is_killed_in_a_backup_leaves_no_backup(copy, tmp_path):
    pad(copy, 300 << 20)
    with harness.Server(copy) as server:
        client = subprocess.Popen(
            [str(harness.BIN / "atelier"), f"--server={server.address}", "admin", "backup",
             str(tmp_path / "backup.tar")], stderr=subprocess.PIPE, text=True)
        harness.wait_for(lambda: any(path.stat().st_size > 0 for path in tmp_path.glob("backup.tar.*")),
                         what="the first bytes")
        server.kill()
        assert client.wait(60) == harness.ERROR, client.stderr.read()
        client.stderr.close()
        assert not list(tmp_path.glob("backup.tar*"))
        assert (copy / "backup").exists()
        check(copy, sound=True)
        server.start()
        assert not (copy / "backup").exists()
        server.run("admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
        again = server.run("admin", "backup", tmp_path / "backup.tar", check=harness.ERROR)
        assert "exists" in again.stderr
    restore(tmp_path / "backup.tar", tmp_path / "restored")
    check(tmp_path / "restored", sound=True)


def test_who_cancels_a_backup_leaves_no_links(copy):
    pad(copy, 300 << 20)
    with harness.Server(copy) as server:
        stub = harness.stubs("admin_service").AdminServiceStub(server.channel)
        stream = stub.Backup(admin_pb.BackupRequest())
        next(stream)
        assert (copy / "backup").exists()
        stream.cancel()
        harness.wait_for(lambda: not (copy / "backup").exists(), what="the links to go")


def test_a_restore_that_is_killed_is_begun_anew(copy, tmp_path):
    pad(copy, 300 << 20)
    with harness.Server(copy) as server:
        server.run("admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
    target = tmp_path / "restored"
    process = subprocess.Popen([str(harness.BIN / "atelierd"), f"--data_dir={target}",
                                f"--restore={tmp_path / 'backup.tar'}"], stdout=subprocess.DEVNULL)
    harness.wait_for(lambda: list((target / "restoring").rglob("*")), what="the first file")
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the restore was over before the kill"
    refused = atelierd(f"--data_dir={target}", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0")
    assert refused.returncode == 1 and "was interrupted" in refused.stderr
    assert "was interrupted" in check(target, sound=False)
    restore(tmp_path / "backup.tar", target)
    check(target, sound=True)
    assert not (target / "restoring").exists()


def test_a_backup_is_restored_into_an_empty_directory_alone(backup, copy):
    said = restore(backup, copy, sound=False)
    assert "is not empty" in said
    check(copy, sound=True)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_backup_that_was_cut_is_refused(backup, tmp_path, cut):
    content = backup.read_bytes()
    backup.write_bytes(content[:int(len(content.rstrip(bytes(1))) * cut)])
    assert "cannot be restored" in restore(backup, tmp_path / "restored", sound=False)
    assert files_of(tmp_path / "restored") <= {"atelierd.lock"}


def entries_of(backup):
    with tarfile.open(backup) as archive:
        return [(entry, archive.extractfile(entry).read()) for entry in archive]


def write(file, entries):
    with tarfile.open(file, "w") as archive:
        for entry, content in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return file


def entry_named(name, kind=tarfile.REGTYPE, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize("hostile, why", [
    (lambda: entry_named("../outside"), "none of a backup's files"),
    (lambda: entry_named("models/../../outside"), "none of a backup's files"),
    (lambda: entry_named("/outside"), "none of a backup's files"),
    (lambda: entry_named("unknown/file"), "none of a backup's files"),
    (lambda: entry_named("atelierd.lock"), "none of a backup's files"),
    (lambda: entry_named("models/x", tarfile.SYMTYPE, "/etc"), "none of a backup's files"),
    (lambda: entry_named("models/x", tarfile.LNKTYPE, "atelier.db"), "none of a backup's files"),
    (lambda: entry_named("models/x", tarfile.FIFOTYPE), "none of a backup's files"),
    (lambda: entry_named("models/x", tarfile.DIRTYPE), "none of a backup's files"),
    (lambda: entry_named("atelier.db"), "twice"),
    (lambda: entry_named("models/x"), "do not have their checksum"),
])
def test_a_hostile_archive_is_refused(backup, tmp_path, hostile, why):
    entries = entries_of(backup)
    write(backup, [*entries[:-1], (hostile(), b"content"), entries[-1]])
    assert why in restore(backup, tmp_path / "in" / "restored", sound=False)
    assert files_of(tmp_path / "in" / "restored") <= {"atelierd.lock"}
    assert not list(tmp_path.rglob("outside"))


def test_a_damaged_file_and_what_is_no_backup_are_refused(backup, tmp_path):
    entries = entries_of(backup)
    changed = [(entry, content[:-1] + b"!") if entry.name.endswith("model.tar.gz") else (entry, content)
               for entry, content in entries]
    said = restore(write(tmp_path / "changed.tar", changed), tmp_path / "a", sound=False)
    assert "do not have their checksum" in said
    said = restore(write(tmp_path / "other.tar", [(entry_named("hello"), b"x")]), tmp_path / "b",
                   sound=False)
    assert "is no backup of Atelier's" in said
    assert "cannot be restored" in restore(tmp_path / "missing", tmp_path / "c", sound=False)
    more = write(tmp_path / "more.tar", [*entries, (entry_named("models/x"), b"x")])
    assert "something follows" in restore(more, tmp_path / "d", sound=False)


def test_a_backup_needs_an_admin(tmp_path, small_dataset):
    with Guarded(tmp_path / "guarded", {"small": small_dataset}) as guarded:
        stub = harness.stubs("admin_service").AdminServiceStub(guarded.channel)
        assert refusal(lambda: list(guarded.call("alice", stub.Backup, admin_pb.BackupRequest())))[1] == \
            "ROLE_NEEDED"
        guarded.by("root", "admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
        listed = guarded.by("root", "admin", "audit", check=harness.DONE).stdout
        assert "Backup" in listed


def test_a_backup_of_many_bytes_takes_little_memory(copy, tmp_path):
    pad(copy, 600 << 20)
    with harness.Server(copy) as server:
        status = f"/proc/{server.process.pid}/status"

        def peak():
            with open(status) as file:
                return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))
        before = peak()
        server.run("admin", "backup", tmp_path / "backup.tar", check=harness.DONE)
        assert (tmp_path / "backup.tar").stat().st_size > 600 << 20
        assert peak() - before < 64 << 20
