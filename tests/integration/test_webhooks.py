"""Others are told when a job ends: `train --notify`, `atelierd --notify_url`, `watch --exec`."""
import base64
import hmac
import http.server
import json
import subprocess
import threading

import pytest

import harness
from harness import wait_for
from metrics_page import Page

SECRET = "a secret of the operator's"


class Receiver:
    """An HTTP server that keeps what is posted to it and answers with `status`."""

    def __init__(self, port=0):
        self.posts, self.status = [], 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(data_dir, small_dataset):
    """Starts a server with the flags."""
    servers = []

    def start(*flags):
        servers.append(harness.Server(data_dir, {"small": small_dataset}, flags).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def train(server, *options):
    return server.run("train", "--preset=dense", "--dataset=small", "--epochs=1", *options)


def test_the_end_of_a_job_is_posted_and_signed(start, receiver, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    server = start("--notify_private_addresses", f"--notify_secret_file={secret}",
                   f"--notify_url={receiver.url}/all")
    train(server, f"--notify={receiver.url}/one?token=hidden")
    wait_for(lambda: len(receiver.posts) == 2, what="both posts")
    assert sorted(path for path, _, _ in receiver.posts) == ["/all", "/one?token=hidden"]
    job = server.json("jobs")[0]
    for _, headers, body in receiver.posts:
        told = json.loads(body)
        assert told["name"] == job["name"] and told["state"] == "JOB_STATE_COMPLETED"
        assert told["result"]["test_accuracy"] == pytest.approx(job["result"]["test_accuracy"])
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
        expected = base64.b64encode(hmac.digest(SECRET.encode(), signed.encode(), "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["Content-Type"] == "application/json"
    assert len({headers["webhook-id"] for _, headers, _ in receiver.posts}) == 2
    assert "hidden" not in server.run("show", job["name"]).stdout + server.log.read_text()
    wait_for(lambda: Page(server).value("atelier_webhook_posts_total", result="delivered") == 2,
             what="the metric")


def test_private_addresses_are_refused_unless_the_operator_allows_them(start, receiver):
    server = start()
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        train(server, f"--notify={url}")
        wait_for(lambda: server.log.read_text().count("private or of this machine") > 0, what="the refusal")
    assert receiver.posts == []


def test_a_redirection_is_not_followed(start, receiver):
    receiver.status = 307
    server = start("--notify_private_addresses")
    train(server, f"--notify={receiver.url}/first")
    wait_for(lambda: "the receiver answered 307" in server.log.read_text(), what="the failure in the log")
    assert [path for path, _, _ in receiver.posts] == ["/first"]


def test_a_notice_outlives_the_server_and_is_posted_when_the_receiver_is_back(start, receiver):
    server = start("--notify_private_addresses")
    receiver.close()
    train(server, f"--notify={receiver.url}/late")
    wait_for(lambda: "was not told to 127.0.0.1" in server.log.read_text(), what="the failure in the log")
    server.kill()
    back = Receiver(receiver.port)
    server.start()
    wait_for(lambda: back.posts, what="the post")
    assert json.loads(back.posts[0][2])["state"] == "JOB_STATE_COMPLETED"
    back.close()


def test_a_wrong_url_is_refused_before_anything_starts(start):
    server = start()
    for url, said in (("ftp://example.org", "is no URL"), ("http:///x", "names no host"),
                      ("http://a b", "has blanks"), ("http://h/" + "a" * 2000, "at most 2000")):
        refused = train(server, f"--notify={url}")
        assert refused.returncode == harness.ERROR and said in refused.stderr, refused
    assert server.json("jobs") == []


@pytest.mark.parametrize("flags, said", [
    (["--notify_url=example.org"], "--notify_url: 'example.org' is no URL"),
    (["--notify_secret_file=/nowhere"], "--notify_secret_file: "),
    (["--notify_secret_file=SHORT"], "is not one line of 16 to 1000 characters"),
])
def test_wrong_flags_are_refused(data_dir, tmp_path, flags, said):
    (tmp_path / "short").write_text("short\n")
    flags = [flag.replace("SHORT", str(tmp_path / "short")) for flag in flags]
    process = subprocess.run(harness.Server(data_dir, flags=flags).command(), capture_output=True,
                                     text=True, timeout=60)
    assert process.returncode == 1 and said in process.stderr, process


def test_watch_runs_a_command_at_the_end(start, tmp_path):
    server = start()
    train(server)
    job = server.json("jobs")[0]["name"]
    told = tmp_path / "told.json"
    server.run("watch", job, "--exec", f"cat > {told}", check=harness.DONE)
    assert json.loads(told.read_text())["name"] == job
    failed = server.run("watch", job, "--exec", "exit 7", check=harness.ERROR)
    assert "exit code 7" in failed.stderr
