"""TLS between the real programs, with certificates that openssl makes."""

import os
import subprocess

import pytest

import harness


class Authority:
    """Issues certificates: NAME.crt and NAME.key in its folder."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-days", "30", "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"),
                     "-out", self.path(f"{name}.crt"))

    def path(self, name):
        return str(self.folder / name)

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1", days=20):
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"),
                     "-out", self.path(f"{name}.csr"))
        self.openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-days", str(days),
                     "-CA", self.path(f"{self.name}.crt"), "-CAkey", self.path(f"{self.name}.key"),
                     "-CAcreateserial", "-out", self.path(f"{name}.crt"), "-extfile", str(extensions))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with two authorities, ca and other, and what ca issued: server, client, and the
    useless expired and elsewhere; `foreign` is other's."""
    folder = tmp_path_factory.mktemp("certificates")
    ca, other = Authority(folder), Authority(folder, "other")
    ca.issue("server")
    ca.issue("client", "DNS:client")
    ca.issue("elsewhere", "DNS:elsewhere.example")
    ca.issue("expired", days=-1)
    other.issue("foreign")
    ca.openssl("ec", "-in", ca.path("server.key"), "-aes128", "-passout", "pass:secret",
               "-out", ca.path("encrypted.key"))
    (folder / "words.crt").write_text("no certificate\n")
    return folder


def server_flags(folder, name="server", client_ca=None):
    return [f"--tls_cert={folder}/{name}.crt", f"--tls_key={folder}/{name}.key",
            *([f"--tls_client_ca={folder}/{client_ca}.crt"] if client_ca else [])]


@pytest.fixture(scope="module")
def tls_server(certificates, tmp_path_factory, small_dataset):
    folder = tmp_path_factory.mktemp("tls") / "data"
    with harness.Server(folder, {"small": small_dataset}, server_flags(certificates)) as running:
        yield running


@pytest.fixture(scope="module")
def mutual_server(certificates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutual") / "data"
    with harness.Server(folder, flags=server_flags(certificates, client_ca="ca")) as running:
        yield running


def refusal(server, *words, **options):
    """The one sentence with which the client ends."""
    ended = server.run("jobs", *words, **options)
    assert ended.returncode == harness.ERROR and not ended.stdout
    assert ended.stderr.startswith("atelier: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_who_knows_the_authority_is_served(tls_server, certificates):
    assert tls_server.run("health", f"--tls-ca={certificates}/ca.crt", check=harness.DONE)
    environment = {**os.environ, "ATELIER_TLS_CA": f"{certificates}/ca.crt"}
    assert tls_server.run("jobs", env=environment, check=harness.DONE)


def test_a_job_runs_and_what_is_suggested_names_the_authority(tls_server, certificates):
    trust = f"--tls-ca={certificates}/ca.crt"
    ended = tls_server.run("train", trust, "--preset=dense", "--dataset=small", "--epochs=1",
                           "--cores=1", "--name=secured", check=harness.DONE)
    assert f"atelier confusion secured-" in ended.stdout and trust in ended.stdout


def test_the_client_says_why_it_is_not_served(tls_server, certificates):
    plain = refusal(tls_server)
    assert "uses TLS" in plain and "--tls-ca" in plain and tls_server.address in plain
    wrong = refusal(tls_server, f"--tls-ca={certificates}/other.crt")
    assert "its certificate was issued by 'ca'" in wrong and f"{certificates}/other.crt" in wrong


@pytest.mark.parametrize("options, words", [
    (["--tls-ca=/missing.crt"], ["--tls-ca: /missing.crt", "No such file"]),
    (["--tls-ca={}/words.crt"], ["--tls-ca", "no certificate"]),
    (["--tls-ca={}/expired.crt"], ["--tls-ca", "expired"]),
    (["--tls-cert={}/client.crt", "--tls-key={}/client.key"], ["--tls-ca"]),
    (["--tls-ca={}/ca.crt", "--tls-cert={}/client.crt"], ["--tls-key"]),
    (["--tls-ca={}/ca.crt", "--tls-cert={}/client.crt", "--tls-key={}/server.key"],
     ["--tls-key", "not the key of"]),
])
def test_the_client_judges_its_files(tls_server, certificates, options, words):
    sentence = refusal(tls_server, *(option.format(certificates) for option in options))
    assert all(word in sentence for word in words), sentence


def test_a_server_without_tls_is_told_from_one_with_it(shared_server, certificates):
    assert "does not use TLS" in refusal(shared_server, f"--tls-ca={certificates}/ca.crt")


def test_a_certificate_for_another_name_is_not_believed(certificates, tmp_path):
    with harness.Server(tmp_path / "data", flags=server_flags(certificates, "elsewhere")) as server:
        assert "another name" in refusal(server, f"--tls-ca={certificates}/ca.crt")


def test_with_a_client_authority_only_its_holders_are_served(mutual_server, certificates):
    trust = f"--tls-ca={certificates}/ca.crt"
    identity = [f"--tls-cert={certificates}/client.crt", f"--tls-key={certificates}/client.key"]
    mutual_server.run("jobs", trust, *identity, check=harness.DONE)
    assert "requires a client certificate: give --tls-cert" in refusal(mutual_server, trust)
    foreign = refusal(mutual_server, trust, f"--tls-cert={certificates}/foreign.crt",
                      f"--tls-key={certificates}/foreign.key")
    assert f"does not accept the client certificate {certificates}/foreign.crt" in foreign


def complaint(tmp_path, *flags, **options):
    """The one sentence with which atelierd refuses to start; nothing was begun by then."""
    ended = subprocess.run([str(harness.BIN / "atelierd"), "--metrics_listen=127.0.0.1:0",
                            f"--data_dir={tmp_path}/data", *flags], capture_output=True, text=True,
                           timeout=30, **options)
    assert ended.returncode == 1 and not ended.stdout
    assert ended.stderr.startswith("atelierd: --") and ended.stderr.count("\n") == 1, ended.stderr
    assert not (tmp_path / "data").exists()
    return ended.stderr


@pytest.mark.parametrize("flags, words", [
    (["--tls_cert={0}/server.crt"], ["--tls_key"]),
    (["--tls_key={0}/server.key"], ["--tls_cert"]),
    (["--tls_client_ca={0}/ca.crt"], ["--tls_cert"]),
    (["--tls_cert={0}/none.crt", "--tls_key={0}/server.key"], ["none.crt", "No such file"]),
    (["--tls_cert={0}", "--tls_key={0}/server.key"], ["--tls_cert", "is not a file"]),
    (["--tls_cert={0}/words.crt", "--tls_key={0}/server.key"], ["no certificate"]),
    (["--tls_cert={0}/server.crt", "--tls_key={0}/client.key"], ["--tls_key", "not the key of"]),
    (["--tls_cert={0}/server.crt", "--tls_key={0}/words.crt"], ["--tls_key", "no private key"]),
    (["--tls_cert={0}/server.crt", "--tls_key={0}/encrypted.key"], ["--tls_key", "passphrase"]),
    (["--tls_cert={0}/expired.crt", "--tls_key={0}/expired.key"], ["--tls_cert", "expired on"]),
    (["--tls_cert={0}/server.crt", "--tls_key={0}/server.key", "--tls_client_ca={0}/words.crt"],
     ["--tls_client_ca", "no certificate"]),
])
def test_the_server_judges_its_files_before_it_begins(certificates, tmp_path, flags, words):
    sentence = complaint(tmp_path, "--listen=127.0.0.1:0", *(f.format(certificates) for f in flags))
    assert all(word in sentence for word in words), sentence


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_a_key_of_another_user_is_unreadable(certificates, tmp_path):
    os.chmod(certificates / "client.key", 0o600)
    for folder in (certificates, *certificates.parents[:3], tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    sentence = complaint(tmp_path, "--listen=127.0.0.1:0", f"--tls_cert={certificates}/client.crt",
                         f"--tls_key={certificates}/client.key", user=65534, group=65534,
                         extra_groups=[])
    assert "--tls_key" in sentence and "Permission denied" in sentence


@pytest.mark.parametrize("flag", ["listen", "worker_listen"])
def test_other_machines_are_served_with_tls_or_in_so_many_words(certificates, tmp_path, flag):
    sentence = complaint(tmp_path, f"--{flag}=0.0.0.0:47391")
    assert f"--{flag}" in sentence and "--tls_cert" in sentence and "--allow_insecure" in sentence


def test_beyond_loopback_with_certificates(certificates, tmp_path):
    server = harness.Server(tmp_path / "data", flags=server_flags(certificates))
    server.address = "0.0.0.0:0"
    with server:
        server.address = server.address.replace("0.0.0.0", "localhost")
        server.run("health", f"--tls-ca={certificates}/ca.crt", check=harness.DONE)


def test_workers_that_report_by_tcp_do_so_by_tls(certificates, tmp_path, small_dataset):
    port = subprocess.run(["python3", "-c", "import socket; s = socket.socket(); "
                           "s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"],
                          capture_output=True, text=True, check=True).stdout.strip()
    flags = [*server_flags(certificates, client_ca="ca"), f"--worker_listen=127.0.0.1:{port}"]
    options = [f"--tls-ca={certificates}/ca.crt", f"--tls-cert={certificates}/client.crt",
               f"--tls-key={certificates}/client.key"]
    with harness.Server(tmp_path / "data", {"small": small_dataset}, flags) as server:
        server.run("train", *options, "--preset=dense", "--dataset=small", "--epochs=1", "--cores=1",
                   check=harness.DONE)
        hello = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2",
                                "-CAfile", str(certificates / "ca.crt"), "-verify_return_error"],
                               input="", capture_output=True, text=True, timeout=20,
                               errors="replace")  # It prints a session ticket's bytes as they are.
        assert "Verification: OK" in hello.stdout, hello.stdout + hello.stderr


def test_new_certificates_are_taken_without_a_restart(tmp_path):
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    first.issue("server")
    with harness.Server(tmp_path / "data", flags=server_flags(tmp_path)) as server:
        server.run("health", f"--tls-ca={tmp_path}/first.crt", check=harness.DONE)
        second.issue("next")
        os.rename(tmp_path / "next.key", tmp_path / "server.key")
        os.rename(tmp_path / "next.crt", tmp_path / "server.crt")
        harness.wait_for(lambda: server.run("health", f"--tls-ca={tmp_path}/second.crt"
                                            ).returncode == harness.DONE, 30)
        assert "certificate" in refusal(server, f"--tls-ca={tmp_path}/first.crt")
