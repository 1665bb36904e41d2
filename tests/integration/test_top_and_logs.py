"""`atelier top` in terminals and pipes, and what the server logs."""

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import termios

import pytest

import harness


class Terminal:
    """A client in a terminal of its own."""

    def __init__(self, server, *arguments, rows=30, columns=100):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.client = subprocess.Popen(
            [str(harness.BIN / "atelier"), f"--server={server.address}", *arguments], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"})

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return self.seen
        return self.seen

    def wait_for(self, text, timeout=20):
        harness.wait_for(lambda: text in self.read(), timeout, f"{text!r} in {self.seen[-2000:]!r}")

    def frame(self):
        """What was drawn last, as a whole."""
        return self.read().split("\x1b[H")[-2]

    def end(self):
        """Waits for the client's end; returns its exit code."""
        harness.wait_for(lambda: self.read() is not None and self.client.poll() is not None, 20)
        self.read()
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's mode was not restored"
        os.close(self.slave)
        os.close(self.master)
        return self.client.returncode


ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def test_top_shows_jobs_slots_and_load_until_q(server):
    name = server.start_job("watched", epochs=500, patience=500)
    server.wait_event(name, "epoch")
    terminal = Terminal(server, "top", "--interval=0.2")
    terminal.wait_for(name.removeprefix("jobs/"))
    for words in (ENTER, "cpu", "memory", "slots", "queue", "training", "q quits"):
        terminal.wait_for(words)
    terminal.resize(12, 60)
    harness.wait_for(lambda: terminal.frame().count("\r\n") == 11, 20)
    terminal.type("q")
    assert terminal.end() == harness.DONE
    assert terminal.seen.endswith(LEAVE) and "\x1b[?25h" in terminal.seen


def test_top_restores_the_terminal_on_ctrl_c_and_sigterm(shared_server):
    for end in (lambda t: t.type("\x03"), lambda t: t.client.send_signal(signal.SIGTERM)):
        terminal = Terminal(shared_server, "top")
        terminal.wait_for("q quits")
        end(terminal)
        assert terminal.end() == 130
        assert terminal.seen.endswith(LEAVE) and "\x1b[?25h" in terminal.seen


def test_top_restores_the_terminal_when_it_crashes(shared_server):
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # An exception that nobody catches ends in SIGABRT.
    for death in (signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT):
        terminal = Terminal(shared_server, "top")
        terminal.wait_for("q quits")
        terminal.client.send_signal(death)
        assert terminal.end() == -death
        assert LEAVE in terminal.seen and "\x1b[?25h" in terminal.seen


def test_top_waits_for_a_server_that_went_away(server):
    terminal = Terminal(server, "top", "--interval=0.2")
    terminal.wait_for("q quits")
    server.kill()
    terminal.wait_for("Waiting; q quits")
    server.start()
    harness.wait_for(lambda: "Waiting" not in terminal.frame(), 30)
    terminal.type("q")
    assert terminal.end() == harness.DONE


def test_top_prints_one_look_where_there_is_no_terminal(shared_server):
    text = shared_server.run("top", "--interval=0.2", check=harness.DONE).stdout
    assert "\x1b" not in text and "cpu" in text and "No jobs are queued or running." in text
    answer, = shared_server.json("top")
    names = {sample["name"] for sample in answer["samples"]}
    assert {"atelier_build_info", "atelier_machine_cpu_seconds_total", "atelier_jobs"} <= names
    rows = shared_server.run("--output=csv", "top", check=harness.DONE).stdout.splitlines()
    assert rows[0] == "name,labels,value" and len(rows) > 20


def test_a_job_can_be_followed_through_the_log_by_its_fields(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}, ["--log_format=json"]) as server:
        name = server.start_job("logged", request_id="order-66", epochs=1)
        server.wait_job(name)
        job = server.job(name)
        assert server.stop() == 0
        events = [json.loads(line) for line in server.log.read_text().splitlines()]
        assert all({"time", "level", "message"} <= event.keys() for event in events)
        of_job = [event for event in events if event.get("job") == name.removeprefix("jobs/")]
        assert [event["state"] for event in of_job] == [
            harness.job_pb.JobState.Name(t.state).removeprefix("JOB_STATE_").lower()
            for t in job.transitions]
        assert all(event["request"] == "order-66" for event in of_job)
        assert of_job[-1]["model"] == job.result.model_version


def test_text_logs_have_one_line_an_event_and_name_the_job(data_dir, small_dataset):
    with harness.Server(data_dir, {"small": small_dataset}) as server:
        name = server.start_job("plain", epochs=1)
        server.wait_job(name)
        assert server.stop() == 0
        lines = server.log.read_text().splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \w+: ", line) for line in lines)
        assert any(f" job={name.removeprefix('jobs/')} state=completed" in line for line in lines)


def test_a_server_whose_log_nobody_reads_works_and_ends(data_dir, small_dataset):
    """Standard error is a full pipe whose reader is stuck."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    try:
        with harness.Server(data_dir, {"small": small_dataset}, stderr=writer) as server:
            os.close(writer)
            job = server.wait_job(server.start_job("unread", epochs=1))
            assert job.state == harness.job_pb.JOB_STATE_COMPLETED
            assert server.stop(timeout=60) == 0
    finally:
        os.close(reader)


def test_no_log_and_no_command_line_tells_a_token(data_dir, small_dataset):
    flags = ["--log_level=trace"]
    with harness.Server(data_dir, {"small": small_dataset}, flags) as server:
        name = server.start_job("secret", epochs=500, patience=500)
        server.wait_event(name, "epoch")
        pid, = server.worker_pids()
        environment = open(f"/proc/{pid}/environ", "rb").read().decode().split("\0")
        token = dict(e.split("=", 1) for e in environment if "=" in e)["ATELIER_WORKER_TOKEN"]
        assert len(token) > 16
        command_line = open(f"/proc/{pid}/cmdline").read()
        assert server.stop() == 0
        worker_log, = data_dir.glob("jobs/*/attempts/1/worker.log")
        for text in (server.log.read_text(), worker_log.read_text(), command_line,
                     server.run("show", name).stdout):
            assert token not in text


def test_the_worker_s_log_is_followed_to_its_end(server):
    name = server.start_job("followed", epochs=3)
    log = server.run("logs", name, "--follow", check=harness.DONE).stdout
    assert log.count("epoch") >= 3
    assert log == server.run("logs", name, check=harness.DONE).stdout
