"""TensorBoard's event files, read back by a reader that knows nothing of ours: the framing and the
field numbers are those that TensorFlow publishes."""

import hashlib
import io
import os
import signal
import struct

import pytest
from PIL import Image

import harness
from harness import kinds, without_withdrawn


def crc32c(data):
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data, growing=False):
    """The payloads of a TFRecord file, their checksums looked at. While a file is being appended to,
    its last record may not be whole yet."""
    while data:
        if growing and (len(data) < 12 or len(data) < 16 + struct.unpack("<Q", data[:8])[0]):
            return
        length, checksum = struct.unpack("<QI", data[:12])
        assert checksum == masked(data[:8])
        payload = data[12:12 + length]
        assert struct.unpack("<I", data[12 + length:16 + length])[0] == masked(payload)
        yield payload
        data = data[16 + length:]


def fields(message):
    """A protobuf message as it is on the wire: (field number, value) in order."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            value = message[at:at + size]
            at += size
            if kind == 1:
                value = struct.unpack("<d", value)[0]
            elif kind == 5:
                value = struct.unpack("<f", value)[0]
        yield key >> 3, value


def one(message, number, default=None):
    return dict(fields(message)).get(number, default)


class Log:
    """What a file says: numbers and pictures by tag, and hyperparameters."""

    def __init__(self, data, growing=False):
        self.version, self.scalars, self.images, self.hparams, self.ended = None, {}, {}, {}, None
        for payload in records(data, growing):
            event = dict(fields(payload))  # Event: wall_time 1, step 2, file_version 3, summary 5
            assert event[1] > 1.6e9
            if 3 in event:
                self.version = event[3].decode()
            for number, value in fields(event.get(5, b"")):
                assert number == 1
                self.add(event.get(2, 0), value)

    def add(self, step, value):
        tag = one(value, 1).decode()
        for number, content in fields(value):
            if number == 2:
                self.scalars.setdefault(tag, []).append((step, content))
            elif number == 4:  # Image: height 1, width 2, colorspace 3, encoded 4
                self.images[tag] = dict(fields(content))
            elif number == 9:  # SummaryMetadata: plugin_data 1 {plugin_name 1, content 2}
                plugin = dict(fields(one(content, 1)))
                if plugin[1] == b"hparams":
                    self.add_session(plugin[2])
                else:
                    assert plugin[1] == b"custom_scalars"

    def add_session(self, data):
        for number, session in fields(data):
            if number == 3:  # SessionStartInfo: hparams 1, a map
                for key, entry in fields(session):
                    if key == 1:
                        value = next(fields(one(entry, 2)))[1]  # Value: number 2, string 3, bool 4
                        self.hparams[one(entry, 1).decode()] = (
                            value.decode() if isinstance(value, bytes) else value)
            elif number == 4:  # SessionEndInfo: status 1
                self.ended = one(session, 1)


class RunningReader:
    """Follows a folder as a running TensorBoard does (its reader in Python): opens the file it is at
    by name again and again, goes on with the next name once there is one, and never back; at the start
    of a session it drops what it has from that step on."""

    def __init__(self, folder):
        self.folder, self.name, self.at, self.data, self.scalars = folder, "", 0, b"", {}

    def read(self):
        while True:
            if self.name:
                with (self.folder / self.name).open("rb") as file:
                    file.seek(self.at)
                    data = file.read()
                self.at += len(data)
                self.data += data
                self.take_records()
            later = sorted(p.name for p in self.folder.glob("*tfevents*") if p.name > self.name)
            if not later:
                return
            self.name, self.at, self.data = later[0], 0, b""

    def take_records(self):
        for payload in records(self.data, growing=True):
            self.data = self.data[16 + len(payload):]
            event = dict(fields(payload))
            if 7 in event and one(event[7], 1) == 1:  # SessionLog: status 1, START
                for tag, points in self.scalars.items():
                    self.scalars[tag] = [p for p in points if p[0] < event.get(2, 0)]
            for _, value in fields(event.get(5, b"")):
                number = one(value, 2)
                if number is not None:
                    self.scalars.setdefault(one(value, 1).decode(), []).append(
                        (event.get(2, 0), number))


def folder_of(server, name):
    return server.data_dir / name / "tensorboard"


def log_of(server, name):
    files = [f for f in folder_of(server, name).glob("*tfevents*") if f.stat().st_size]
    assert len(files) == 1, files
    return Log(files[0].read_bytes())


def wait_complete(server, name):
    harness.wait_for(lambda: (folder_of(server, name) / "complete").exists(), 60,
                     f"the log of {name} to be complete")
    return log_of(server, name)


def check(server, name, log):
    """The log says what the job's events say."""
    job = server.job(name)
    events = without_withdrawn(server.events(name))
    assert log.version == "brain.Event:2"
    epochs = kinds(events, "epoch")
    for series in ("training_loss", "training_accuracy", "validation_loss", "validation_accuracy",
                   "learning_rate", "images_per_second", "seconds"):
        assert log.scalars[f"epoch/{series}"] == [
            (e.epoch, pytest.approx(getattr(e, series), rel=1e-6)) for e in epochs], series
    steps = kinds(events, "step")
    assert log.scalars["step/training_loss"] == [
        ((s.epoch - 1) * s.steps_per_epoch + s.step, pytest.approx(s.training_loss, rel=1e-6))
        for s in steps]
    assert log.scalars["test/accuracy"] == [
        (job.result.best_epoch, pytest.approx(job.result.test_accuracy))]
    assert log.hparams["preset"] == job.spec.preset
    assert log.hparams["epochs"] == job.spec.epochs
    assert log.hparams["recipe"] == "study"
    assert log.ended == 1
    for tag in log.images:
        picture = Image.open(io.BytesIO(log.images[tag][4]))
        assert picture.size == (log.images[tag][2], log.images[tag][1])
        assert log.images[tag][3] == 1, "grey"
        low, high = picture.convert("L").getextrema()
        assert low < high, tag


def test_a_job_that_lost_its_worker_and_its_server_is_told_of_once(server):
    name = server.start_job("disturbed", preset="cnn-1", epochs=4, patience=4)
    # Past a checkpoint and into the next epoch, so that progress has to be withdrawn.
    first = server.wait_event(name, "checkpoint")
    server.wait_event(name, "step", after=first.number)
    reader = RunningReader(folder_of(server, name))
    harness.wait_for(lambda: reader.read() or reader.scalars, 60, "the first values")
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    server.wait_event(name, "rewound", after=first.number)
    server.kill()
    server.start()
    server.wait_job(name)
    log = wait_complete(server, name)
    check(server, name, log)
    assert [step for step, _ in log.scalars["epoch/validation_loss"]] == [1, 2, 3, 4]
    assert set(log.images) == {"confusion_matrix", "filters"}
    reader.read()
    assert reader.scalars == log.scalars


def test_the_log_of_a_running_job_grows(shared_server):
    name = shared_server.start_job("running", epochs=10000, patience=10000)

    def epochs():
        written = folder_of(shared_server, name).glob("*tfevents*")
        return [len(Log(f.read_bytes(), growing=True).scalars.get("epoch/seconds", ())) for f in written]

    harness.wait_for(lambda: any(epochs()), 60, "an epoch")
    before = epochs()
    harness.wait_for(lambda: epochs() > before, 60, "more epochs")
    shared_server.run("stop", name.removeprefix("jobs/"), check=harness.DONE)
    shared_server.wait_job(name, "STOPPED")
    check(shared_server, name, wait_complete(shared_server, name))


def test_the_log_comes_to_the_clients_machine(shared_server, tmp_path):
    name = shared_server.start_job("fetched", epochs=2)
    shared_server.wait_job(name)
    job = name.removeprefix("jobs/")
    told = shared_server.json("download", job, "--tensorboard", "-o", tmp_path / "runs")[0]
    files = list((tmp_path / "runs" / job).iterdir())
    assert [str(f) for f in files] == [told["file_name"]]
    data = files[0].read_bytes()
    assert hashlib.sha256(data).hexdigest() == told["sha256"]
    log = Log(data)
    check(shared_server, name, log)
    assert set(log.images) == {"confusion_matrix"}, "a dense network has no filters"
    assert data == next(folder_of(shared_server, name).glob("*tfevents*")).read_bytes()
    again = shared_server.run("download", job, "--tensorboard", "-o", tmp_path / "runs",
                              check=harness.ERROR)
    assert "--force" in again.stderr
    shared_server.run("download", job, "--tensorboard", "-o", tmp_path / "runs", "--force",
                      check=harness.DONE)
    shared_server.run("download", "none", "--tensorboard", "-o", tmp_path, check=harness.NOT_FOUND)


def test_a_deleted_jobs_log_goes_with_it(shared_server):
    name = shared_server.start_job("deleted", epochs=1)
    shared_server.wait_job(name)
    wait_complete(shared_server, name)
    shared_server.run("delete", name.removeprefix("jobs/"), check=harness.DONE)
    assert not (shared_server.data_dir / name).exists()


def test_tensorboard_itself_reads_it(shared_server):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="the tensorboard package is not installed")
    name = shared_server.start_job("accumulated", epochs=2)
    shared_server.wait_job(name)
    wait_complete(shared_server, name)
    read = accumulator.EventAccumulator(str(folder_of(shared_server, name)))
    read.Reload()
    tags = read.Tags()
    assert "confusion_matrix" in tags["images"]
    assert [e.step for e in read.Scalars("epoch/validation_loss")] == [1, 2]
    assert "_hparams_/session_start_info" in read.PluginTagToContent("hparams")
