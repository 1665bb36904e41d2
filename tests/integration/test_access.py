"""Who may do what: tokens, roles, certificates' names and contexts, with the real programs."""

import importlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import grpc
import pytest

import harness
from test_tls import Authority, complaint, server_flags

admin_pb = harness.proto("admin_service")
SERVICES = [harness.proto(name) for name in ("admin_service", "dataset_service", "experiment_service",
                                             "inference_service", "model_service",
                                             "monitoring_service", "training_service")]
OPEN = {"/grpc.health.v1.Health/Check", "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady"}
NOBODY = {**os.environ, "ATELIER_CONFIG": "/nonexistent/config"}


def atelier(*words, **options):
    """Runs the client where no server is meant."""
    return subprocess.run([str(harness.BIN / "atelier"), *map(str, words)], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL,
                          **{"env": NOBODY, **options})


def add_token(file, name, role):
    """Makes a token as an operator does; returns it."""
    ended = atelier("admin", "token", "add", name, f"--role={role}", f"--file={file}")
    assert ended.returncode == harness.DONE, ended.stderr
    return ended.stdout.strip()


class Guarded(harness.Server):
    """A server that asks callers who they are, and a token for each role and for `other`, a second
    operator."""

    def __init__(self, folder, datasets, flags=()):
        self.folder = folder
        self.file = folder / "access"
        folder.mkdir(parents=True, exist_ok=True)
        self.tokens, self.paths = {}, {}
        for name, role in (("app", "classify"), ("reader", "viewer"), ("alice", "operator"),
                           ("other", "operator"), ("root", "admin")):
            self.tokens[name] = add_token(self.file, name, role)
            self.paths[name] = folder / f"{name}.token"
            self.paths[name].write_text(self.tokens[name] + "\n")
        super().__init__(folder / "data", datasets, [f"--access_file={self.file}", *flags])

    def by(self, name, *words, **options):
        """Runs the client as that caller."""
        return self.run(f"--token-file={self.paths[name]}", *words, **options)

    def call(self, name, method, request):
        metadata = [("authorization", f"Bearer {self.tokens[name]}")] if name else []
        return method(request, metadata=metadata, timeout=60)

    def train(self, name, base_name, **spec):
        fields = dict(preset="dense", dataset="small", epochs=1, seed=7, cores=1, shards=2)
        request = harness.training_pb.StartTrainingRequest(
            spec=harness.job_pb.TrainingSpec(**{**fields, **spec}), base_name=base_name)
        return self.call(name, self.training.StartTraining, request)

    def await_end(self, job):
        request = harness.training_pb.GetJobRequest(name=job)
        ended = {harness.job_pb.JOB_STATE_COMPLETED, harness.job_pb.JOB_STATE_STOPPED,
                 harness.job_pb.JOB_STATE_FAILED}

        def reached():
            seen = self.call("root", self.training.GetJob, request)
            return seen if seen.state in ended else None
        return harness.wait_for(reached, 120, f"the end of {job}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, small_dataset):
    with Guarded(tmp_path_factory.mktemp("guarded"), {"small": small_dataset}) as running:
        yield running


@pytest.fixture(scope="module")
def alices_job(guarded):
    job = guarded.train("alice", "hers", model_name="hers")
    return guarded.await_end(job.name)


def refusal(call, *arguments):
    """The code and reason with which a call is refused, and its sentence."""
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments)
    info = harness.error_details(raised.value)[1]
    assert info is not None, raised.value
    return raised.value.code().name, info.reason, raised.value.details()


def methods():
    modules = [*SERVICES, importlib.import_module("inference.grpc_service_pb2")]
    return ["/grpc.health.v1.Health/Check",
            *(f"/{service.full_name}/{method.name}" for module in modules
              for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods)]


def test_no_method_but_probes_answers_a_stranger(guarded):
    paths = methods()
    assert len(paths) > 50
    for path in paths:
        call = guarded.channel.unary_unary(path)
        if path in OPEN:
            call(b"", timeout=30)
            continue
        code, reason, words = refusal(lambda: call(b"", timeout=30))
        assert (code, reason) == ("UNAUTHENTICATED", "NO_CREDENTIALS") and "--token-file" in words, path


@pytest.mark.parametrize("name, reaches", [
    ("app", {"InferenceService/Classify", "GRPCInferenceService/ModelInfer", "AdminService/GetCaller"}),
    ("reader", {"TrainingService/ListJobs", "ModelService/ListModels", "MonitoringService/GetMetrics"}),
    ("alice", {"TrainingService/StartTraining", "ModelService/SetAlias", "DatasetService/CreateUpload"}),
    ("root", set()),
])
def test_roles_are_steps(guarded, name, reaches):
    """Every method either is refused for the role, or answers as it does for its admin."""
    refused = set()
    for path in methods():
        call = guarded.channel.unary_unary(path)
        try:
            call(b"", timeout=5, metadata=[("authorization", f"Bearer {guarded.tokens[name]}")])
        except grpc.RpcError as error:
            info = harness.error_details(error)[1]
            if error.code() == grpc.StatusCode.PERMISSION_DENIED and info.reason == "ROLE_NEEDED":
                assert name in error.details()
                refused.add(path.split(".")[-1])
    assert not reaches & refused
    if name == "app":
        assert "TrainingService/ListJobs" in refused and "ModelService/DownloadModel" in refused
    if name == "reader":
        assert {"TrainingService/StartTraining", "TrainingService/StopJob", "ModelService/SetAlias",
                "ModelService/DeleteModel", "DatasetService/CreateUpload",
                "GRPCInferenceService/RepositoryModelUnload"} <= refused
    if name == "root":
        assert not refused


def test_the_client_says_what_is_missing(guarded):
    ended = guarded.run("jobs", env=NOBODY)
    assert ended.returncode == harness.ERROR and ended.stderr.count("\n") == 1
    assert "give a token with --token-file or ATELIER_TOKEN_FILE" in ended.stderr
    ended = guarded.by("reader", "train", "--preset=dense", "--dataset=small", "--detach")
    assert "StartTraining needs the role operator, but reader has the role viewer" in ended.stderr
    assert guarded.run("health", env=NOBODY, check=harness.DONE)
    environment = {**NOBODY, "ATELIER_TOKEN_FILE": str(guarded.paths["reader"])}
    guarded.run("jobs", env=environment, check=harness.DONE)


def test_whoami(guarded):
    assert guarded.by("alice", "admin", "whoami", check=harness.DONE).stdout == "alice, operator, by token\n"
    shown = json.loads(guarded.by("app", "--output=json", "admin", "whoami").stdout)
    assert (shown["name"], shown["role"], shown["credential"]) == ("app", "CALLER_ROLE_CLASSIFY", "token")


def test_a_server_that_asks_nobody_says_so(shared_server):
    ended = shared_server.run("admin", "whoami", check=harness.DONE)
    assert "asks nobody who they are" in ended.stdout


def test_the_creator_is_recorded(guarded, alices_job):
    assert alices_job.creator == "alice"
    request = harness.model_pb.GetModelRequest(name="models/hers")
    version = guarded.call("reader", guarded.models.GetModel, request).versions[0]
    assert version.creator == "alice"
    alias = harness.model_pb.SetAliasRequest(name="models/hers", alias="best", version=version.version)
    model = guarded.call("other", guarded.models.SetAlias, alias)
    aliases = {one.alias: one for one in model.aliases}
    assert aliases["best"].creator == "other" and aliases["best"].update_time.seconds > 1_700_000_000
    assert aliases["latest"].creator == ""
    assert "creator=alice" in guarded.log.read_text()


def test_an_operator_changes_only_what_is_its_own(guarded):
    job = guarded.train("alice", "long", epochs=200).name
    stop = harness.training_pb.StopJobRequest(name=job)
    code, reason, words = refusal(guarded.call, "other", guarded.training.StopJob, stop)
    assert (code, reason) == ("PERMISSION_DENIED", "NOT_YOURS")
    assert f"{job} was made by alice, and other with the role operator" in words
    guarded.call("alice", guarded.training.StopJob, stop)
    guarded.await_end(job)
    delete = harness.training_pb.DeleteJobRequest(name=job)
    assert refusal(guarded.call, "other", guarded.training.DeleteJob, delete)[1] == "NOT_YOURS"
    guarded.call("root", guarded.training.DeleteJob, delete)


def test_models_belong_to_who_trained_them(guarded, alices_job):
    guarded.await_end(guarded.train("alice", "kept", model_name="kept").name)
    guarded.await_end(guarded.train("other", "kept", model_name="kept").name)
    for name in ("models/kept/versions/1", "models/kept"):
        request = harness.model_pb.DeleteModelRequest(name=name)
        assert refusal(guarded.call, "other", guarded.models.DeleteModel, request)[1] == "NOT_YOURS"
    own = harness.model_pb.DeleteModelRequest(name="models/kept/versions/2", force=True)
    guarded.call("other", guarded.models.DeleteModel, own)
    guarded.call("alice", guarded.models.DeleteModel,
                 harness.model_pb.DeleteModelRequest(name="models/kept", force=True))


def test_experiments_and_their_jobs_belong_to_who_started_them(guarded):
    ended = guarded.by("alice", "--output=json", "sweep", "--preset=dense", "--dataset=small", "--seeds=1",
                       "--epochs=1", "--cores=1", "--name=owned", "--detach", check=harness.DONE)
    name = json.loads(ended.stdout.splitlines()[0])["name"]
    experiments = harness.stubs("experiment_service").ExperimentServiceStub(guarded.channel)
    pb = harness.proto("experiment_service")

    def finished():
        seen = guarded.call("reader", experiments.GetExperiment, pb.GetExperimentRequest(name=name))
        return seen if seen.HasField("end_time") else None
    seen = harness.wait_for(finished, 120, "the experiment's end")
    assert seen.creator == "alice"
    job = guarded.call("reader", guarded.training.GetJob,
                       harness.training_pb.GetJobRequest(name=seen.runs[0].job))
    assert job.creator == "alice"
    request = pb.DeleteExperimentRequest(name=name)
    assert refusal(guarded.call, "other", experiments.DeleteExperiment, request)[1] == "NOT_YOURS"
    guarded.call("alice", experiments.DeleteExperiment, request)


def test_data_sets_and_uploads_belong_to_who_pushed_them(guarded, tmp_path):
    import numpy
    file = tmp_path / "tiny.npz"
    numpy.savez(file, images=numpy.arange(40 * 64, dtype=numpy.uint8).reshape(40, 8, 8),
                labels=numpy.arange(40) % 2)
    guarded.by("alice", "datasets", "push", "tiny", file, check=harness.DONE)
    shown = json.loads(guarded.by("reader", "--output=json", "datasets", "show", "tiny",
                                  check=harness.DONE).stdout.splitlines()[0])
    assert shown["creator"] == "alice"
    ended = guarded.by("other", "datasets", "delete", "tiny@1")
    assert ended.returncode == harness.ERROR and "was made by alice" in ended.stderr
    announcement = harness.dataset_pb.CreateUploadRequest(dataset="datasets/part", size_bytes=10,
                                                          sha256="0" * 64)
    service = guarded.dataset_service
    upload = guarded.call("alice", service.CreateUpload, announcement)
    assert upload.creator == "alice"
    assert guarded.call("other", service.CreateUpload, announcement).name != upload.name
    assert guarded.call("alice", service.CreateUpload, announcement).name == upload.name
    piece = harness.dataset_pb.WriteUploadRequest(name=upload.name, data=b"12345")
    assert refusal(guarded.call, "other", service.WriteUpload, iter([piece]))[1] == "NOT_YOURS"
    assert guarded.call("alice", service.WriteUpload, iter([piece])).received_bytes == 5
    for request, method in ((harness.dataset_pb.DeleteUploadRequest(name=upload.name), service.DeleteUpload),
                            (harness.dataset_pb.ImportDatasetRequest(upload=upload.name),
                             service.ImportDataset)):
        assert refusal(guarded.call, "other", method, request)[1] == "NOT_YOURS"
    guarded.by("alice", "datasets", "delete", "tiny@1", check=harness.DONE)


def test_the_file_is_followed_without_dropping_connections(guarded):
    list_jobs = harness.training_pb.ListJobsRequest()
    guarded.tokens["late"] = add_token(guarded.file, "late", "viewer")

    def answers(code):
        try:
            guarded.call("late", guarded.training.ListJobs, list_jobs)
            return code is None
        except grpc.RpcError as error:
            return error.code() == code
    job = guarded.train("alice", "watched", epochs=10000, patience=10000).name
    watch = guarded.training.StreamMetrics(harness.training_pb.StreamMetricsRequest(name=job),
                                           metadata=[("authorization", f"Bearer {guarded.tokens['reader']}")])
    next(watch)
    harness.wait_for(lambda: answers(None), what="the new token to be known")
    ended = atelier("admin", "token", "remove", "late", f"--file={guarded.file}")
    assert ended.returncode == harness.DONE, ended.stderr
    harness.wait_for(lambda: answers(grpc.StatusCode.UNAUTHENTICATED), what="the token to be forgotten")
    for _ in range(3):
        next(watch)
    watch.cancel()
    guarded.call("alice", guarded.training.StopJob, harness.training_pb.StopJobRequest(name=job))
    guarded.await_end(job)


def test_a_file_that_becomes_wrong_is_reported_and_changes_nothing(guarded):
    before = guarded.file.read_text()
    guarded.file.write_text(before + "token nobody\n")
    unusable = "\natelier_access_file_unusable 1\n"
    harness.wait_for(lambda: unusable in metrics_page(guarded), what="the metric")
    guarded.call("reader", guarded.training.ListJobs, harness.training_pb.ListJobsRequest())
    complaint_words = "the line needs a name and a role. What it said before goes on."
    harness.wait_for(lambda: complaint_words in guarded.log.read_text(), what="the log")
    guarded.file.write_text(before)
    harness.wait_for(lambda: unusable not in metrics_page(guarded), what="the metric")


def metrics_page(server):
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as page:
        return page.read().decode()


def test_refusals_are_counted_and_logged(guarded):
    def count(reason):
        found = re.search(rf'^atelier_calls_refused_total{{reason="{reason}"}} (\d+)', metrics_page(guarded),
                          re.M)
        return int(found.group(1)) if found else 0
    before = count("UNKNOWN_TOKEN"), count("NO_CREDENTIALS"), count("ROLE_NEEDED")
    list_jobs = harness.training_pb.ListJobsRequest()
    for header in ("Bearer wrong", None):
        metadata = [("authorization", header)] if header else []
        with pytest.raises(grpc.RpcError):
            guarded.training.ListJobs(list_jobs, metadata=metadata, timeout=30)
    refusal(guarded.call, "app", guarded.training.ListJobs, list_jobs)
    after = count("UNKNOWN_TOKEN"), count("NO_CREDENTIALS"), count("ROLE_NEEDED")
    assert after == tuple(number + 1 for number in before)
    log = guarded.log.read_text()
    assert re.search(r"app at ipv4:127.0.0.1:\d+ was refused /\S+ \(ROLE_NEEDED\)", log)
    assert re.search(r"A stranger at ipv4:127.0.0.1:\d+ was refused /\S+ \(UNKNOWN_TOKEN\)", log)
    assert not any(token in log for token in guarded.tokens.values())
    assert not any(token in guarded.file.read_text() for token in guarded.tokens.values())


@pytest.mark.parametrize("flags, words", [
    (["--access_file={0}/none"], ["--access_file: ", "/none cannot be used: No such file"]),
    (["--access_file={0}/wrong"], ["--access_file: ", "line 1: 'user' begins no line"]),
    (["--access_file={0}/good", "--listen=0.0.0.0:0", "--allow_insecure"],
     ["--access_file", "plain text", "--tls_cert"]),
])
def test_a_server_whose_access_file_is_useless_does_not_start(tmp_path, flags, words):
    (tmp_path / "wrong").write_text("user alice\n")
    (tmp_path / "good").write_text("certificate alice viewer\n")
    sentence = complaint(tmp_path, "--listen=127.0.0.1:0", *(flag.format(tmp_path) for flag in flags))
    assert all(word in sentence for word in words), sentence


# The audit log.

def test_the_audit_log_says_who_did_what(guarded, alices_job):
    guarded.call("other", guarded.models.SetAlias, harness.model_pb.SetAliasRequest(
        name="models/hers", alias="audited", version=1))
    delete = harness.training_pb.DeleteJobRequest(name=alices_job.name)
    refusal(guarded.call, "other", guarded.training.DeleteJob, delete)
    refusal(guarded.call, "app", guarded.training.ListJobs, harness.training_pb.ListJobsRequest())

    def entries(*words):
        ended = guarded.by("root", "--output=json", "admin", "audit", *words, check=harness.DONE)
        return [json.loads(line) for line in ended.stdout.splitlines()]
    found = harness.wait_for(lambda: entries("--by=other", "--on=models/hers"))
    assert found[0]["method"] == "atelier.v1.ModelService/SetAlias" and found[0]["code"] == "OK"
    assert found[0]["role"] == "operator" and found[0]["peer"].startswith("ipv4:127.0.0.1:")
    refused = harness.wait_for(lambda: entries("--by=other", f"--on={alices_job.name}"))[0]
    assert refused["code"] == "PERMISSION_DENIED" and "was made by alice" in refused["message"]
    assert harness.wait_for(lambda: entries("--by=app"))[0]["method"].endswith("ListJobs")
    started = entries("--by=alice", f"--on={alices_job.name}")
    assert started[-1]["method"] == "atelier.v1.TrainingService/StartTraining"
    assert not [entry for entry in entries("--limit=1000") if "Classify" in entry["method"]]
    text = guarded.by("root", "admin", "audit", "--limit=3").stdout.splitlines()
    assert len(text) == 4 and text[0].split()[:5] == ["time", "caller", "call", "resource", "result"]
    ended = guarded.by("alice", "admin", "audit")
    assert ended.returncode == harness.ERROR and "needs the role admin" in ended.stderr


def test_without_tokens_the_audit_log_is_kept_too_and_survives(server):
    name = server.start_job("audited", epochs=1)
    server.wait_job(name)

    def started():
        return [line for line in server.json("admin", "audit") if line["resource"] == name]
    assert harness.wait_for(started)[0]["method"] == "atelier.v1.TrainingService/StartTraining"
    server.stop()
    server.start()
    assert started()
    server.stop()
    server.flags.append("--audit_space=0")
    server.start()
    ended = server.run("admin", "audit")
    assert ended.returncode == harness.ERROR and "--audit_space is 0" in ended.stderr


# Tokens as people handle them.

def test_token_commands(tmp_path):
    file = tmp_path / "access"
    token = add_token(file, "alice", "operator")
    assert re.fullmatch(r"atelier_[0-9a-f]{8}_[0-9a-f]{64}", token)
    assert file.stat().st_mode & 0o777 == 0o640
    file.chmod(0o600)
    file.write_text(file.read_text() + "# kept\n")
    second = json.loads(atelier("--output=json", "admin", "token", "add", "alice", "--role=operator",
                                f"--file={file}").stdout)
    assert second["name"] == "alice" and second["token"] != token
    assert file.stat().st_mode & 0o777 == 0o600 and "# kept\n" in file.read_text()
    listed = [json.loads(line) for line in atelier("--output=json", "admin", "token", "list",
                                                   f"--file={file}").stdout.splitlines()]
    assert [(one["name"], one["role"]) for one in listed] == [("alice", "operator")] * 2
    assert atelier("admin", "token", "remove", second["id"], f"--file={file}").returncode == harness.DONE
    assert file.read_text().count("token alice") == 1 and "# kept\n" in file.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["access"]


@pytest.mark.parametrize("words, complaint_words", [
    (["add", "alice", "--role=boss"], ["--role: 'boss' is not classify, viewer"]),
    (["add", "-- bad", "--role=viewer"], ["is no name"]),
    (["add", "admin", "--role=viewer"], ["word for a role"]),
    (["add", "bob", "--role=admin"], ["bob has the role viewer already"]),
    (["remove", "alice"], ["no token with the name or id 'alice'", "there are: bob"]),
])
def test_token_commands_refuse_what_is_wrong(tmp_path, words, complaint_words):
    file = tmp_path / "access"
    add_token(file, "bob", "viewer")
    before = file.read_text()
    ended = atelier("admin", "token", words[0], f"--file={file}", *words[2:], "--", words[1])
    assert ended.returncode in (harness.ERROR, harness.NOT_FOUND) and not ended.stdout
    assert all(word in ended.stderr for word in complaint_words), ended.stderr
    assert file.read_text() == before


def test_tokens_added_at_once_are_all_kept(tmp_path):
    file = tmp_path / "access"
    running = [subprocess.Popen([str(harness.BIN / "atelier"), "admin", "token", "add", f"user{i}",
                                 "--role=viewer", f"--file={file}"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=NOBODY) for i in range(8)]
    assert all(process.wait(60) == 0 for process in running)
    assert len(file.read_text().splitlines()) == 8


@pytest.mark.parametrize("content, words", [
    (None, ["--token-file: ", "does not exist"]),
    ("", ["holds no token, which begins with atelier_"]),
    ("atelier_12345678_00", ["holds no token"]),
])
def test_a_token_file_that_holds_none_is_refused(tmp_path, content, words):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    ended = atelier("--server=127.0.0.1:1", f"--token-file={file}", "jobs")
    assert ended.returncode == harness.ERROR
    assert all(word in ended.stderr for word in words), ended.stderr


@pytest.mark.parametrize("server", ["192.0.2.1:50051", "127.example.com:1", "train.example.com:50051",
                                    "[2001:db8::1]:1"])
def test_a_token_never_travels_in_plain_text(tmp_path, server):
    token = tmp_path / "token"
    token.write_text(add_token(tmp_path / "access", "a", "viewer"))
    ended = atelier(f"--server={server}", f"--token-file={token}", "jobs")
    assert ended.returncode == harness.ERROR
    assert "in plain text; give --tls-ca" in ended.stderr


# Contexts.

def test_contexts_name_servers(guarded, tmp_path):
    config = tmp_path / "config"
    (tmp_path / "reader.token").write_text(guarded.tokens["reader"])
    config.write_text(f"current = lab  # the usual one\n\n[lab]\nserver = {guarded.address}\n"
                      f"token-file = reader.token\n\n[nowhere]\nserver = 127.0.0.1:1\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ATELIER_")}
    environment["ATELIER_CONFIG"] = str(config)

    def whoami(*words, **more):
        return atelier(*words, "admin", "whoami", env={**environment, **more})
    assert whoami().stdout == "reader, viewer, by token\n"
    assert whoami("--context=lab").stdout == "reader, viewer, by token\n"
    assert whoami(ATELIER_CONTEXT="lab", ATELIER_SERVER="127.0.0.1:1").stdout == "reader, viewer, by token\n"
    assert "127.0.0.1:1" in whoami("--context=nowhere").stderr
    assert "give a token" in whoami(f"--server={guarded.address}").stderr, "no other server's token"
    assert "give a token" in whoami(ATELIER_SERVER=guarded.address).stderr
    assert "give a token" in whoami(f"--server={guarded.address}", ATELIER_CONTEXT="lab").stderr
    unknown = whoami("--context=home")
    assert unknown.returncode == harness.ERROR and "has no context 'home'; it has: lab, nowhere" in unknown.stderr


@pytest.mark.parametrize("text, words", [
    ("server = a:1\n", ["line 1: 'server' stands before the first [NAME]"]),
    ("[a]\ncolour = red\n", ["line 2: 'colour' is no key; it must be server, tls-ca"]),
    ("[a]\nserver\n", ["line 2: it must be [NAME] or KEY = VALUE"]),
    ("[a\n", ["line 1: a context begins with its name in brackets"]),
    ("current = a\n", ["has no context 'a'; it has: none"]),
])
def test_a_configuration_file_that_is_wrong_is_refused(tmp_path, text, words):
    config = tmp_path / "config"
    config.write_text(text)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ATELIER_")}
    ended = atelier("jobs", env={**environment, "ATELIER_CONFIG": str(config)})
    assert ended.returncode == harness.ERROR
    assert str(config) in ended.stderr and all(word in ended.stderr for word in words), ended.stderr


# The metrics page.

def read_page(address, *words):
    """The status and text of the page; 0 and the complaint if there is no answer."""
    ended = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "30", "-w", "\n%{http_code}",
                            *words, f"{address}/metrics"], capture_output=True, text=True, timeout=60)
    text, _, status = ended.stdout.rpartition("\n")
    return int(status), text or ended.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_metrics_page_asks_for_a_token(tmp_path, small_dataset):
    with Guarded(tmp_path, {"small": small_dataset}, ["--metrics_token"]) as server:
        assert read_page(server.metrics_address)[0] == 401
        assert read_page(server.metrics_address, "--user", "prometheus:wrong")[0] == 401
        assert read_page(server.metrics_address, "--user", f"prometheus:{server.tokens['app']}")[0] == 401
        for words in (["--user", f"prometheus:{server.tokens['reader']}"],
                      ["--header", f"Authorization: Bearer {server.tokens['reader']}"]):
            status, text = read_page(server.metrics_address, *words)
            assert status == 200 and "atelier_build_info" in text


@pytest.mark.parametrize("flags, words", [
    (["--metrics_token"], ["--metrics_token", "needs --access_file"]),
    (["--metrics_token", "--access_file={0}/access", "--metrics_listen=0.0.0.0:0"],
     ["--metrics_token", "plain text", "--metrics_tls"]),
    (["--metrics_tls"], ["--metrics_tls", "needs --tls_cert"]),
])
def test_flags_of_the_metrics_page_that_do_not_fit(tmp_path, flags, words):
    (tmp_path / "access").write_text("")
    sentence = complaint(tmp_path, "--listen=127.0.0.1:0", *(flag.format(tmp_path) for flag in flags))
    assert all(word in sentence for word in words), sentence


# Certificates.

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    authority.issue("server")
    authority.issue("bob", "DNS:bob")
    authority.issue("eve", "DNS:eve")
    return folder


def identity(folder, name):
    return [f"--tls-ca={folder}/ca.crt", f"--tls-cert={folder}/{name}.crt", f"--tls-key={folder}/{name}.key"]


def test_a_certificate_names_its_holder(certificates, tmp_path, small_dataset):
    flags = server_flags(certificates, client_ca="ca")
    with harness.Server(tmp_path / "data", {"small": small_dataset}, flags) as server:
        ended = server.run("--output=json", "train", *identity(certificates, "bob"), "--preset=dense",
                           "--dataset=small", "--epochs=1", "--cores=1", "--detach", env=NOBODY,
                           check=harness.DONE)
        assert json.loads(ended.stdout.splitlines()[0])["creator"] == "bob"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_metrics_page_over_https(tmp_path, small_dataset):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    authority.issue("server")
    other.issue("renewed")

    def page(server, *words, scheme="https"):
        return read_page(f"{scheme}://{server.metrics_address}", *words)

    flags = [*server_flags(tmp_path), "--metrics_tls", "--metrics_token"]
    with Guarded(tmp_path, {"small": small_dataset}, flags) as server:
        token = ["--header", f"Authorization: Bearer {server.tokens['reader']}"]
        trusted, renewed = (["--cacert", a.path(f"{a.name}.crt")] for a in (authority, other))
        status, text = page(server, *trusted, *token)
        assert status == 200 and "atelier_build_info" in text
        assert page(server, *trusted)[0] == 401
        assert page(server, *token)[0] == 0, "who issued the certificate is all the same"
        assert page(server, *trusted, *token, scheme="http")[0] == 0
        assert page(server, *trusted, *token, "--tls-max", "1.1")[0] == 0
        # A key whose certificate is still to come changes nothing; both together are shown soon.
        os.replace(other.path("renewed.key"), authority.path("server.key"))
        time.sleep(6)
        assert page(server, *trusted, *token)[0] == 200
        os.replace(other.path("renewed.crt"), authority.path("server.crt"))
        harness.wait_for(lambda: page(server, *renewed, *token)[0] == 200)
        assert page(server, *trusted, *token)[0] == 0


def test_the_access_file_gives_certificates_roles(certificates, tmp_path, small_dataset):
    flags = server_flags(certificates, client_ca="ca")
    with Guarded(tmp_path, {"small": small_dataset}, flags) as server:
        server.file.write_text(server.file.read_text() + "certificate bob viewer\n")
        bob, eve = identity(certificates, "bob"), identity(certificates, "eve")
        harness.wait_for(lambda: server.run("jobs", *bob, env=NOBODY).returncode == harness.DONE)
        assert server.run("admin", "whoami", *bob, env=NOBODY).stdout == "bob, viewer, by certificate\n"
        refused = server.run("jobs", *eve, env=NOBODY)
        assert "does not name the certificate of eve" in refused.stderr
        with_token = server.by("alice", "admin", "whoami", *eve, env=NOBODY, check=harness.DONE)
        assert with_token.stdout == "alice, operator, by token\n"


def test_a_server_open_to_everybody_warns(certificates, tmp_path):
    with harness.Server(tmp_path / "data", flags=server_flags(certificates)) as server:
        server.stop()
        server.address = server.address.replace("127.0.0.1", "0.0.0.0")
        server.start()
        assert "everybody who can reach 0.0.0.0:" in server.log.read_text()
        server.address = server.address.replace("0.0.0.0", "127.0.0.1")
