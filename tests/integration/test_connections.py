"""Many connections, and connections that are kept alive: the server stays there for all others."""

import importlib
import os
import select
import socket
import threading

import grpc
import pytest

import harness
import http2
from test_bounded_memory import MOST, memory

dataset_pb = importlib.import_module("atelier.v1.dataset_service_pb2")


class FewDescriptors(harness.Server):
    """A server that may have 200 descriptors open."""

    def command(self):
        return ["prlimit", "--nofile=200:200", *super().command()]


def is_closed(connection):
    """The other side has closed it; what the server says at first is read and forgotten."""
    while select.select([connection], [], [], 0)[0]:
        try:
            if not connection.recv(4096):
                return True
        except ConnectionError:
            return True
    return False


@pytest.fixture
def crowded(data_dir, small_dataset):
    with FewDescriptors(data_dir, datasets={"small": small_dataset}) as server:
        list_datasets(server.dataset_service)
        host, port = server.address.rsplit(":", 1)
        crowd = [socket.create_connection((host, int(port))) for _ in range(300)]
        # Those for which there is no room are closed.
        harness.wait_for(lambda: sum(map(is_closed, crowd)) >= 100, what="refused connections")
        yield server, crowd
        for connection in crowd:
            connection.close()


def list_datasets(stub):
    return stub.ListDatasets(dataset_pb.ListDatasetsRequest(), timeout=30).datasets


def test_connections_without_number_leave_descriptors_for_jobs(crowded):
    server, _ = crowded
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < 180
    job = server.wait_job(server.start_job(epochs=1))
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    assert len(job.attempts) == 1


def test_who_connects_when_others_have_gone_is_served(crowded):
    server, crowd = crowded
    for connection in crowd:
        connection.close()
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = harness.stubs("dataset_service").DatasetServiceStub(channel)
        assert stub.ListDatasets(dataset_pb.ListDatasetsRequest(), timeout=60, wait_for_ready=True).datasets


def test_pings_end_no_stream(shared_server):
    with http2.Connection(shared_server.address) as connection:
        stream = connection.call("/grpc.health.v1.Health/Watch")
        connection.send(stream, http2.grpc_message(b""), end=True)
        for _ in range(100):
            connection.ping()
        harness.wait_for(lambda: connection.goaway or (connection.read(0.1) and connection.acknowledged == 100),
                         what="the pings' answers")
        assert connection.goaway is None
        assert stream not in connection.ended


def test_headers_beyond_a_bound_are_refused_and_calls_after_them_are_not(shared_server):
    stub = shared_server.dataset_service
    for name in ("authorization", "x-anything"):
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListDatasets(dataset_pb.ListDatasetsRequest(), timeout=30, wait_for_ready=True,
                              metadata=[(name, "x" * 16384)])
        # gRPC may end the connection instead of the call.
        assert raised.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)

    def served():
        try:
            return list_datasets(stub)
        except grpc.RpcError:
            return None
    assert harness.wait_for(served, what="an answer")


def test_calls_that_are_withdrawn_at_once_break_their_connection_and_hold_up_nobody(server):
    """Four connections reset each call as soon as they have sent it (CVE-2023-44487), as fast as they can:
    the server breaks those that it cannot follow, answers others meanwhile, and its memory is bounded."""
    list_datasets(server.dataset_service)

    broken = []

    def flood():
        with http2.Connection(server.address) as connection:
            try:
                for _ in range(20):
                    connection.withdraw("/atelier.v1.DatasetService/ListDatasets", 10_000)
                    connection.read(0)
            except OSError as error:
                broken.append(error)

    floods = [threading.Thread(target=flood) for _ in range(4)]
    for thread in floods:
        thread.start()
    while any(thread.is_alive() for thread in floods):
        list_datasets(server.dataset_service)
    assert broken and "withdraws calls faster than they end" in server.log.read_text()
    assert memory(server, "VmHWM") < MOST
