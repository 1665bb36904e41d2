"""What the client says when it cannot reach a server, and both spellings of options."""

import contextlib
import socket
import ssl
import subprocess
import threading

import pytest

import harness
from test_tls import Authority


def complaint(address, *words):
    """The one sentence with which the client ends."""
    ended = subprocess.run([str(harness.BIN / "atelier"), f"--server={address}", "jobs", *words],
                           capture_output=True, text=True, timeout=30)
    assert ended.returncode == harness.ERROR and not ended.stdout
    assert ended.stderr.startswith("atelier: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


@contextlib.contextmanager
def listener(answer):
    """Calls answer(connection) for each connection to a port; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    answer(connection)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def tls(certificates, name):
    """Answers connections as a TLS server with a certificate does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
    context.set_alpn_protocols(["h2"])

    def answer(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)
    return answer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with the authorities ca and other; ca issued server and the useless expired."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = Authority(folder)
    Authority(folder, "other")
    ca.issue("server")
    ca.issue("expired", days=-1)
    return folder


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    said = complaint(address)
    assert f"No server answers at {address}." in said and "--server=HOST:PORT" in said


def test_a_host_that_does_not_exist():
    assert "There is no host named 'no-such-host.invalid'" in complaint("no-such-host.invalid:50051")


def test_the_port_of_the_metrics_page(shared_server):
    said = complaint(shared_server.metrics_address)
    assert "is not an Atelier server: it speaks HTTP/1" in said and "metrics" in said


@pytest.mark.parametrize("words", [[], ["--tls-ca={}/ca.crt"]])
def test_the_port_of_another_program(certificates, words):
    with listener(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as address:
        said = complaint(address, *(word.format(certificates) for word in words))
    assert f"The program at {address} is not an Atelier server" in said


def test_a_server_with_tls_for_a_client_without(certificates):
    with listener(tls(certificates, "server")) as address:
        assert f"The server at {address} uses TLS: give the CA" in complaint(address)


def test_an_expired_certificate_is_named_with_its_date(certificates):
    with listener(tls(certificates, "expired")) as address:
        said = complaint(address, f"--tls-ca={certificates}/ca.crt")
    assert "is not trusted: its certificate expired on 20" in said and "UTC" in said


def test_an_untrusted_certificate_is_named_with_its_issuer(certificates):
    with listener(tls(certificates, "server")) as address:
        said = complaint(address, f"--tls-ca={certificates}/other.crt")
    assert "is not trusted: its certificate was issued by 'ca'" in said
    assert f"{certificates}/other.crt" in said


def test_flags_of_the_server_may_be_spelled_with_dashes(tmp_path):
    server = harness.Server(tmp_path / "data", flags=["--max-queued-jobs=7", "--lease=8",
                                                      "--batch-delay=5ms", "--noallow-insecure"])
    with server:
        assert server.run("health", check=harness.DONE)
    ended = subprocess.run([str(harness.BIN / "atelierd"), f"--data-dir={tmp_path}/other",
                            "--max-queued-jobs=0"], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr == "atelierd: --max_queued_jobs: 0 is out of range (1 to 100000).\n"
    ended = subprocess.run([str(harness.BIN / "atelierd"), "--lease=soon"], capture_output=True,
                           text=True, timeout=30)
    assert ended.returncode == 1 and "'soon' is not a duration" in ended.stderr
    ended = subprocess.run([str(harness.BIN / "atelierd"), "now"], capture_output=True, text=True,
                           timeout=30)
    assert ended.stderr == "atelierd: Unexpected argument 'now'; see atelierd --help.\n"
