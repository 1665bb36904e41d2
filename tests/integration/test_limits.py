"""Limits of callers that the access file sets, with the real programs."""

import grpc
import pytest

import harness
from test_access import Guarded, refusal

admin_pb = harness.proto("admin_service")


class Limited(Guarded):
    """A server whose access file limits what alice may have and do."""

    def __init__(self, folder, datasets, limits):
        super().__init__(folder, datasets)
        with open(self.file, "a") as file:
            file.write(limits)


@pytest.fixture
def limited(tmp_path, small_dataset):
    with Limited(tmp_path / "limited", {"small": small_dataset},
                 "limit operator jobs=2 priority=1\nlimit alice data=1000 streams=2 jobs=1\n") as running:
        yield running


def quota_of(call):
    """The QuotaFailure and RetryInfo with which a call is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    quota, retry = harness.error_details_pb.QuotaFailure(), None
    for key, value in raised.value.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in harness.status_pb.Status.FromString(value).details:
                if detail.Is(harness.error_details_pb.QuotaFailure.DESCRIPTOR):
                    detail.Unpack(quota)
                if detail.Is(harness.error_details_pb.RetryInfo.DESCRIPTOR):
                    retry = harness.error_details_pb.RetryInfo()
                    detail.Unpack(retry)
    violation, = quota.violations
    return violation.subject, violation.description, retry and retry.retry_delay.seconds


def test_a_limit_names_who_which_and_when_to_come_back(limited):
    limited.train("alice", "first", epochs=500, patience=500)
    code, reason, words = refusal(lambda: limited.train("alice", "second"))
    assert (code, reason) == ("RESOURCE_EXHAUSTED", "CALLER_LIMIT")
    assert "alice would have 2 jobs" in words and "Try again when one has ended" in words
    assert quota_of(lambda: limited.train("alice", "second")) == (
        "caller:alice", "jobs=1: 2 jobs that have not ended", 10)
    # Her own limit goes before that of her role; others have the role's.
    for base in ("a", "b"):
        limited.train("other", base, epochs=500, patience=500)
    assert refusal(lambda: limited.train("other", "c"))[1] == "CALLER_LIMIT"
    assert quota_of(lambda: limited.train("root", "x", priority=5) and limited.train(
        "other", "x", priority=5))[1] == "priority=1: a job of priority 5"


def test_uploads_beyond_a_limit_are_refused_and_the_same_one_goes_on(limited):
    def announce(name, size):
        return limited.call("alice", limited.dataset_service.CreateUpload,
                            harness.dataset_pb.CreateUploadRequest(
                                dataset=f"datasets/{name}", size_bytes=size, sha256="0" * 64))
    announce("first", 600)
    announce("first", 600)
    assert refusal(announce, "second", 600)[1] == "CALLER_LIMIT"
    announce("second", 400)


def test_streams_beyond_a_limit_are_refused_until_one_ends(limited):
    job = limited.train("alice", "first", epochs=500, patience=500).name
    metadata = [("authorization", f"Bearer {limited.tokens['alice']}")]

    def watch():
        stream = limited.training.StreamMetrics(harness.training_pb.StreamMetricsRequest(name=job),
                                                metadata=metadata, timeout=60)
        next(stream)
        return stream
    streams = [watch(), watch()]
    assert refusal(watch)[1] == "CALLER_LIMIT"
    streams[0].cancel()

    def fits():
        try:
            return watch()
        except grpc.RpcError:
            return None
    assert harness.wait_for(fits, what="room for a stream")


def test_callers_see_their_limits(limited):
    said = limited.by("alice", "admin", "whoami", check=harness.DONE).stdout
    assert "at most jobs=1, priority=1, data=1000, streams=2" in said
    stub = harness.stubs("admin_service").AdminServiceStub(limited.channel)
    assert not limited.call("root", stub.GetCaller, admin_pb.GetCallerRequest()).limits


def test_limits_change_with_the_file_and_a_mistake_changes_nothing(limited):
    limited.train("alice", "first", epochs=500, patience=500)
    text = limited.file.read_text()
    limited.file.write_text(text.replace("jobs=1\n", "jobs=many\n"))
    harness.wait_for(lambda: "'jobs=many' is no limit" in limited.log.read_text(), what="the complaint")
    assert refusal(lambda: limited.train("alice", "second"))[1] == "CALLER_LIMIT"
    limited.file.write_text(text.replace("jobs=1\n", "jobs=2\n"))

    def fits():
        try:
            return limited.train("alice", "second", epochs=500, patience=500)
        except grpc.RpcError:
            return None
    harness.wait_for(fits, what="the new limit")
