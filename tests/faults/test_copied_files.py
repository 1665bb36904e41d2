"""Workers on machines that do not see the server's data directory: what they read is fetched, what
they leave is sent, and a training comes to the same weights, whatever is killed on the way.

Each worker is started in a mount namespace of its own, in which empty folders lie over the server's
data directory and over the data set."""

import os
import pathlib
import shutil
import signal

import pytest

import harness
import recovery
from harness import job_pb

# Some seconds, so that a fault at any of its epochs hits it.
MIDDLE_SPEC = dict(recovery.SPEC, epochs=24, patience=24)

# A fast machine has trained before the first checkpoint is sent at a low rate.
UNDER_WAY = (job_pb.JOB_STATE_TRAINING, job_pb.JOB_STATE_EVALUATING, job_pb.JOB_STATE_STORING)

pytestmark = pytest.mark.skipif(not recovery.can_hide(), reason="mount namespaces cannot be made here")


class Node:
    """Where workers run: a folder for copies, and what hides the server's files from them."""

    def __init__(self, folder, hidden, cache_bytes=1 << 30):
        self.cache = folder / "cache"
        self.hidden = hidden
        self.cache_bytes = cache_bytes
        self.script = folder / "worker.sh"
        self.script.parent.mkdir(parents=True, exist_ok=True)
        self.use(self.cache)

    def use(self, cache, cached=True):
        """From the next worker on, they run on another machine, whose copies lie elsewhere."""
        self.cache = cache
        flags = f"--cache_dir={cache} --cache_bytes={self.cache_bytes} >/dev/null 2>&1" if cached else ""
        recovery.write_hiding_worker(self.script, self.hidden, flags)

    def pids(self):
        """Of the workers that copy to this folder."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
            except (OSError, UnicodeDecodeError):
                continue
            if command[0].endswith("atelier-worker") and f"--cache_dir={self.cache}" in command:
                found.append(int(entry.name))
        return found

    def kill(self):
        pids = self.pids()
        assert pids, "there is no worker to kill"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def data_sets(self):
        return list(self.cache.glob("datasets/*.dataset"))

    def parts(self):
        return [part for part in self.cache.glob("datasets/*.part") if part.stat().st_size > 0]

    def work(self):
        """What attempts left."""
        return [path for path in self.cache.glob("work/*") if path.is_dir()]


@pytest.fixture(scope="module")
def middle_undisturbed(tmp_path_factory, small_dataset):
    """What MIDDLE_SPEC comes to when nobody interferes."""
    return recovery.calm_run(tmp_path_factory.mktemp("calm-middle"), small_dataset, MIDDLE_SPEC)


@pytest.fixture
def node(tmp_path, data_dir, small_dataset):
    data_dir.mkdir(parents=True)
    yield (node := Node(tmp_path / "node", [data_dir, small_dataset]))
    for pid in node.pids():
        os.kill(pid, signal.SIGKILL)


def serve(data_dir, node, small_dataset, *flags):
    port, = harness.free_ports(1)
    return harness.Server(data_dir, {"small": small_dataset},
                          [f"--worker_listen=127.0.0.1:{port}", f"--worker_binary={node.script}", *flags])


def log_of(server, name, attempt=1):
    return (server.data_dir / name / "attempts" / str(attempt) / "worker.log").read_text()


def parts_of(server):
    return [path for path in server.data_dir.rglob("*.part")]


def check_nothing_left(server, node):
    assert not node.work() and not node.parts() and not parts_of(server)


def test_a_training_comes_to_the_same_weights_and_leaves_nothing(undisturbed, data_dir, node, small_dataset):
    with serve(data_dir, node, small_dataset) as server:
        name = server.start_job("copied", model_name="copied", **recovery.SPEC)
        recovery.check_same(server, name, harness.Watcher(server, name).finish(), undisturbed)
        log = log_of(server, name)
        assert "data directory is not on this machine" in log and "fetched from the server" in log
        assert "archive of" in log
        again = server.start_job("again", model_name="again", **recovery.SPEC)
        server.wait_job(again)
        assert "from this node's cache" in log_of(server, again)
        harness.wait_for(lambda: not node.pids(), what="the workers to end")
        assert len(node.data_sets()) == 1
        check_nothing_left(server, node)


def test_nothing_is_copied_where_the_data_directory_is_seen(data_dir, node, small_dataset):
    node.hidden = []
    node.use(node.cache)
    with serve(data_dir, node, small_dataset) as server:
        name = server.start_job()
        assert server.wait_job(name).state == job_pb.JOB_STATE_COMPLETED
        assert "archive of" in log_of(server, name)
        assert not node.cache.exists()


def test_a_worker_that_sees_nothing_and_may_not_copy_says_so(data_dir, node, small_dataset):
    node.use(node.cache, cached=False)
    with serve(data_dir, node, small_dataset) as server:
        job = server.wait_job(server.start_job())
        assert job.state == job_pb.JOB_STATE_FAILED
        assert "--worker_cache_dir" in job.transitions[-1].message


@pytest.mark.parametrize("rate", [[], ["--transfer_rate=1MiB"]], ids=["training", "sending"])
def test_another_node_goes_on_from_the_last_checkpoint(middle_undisturbed, data_dir, node, small_dataset, rate):
    """The worker is killed while it trains; with a low rate, also while it sends."""
    with serve(data_dir, node, small_dataset, *rate) as server:
        name = server.start_job("lost", model_name="lost", **MIDDLE_SPEC)
        watcher = harness.Watcher(server, name)
        server.wait_event(name, "checkpoint")
        for attempt in 1, 2:
            harness.wait_for(lambda: server.job(name).state in UNDER_WAY, what="training")
            node.kill()
            node.use(node.cache.parent / f"cache-{attempt}")
            harness.wait_for(lambda: len(server.job(name).attempts) > attempt, what="another attempt")
        job = recovery.check_same(server, name, watcher.finish(), middle_undisturbed)
        assert len(job.attempts) == 3
        assert "continues after epoch" in log_of(server, name, 3)
        assert not parts_of(server)


def test_a_killed_server_gets_the_rest_of_what_it_sent_and_took(middle_undisturbed, data_dir, node, small_dataset):
    """Killed while the data set is fetched, and while the training sends checkpoints."""
    with serve(data_dir, node, small_dataset, "--transfer_rate=1MiB") as server:
        name = server.start_job("restart", model_name="restart", **MIDDLE_SPEC)
        watcher = harness.Watcher(server, name)
        part, = harness.wait_for(node.parts, what="the first piece of the data set")
        begun = part.stat().st_ino
        server.kill()
        server.start()
        recovery.wait_epoch(server, name, 3)
        # The same file was gone on with.
        assert [path.stat().st_ino for path in node.data_sets()] == [begun]
        for epoch in 7, 12:
            recovery.wait_epoch(server, name, epoch)
            server.kill()
            server.start()
        job = recovery.check_same(server, name, watcher.finish(), middle_undisturbed)
        assert len(job.attempts) == 1
        harness.wait_for(lambda: not node.pids(), what="the worker to end")
        check_nothing_left(server, node)


def test_two_workers_fetch_a_data_set_once(data_dir, node, small_dataset):
    with serve(data_dir, node, small_dataset, "--workers=2", "--threads_per_worker=1",
               "--transfer_rate=1MiB") as server:
        names = [server.start_job(f"pair{i}") for i in range(2)]
        for name in names:
            assert server.wait_job(name).state == job_pb.JOB_STATE_COMPLETED
        logs = [log_of(server, name) for name in names]
        assert sum("fetched from the server" in log for log in logs) == 1, logs
        assert sum("from this node's cache" in log for log in logs) == 1


def test_a_damaged_copy_is_fetched_again_and_the_limit_is_kept(data_dir, node, small_dataset, tmp_path):
    (tmp_path / "other").mkdir()
    other = harness.make_subset(tmp_path / "other", training=1500, test=300)
    node.hidden.append(other)
    node.cache_bytes = 2_500_000  # Either of the two data sets, not both.
    node.use(node.cache)
    with serve(data_dir, node, small_dataset) as server:
        server.stop()
        server.datasets["other"] = other
        server.start()
        server.wait_job(server.start_job("first"))
        copy, = node.data_sets()
        content = bytearray(copy.read_bytes())
        content[1000] ^= 1
        copy.write_bytes(content)
        name = server.start_job("second")
        assert server.wait_job(name).state == job_pb.JOB_STATE_COMPLETED
        assert "cache is damaged; it is fetched again" in log_of(server, name)
        assert copy.read_bytes() != content
        server.wait_job(server.start_job("third", dataset="other"))
        used = sum(path.stat().st_size for path in node.cache.glob("datasets/*"))
        assert 0 < used <= node.cache_bytes
        assert len(node.data_sets()) == 1 and not copy.exists()
        node.cache_bytes = 1_000_000
        node.use(node.cache)
        job = server.wait_job(server.start_job("fourth"))
        assert job.state == job_pb.JOB_STATE_FAILED
        assert "--worker_cache_bytes" in job.transitions[-1].message


def test_a_full_disk_of_a_node_is_followed_by_another_attempt(undisturbed, data_dir, node, small_dataset):
    """Room for the data set and a checkpoint or two, not for the next."""
    node.cache.mkdir()
    node.hidden.append(f"{node.cache} -o size=8m,mode=700")
    node.use(node.cache)
    with serve(data_dir, node, small_dataset) as server:
        name = server.start_job("full", model_name="full", **recovery.SPEC)
        watcher = harness.Watcher(server, name)
        harness.wait_for(lambda: len(server.job(name).attempts) > 1, what="another attempt")
        node.hidden.pop()
        node.use(node.cache.parent / "roomy")
        job = recovery.check_same(server, name, watcher.finish(), undisturbed)
        assert any("disk failed" in transition.message for transition in job.transitions), job
        assert "No space left on device" in log_of(server, name)


def test_every_kind_of_job_is_done_with_copies(data_dir, node, small_dataset):
    """An import, trainings, one that starts from a model, one that goes on, an evaluation, a check."""
    with serve(data_dir, node, small_dataset) as server:
        source = shutil.copytree(small_dataset, node.cache.parent / "source")
        server.run("datasets", "push", "own", str(source), check=harness.DONE)
        trained, = server.json("train", "--dataset=own", "--preset=cnn-1", "--epochs=2")[-1:]
        server.run("continue", trained["name"].removeprefix("jobs/"), "--epochs", "+1", check=harness.DONE)
        server.run("train", "--from=cnn-1@1", "--dataset=small", "--epochs=1", check=harness.DONE)
        server.run("evaluate", "cnn-1@1", "--dataset=small", check=harness.DONE)
        server.run("datasets", "check", "own", check=harness.DONE)
        harness.wait_for(lambda: not node.pids(), what="the workers to end")
        check_nothing_left(server, node)
