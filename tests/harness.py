"""Starts the real programs and talks to them: what the integration and fault tests share."""

import importlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc

from idx import read_idx, write_idx  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ATELIER_BIN", ROOT / "build" / "release" / "bin"))
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASS_NAMES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
               "Bag", "Ankle boot"]

# Exit codes of the client.
DONE, ERROR, JOB_FAILED, NOT_FINISHED, NOT_FOUND, STOPPED = 0, 1, 100, 101, 102, 103


# Whoever runs the tests, the client may print UTF-8.
os.environ["LC_ALL"] = "C.UTF-8"


def _generate_stubs():
    """Generates Python messages and stubs with Debian's protoc and its Python plugin."""
    target = pathlib.Path(tempfile.mkdtemp(prefix="atelier-stubs-"))
    protos = [str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").rglob("*.proto")]
    plugin = subprocess.check_output(["which", "grpc_python_plugin"], text=True).strip()
    subprocess.check_call(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={target}",
                           f"--grpc_out={target}", f"--plugin=protoc-gen-grpc={plugin}", *protos])
    # `google` is a package of the protobuf runtime: its search path is widened, not replaced.
    import google
    google.__path__.append(str(target / "google"))
    sys.path.insert(0, str(target))


_generate_stubs()


def proto(module):
    """A generated module, such as `job` or `training_service`."""
    return importlib.import_module(f"atelier.v1.{module}_pb2")


def stubs(module):
    return importlib.import_module(f"atelier.v1.{module}_pb2_grpc")


job_pb, training_pb = proto("job"), proto("training_service")
model_pb, dataset_pb = proto("model_service"), proto("dataset_service")
inference_pb = proto("inference_service")
error_details_pb = importlib.import_module("google.rpc.error_details_pb2")
status_pb = importlib.import_module("google.rpc.status_pb2")


def free_ports(count):
    """TCP ports of loopback that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(condition, timeout=60, what="the condition"):
    """Waits until condition() is true and returns what it returned."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout} s in vain for {what}")


def make_subset(folder, training, test):
    """The first images of Fashion-MNIST as a data set of its own."""
    for part, count in (("train", training), ("t10k", test)):
        for kind in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
            write_idx(folder / f"{part}-{kind}", read_idx(FASHION_MNIST / f"{part}-{kind}")[:count])
    (folder / "class_names.json").write_text(json.dumps(CLASS_NAMES))
    return folder


class Server:
    """An `atelierd` on free ports. Stopped and started again, it keeps its folder and address."""

    def __init__(self, data_dir, datasets=None, flags=(), stderr=None):
        self.stderr = stderr  # Where its log goes; None for a file beside its folder.
        self.environment = {}  # Variables besides this process' own, from its next start on.
        self.data_dir = pathlib.Path(data_dir)
        self.datasets = datasets or {}
        self.flags = list(flags)
        self.process = None
        self.address = "127.0.0.1:0"
        self.metrics_address = "127.0.0.1:0"
        self.log = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        try:
            if self.process and self.process.poll() is None:
                self.stop()
        finally:
            self._kill(self.worker_pids())

    def command(self):
        names = ",".join(f"{name}={folder}" for name, folder in self.datasets.items())
        return [str(BIN / "atelierd"), f"--listen={self.address}",
                f"--metrics_listen={self.metrics_address}", f"--data_dir={self.data_dir}",
                *([f"--datasets={names}"] if names else []), *self.flags]

    def start(self):
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE,
                                            stderr=log if self.stderr is None else self.stderr,
                                            env={**os.environ, **self.environment})
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"atelierd: serving on (\S+), metrics on (\S+)\n", line)
        if not found:
            raise AssertionError(f"atelierd said {line!r}; its log: {self.log.read_text()[-3000:]}")
        self.address, self.metrics_address = found.groups()
        self.channel = grpc.insecure_channel(
            self.address, options=[("grpc.max_receive_message_length", 64 << 20),
                                   ("grpc.use_local_subchannel_pool", 1)])
        self.training = stubs("training_service").TrainingServiceStub(self.channel)
        self.models = stubs("model_service").ModelServiceStub(self.channel)
        self.dataset_service = stubs("dataset_service").DatasetServiceStub(self.channel)
        self.inference = stubs("inference_service").InferenceServiceStub(self.channel)
        return self

    def stop(self, timeout=60):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended(timeout)

    def kill(self):
        """kill -9."""
        self.process.kill()
        self._ended(10)

    def _ended(self, timeout):
        self.channel.close()
        status = self.process.wait(timeout)
        self.process.stdout.close()
        return status

    def worker_pids(self):
        """The workers of this server's data folder, also those that an earlier server started."""
        pids = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                folder = os.readlink(entry / "fd" / "1")
            except (OSError, UnicodeDecodeError):
                continue
            if command[0].endswith("atelier-worker") and folder.startswith(f"{self.data_dir}/"):
                pids.append(int(entry.name))
        return pids

    def kill_workers(self):
        """kill -9; fails where there is no worker, since then nothing would be tested."""
        pids = self.worker_pids()
        assert pids, "there is no worker to kill"
        self._kill(pids)

    @staticmethod
    def _kill(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    # The client.

    def run(self, *arguments, check=None, timeout=300, **options):
        """Runs `atelier`; with `check`, asserts its exit code."""
        finished = subprocess.run([str(BIN / "atelier"), f"--server={self.address}", *map(str, arguments)],
                                  capture_output=True, text=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, **options)
        if check is not None:
            assert finished.returncode == check, (arguments, finished.returncode, finished.stdout,
                                                  finished.stderr)
        return finished

    def json(self, *arguments, check=DONE):
        """Runs `atelier --output=json` and returns the object of each line."""
        lines = self.run("--output=json", *arguments, check=check).stdout.splitlines()
        return [json.loads(line) for line in lines]

    # Jobs.

    def start_job(self, base_name="job", request_id="", **spec):
        """Starts a small quick training unless `spec` says otherwise; returns the job's name."""
        fields = dict(preset="dense", dataset="small", epochs=2, seed=7, cores=1, shards=2)
        fields.update(spec)
        request = training_pb.StartTrainingRequest(
            spec=job_pb.TrainingSpec(**fields), base_name=base_name, request_id=request_id)
        return self.training.StartTraining(request).name

    def job(self, name):
        return self.training.GetJob(training_pb.GetJobRequest(name=name))

    def wait_job(self, name, *states, timeout=300):
        """Waits until the job is in one of the states, by default an end state."""
        states = states or ("COMPLETED", "FAILED", "STOPPED")

        def reached():
            job = self.job(name)
            state = job_pb.JobState.Name(job.state).removeprefix("JOB_STATE_")
            if state in states:
                return job
            assert state not in ("COMPLETED", "FAILED", "STOPPED"), (state, states, job.transitions)
            return None

        return wait_for(reached, timeout, f"{name} to be {' or '.join(states)}")

    def events(self, name, after=0, until=None, timeout=120):
        """All events of a job until it ends, or until until(event) is true."""
        request = training_pb.StreamMetricsRequest(name=name, after_number=after)
        stream = self.training.StreamMetrics(request, timeout=timeout)
        received = []
        for event in stream:
            received.append(event)
            if until and until(event):
                stream.cancel()
                break
        return received

    def wait_event(self, name, kind, after=0, timeout=120):
        """Waits for an event of the kind and returns it."""
        return self.events(name, after, lambda e: e.WhichOneof("event") == kind, timeout)[-1]

    # Models.

    def answering(self, model, reference=""):
        """The number of the version that classifies a 28×28 image; the error in its place."""
        name = f"models/{model}/versions/{reference}" if reference else f"models/{model}"
        try:
            answer = self.inference.Classify(inference_pb.ClassifyRequest(
                model=name, raw=inference_pb.RawImages(pixels=bytes(28 * 28))))
        except grpc.RpcError as error:
            return error
        return int(answer.model_version.rsplit("/", 1)[1])


class Watcher(threading.Thread):
    """Follows a job's events until it ends, coming back after every break."""

    def __init__(self, server, name, timeout=180):
        super().__init__(daemon=True)
        self.server, self.name_, self.deadline = server, name, time.monotonic() + timeout
        self.events, self.breaks = [], 0
        self.start()

    def run(self):
        while time.monotonic() < self.deadline:
            after = self.events[-1].number if self.events else 0
            channel = grpc.insecure_channel(self.server.address,
                                            options=[("grpc.use_local_subchannel_pool", 1)])
            stub = stubs("training_service").TrainingServiceStub(channel)
            try:
                for event in stub.StreamMetrics(
                        training_pb.StreamMetricsRequest(name=self.name_, after_number=after)):
                    self.events.append(event)
                return
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    raise
                self.breaks += 1
                time.sleep(0.05)
            finally:
                channel.close()
        raise AssertionError(f"{self.name_} did not end in time")

    def finish(self, timeout=180):
        self.join(timeout)
        assert not self.is_alive(), "the watcher did not end"
        return self.events


def without_withdrawn(events):
    """What a client shows: events of withdrawn progress dropped."""
    kept = []
    for event in events:
        if event.WhichOneof("event") == "rewound":
            first = event.rewound.first_withdrawn
            kept = [e for e in kept if e.number < first
                    or e.WhichOneof("event") not in ("step", "epoch", "checkpoint", "early_stop")]
        kept.append(event)
    return kept


def kinds(events, kind):
    return [getattr(e, kind) for e in events if e.WhichOneof("event") == kind]


def state_names(events):
    return [job_pb.JobState.Name(t.state).removeprefix("JOB_STATE_")
            for t in kinds(events, "transition")]


def error_details(error):
    """The details of an RPC's error: its BadRequest's violations by field, and its ErrorInfo."""
    violations, info = {}, None
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb.Status.FromString(value).details:
                if detail.Is(error_details_pb.BadRequest.DESCRIPTOR):
                    bad = error_details_pb.BadRequest()
                    detail.Unpack(bad)
                    violations = {v.field: v.description for v in bad.field_violations}
                elif detail.Is(error_details_pb.ErrorInfo.DESCRIPTOR):
                    info = error_details_pb.ErrorInfo()
                    detail.Unpack(info)
    return violations, info
