"""The Python package, built and installed offline, against the real server: from numpy to answers.

It runs in processes of its own, since its messages and those that the tests generate are the same.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy
import pytest
from PIL import Image

import harness
from metrics_page import Page

PACKAGE = harness.ROOT / "client" / "python"
EXAMPLES = PACKAGE / "examples"
OFFLINE = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps"]


class Interpreter:
    """A virtual environment that sees the system's packages."""

    def __init__(self, folder, *options):
        subprocess.run([sys.executable, "-m", "venv", *options, folder], check=True)
        self.path = folder / "bin" / "python"

    def pip_install(self, *words, **options):
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return subprocess.run([self.path, "-m", "pip", "install", *map(str, words)], text=True,
                              capture_output=True, env=environment, **options)

    def start(self, code, server=None, *arguments):
        """A process that runs the code with the imports that everything here needs."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("ATELIER_SERVER", None)
        if server is not None:
            environment["ATELIER_SERVER"] = server.address
        whole = f"import atelier, json, sys, numpy\n{code}"
        return subprocess.Popen([self.path, "-c", whole, *map(str, arguments)], text=True, cwd="/",
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=environment)

    def run(self, code, server=None, *arguments, timeout=120):
        """Runs the code; returns what it printed."""
        process = self.start(code, server, *arguments)
        out, errors = process.communicate(timeout=timeout)
        assert process.returncode == 0, errors
        return out

    def json(self, code, server=None, *arguments):
        """The object that the code prints."""
        return json.loads(self.run(f"client = atelier.connect()\n{code}", server, *arguments))

    def error(self, code, server=None, *arguments):
        """The exception that the code raises: its class, its text, its wrong fields."""
        wrapped = "".join(f"    {line}\n" for line in code.splitlines())
        return json.loads(self.run(
            f"try:\n{wrapped}except atelier.AtelierError as error:\n"
            "    print(json.dumps([type(error).__name__, str(error), getattr(error, 'fields', {})]))\n"
            "else:\n    raise AssertionError('nothing was raised')", server, *arguments))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what the package is built from, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "*_pb2*", "*.binpb")
    shutil.copytree(PACKAGE, folder / "client" / "python", ignore=ignored)
    shutil.copytree(harness.ROOT / "proto", folder / "proto")
    return folder / "client" / "python"


@pytest.fixture(scope="module")
def python(sources, tmp_path_factory):
    """An interpreter into which the package was installed without a network."""
    interpreter = Interpreter(tmp_path_factory.mktemp("venv"), "--system-site-packages")
    installed = interpreter.pip_install(*OFFLINE, sources)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return interpreter


@pytest.fixture(scope="module")
def trained(shared_server):
    """A server with the model `net`, and the job that made it."""
    job = shared_server.wait_job(shared_server.start_job("net", preset="cnn-1", model_name="net"))
    assert job.state == harness.job_pb.JOB_STATE_COMPLETED
    shared_server.net_job = job.name
    return shared_server


@pytest.fixture(scope="module")
def test_set(small_dataset, tmp_path_factory):
    """The test images and labels as .npy files."""
    folder = tmp_path_factory.mktemp("arrays")
    numpy.save(folder / "x.npy", harness.read_idx(small_dataset / "t10k-images-idx3-ubyte.gz"))
    numpy.save(folder / "y.npy", harness.read_idx(small_dataset / "t10k-labels-idx1-ubyte.gz"))
    return folder


# Building and installing.

def test_the_version_is_that_of_the_server(python, shared_server):
    text = (harness.ROOT / "CMakeLists.txt").read_text()
    version = re.search(r"project\(atelier VERSION (\S+)", text).group(1)
    found = python.json("check = client.check()\n"
                        "print(json.dumps([atelier.__version__, check.version, check.serving]))",
                        shared_server)
    assert found == [version, version, True]


def test_types_are_installed_and_nothing_outside_of_the_package(python):
    files = python.run("import importlib.metadata\n"
                       "print(*importlib.metadata.files('atelier'), sep='\\n')").split()
    assert {"atelier/py.typed", "atelier/v1/job_pb2.pyi"} <= set(files)
    assert {name.partition("/")[0] for name in files} - {"atelier"} == \
        {name.partition("/")[0] for name in files if ".dist-info" in name}


def test_a_source_distribution_builds_without_the_checkout(sources, tmp_path):
    subprocess.run([sys.executable, "-c", "import sys, setuptools.build_meta as backend\n"
                    "backend.build_sdist(sys.argv[1])", tmp_path], cwd=sources, check=True,
                   capture_output=True)
    [archive] = tmp_path.glob("atelier-*.tar.gz")
    interpreter = Interpreter(tmp_path / "venv", "--system-site-packages")
    installed = interpreter.pip_install(*OFFLINE, archive)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert interpreter.run("print(atelier.v1.job_pb2.TrainingSpec(epochs=2).epochs)") == "2\n"


def test_a_build_without_protoc_says_what_to_install(sources, tmp_path):
    finished = subprocess.run([sys.executable, "-c", "import sys, setuptools.build_meta as backend\n"
                               "backend.build_wheel(sys.argv[1])", tmp_path], cwd=sources,
                              capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert finished.returncode != 0
    assert "apt install protobuf-compiler protobuf-compiler-grpc" in finished.stderr, finished.stderr


# Connecting to several servers.

def test_calls_go_to_several_replicas_and_a_kill_fails_none(python, trained, tmp_path):
    flags = ["--role=serving", f"--registry={trained.data_dir}"]
    with harness.Server(tmp_path / "one", flags=flags) as one, \
            harness.Server(tmp_path / "two", flags=flags) as two:
        process = python.start(f"""
client = atelier.connect("{one.address},{two.address}")
model = client.model("net")
images = numpy.zeros((300, 28, 28), numpy.uint8)
for i in range(400):
    assert len(model.classify(images).labels) == 300
    if i == 100:
        print("now", flush=True)
print("done")
""")
        assert process.stdout.readline() == "now\n", process.stderr.read()
        answered = [sum(value for name, _, value in Page(replica).samples
                        if name == "atelier_inference_requests_total") for replica in (one, two)]
        assert min(answered) > 0.3 * sum(answered), answered
        one.kill()
        out, errors = process.communicate(timeout=120)
        assert out == "done\n", errors


def test_addresses_of_several_servers_are_checked(python):
    for address, words in [("127.0.0.1:1,", "'' is not an address"),
                           ("127.0.0.1:1,unix:/a", "cannot be one of several"),
                           ("nohost.invalid:1,nohost.invalid:2", "None of the names"),
                           ("127.0.0.1:1,127.0.0.1:2", "None of the servers at")]:
        assert words in python.error(f"atelier.connect('{address}')")[1]


# Training.

def test_a_job_is_trained_watched_and_told(python, shared_server):
    found = python.json("""
job = client.train(preset="dense", dataset="small", epochs=2, seed=3, cores=1, shards=2,
                   optimizer="sgd", memory_bytes="512MiB", name="python")
epochs = [epoch.epoch for epoch in job.metrics()]
job.wait(progress=False)
print(json.dumps([job.id, epochs, job.state, job.result.test_accuracy, job.columns(),
                  job.model.name, len(job.logs())]))
""", shared_server)
    job_id, epochs, state, accuracy, columns, model, log_size = found
    job = shared_server.job(f"jobs/{job_id}")
    assert epochs == [1, 2] and state == "completed" and model == "dense" and log_size > 0
    assert job.spec.optimizer == harness.job_pb.OPTIMIZER_SGD and job.spec.memory_bytes == 512 << 20
    assert accuracy == job.result.test_accuracy
    told = harness.kinds(shared_server.events(job.name), "epoch")
    assert columns["validation_loss"] == [epoch.validation_loss for epoch in told]
    assert set(columns) == {field.name for field in harness.job_pb.EpochMetrics.DESCRIPTOR.fields}


def test_metrics_go_on_when_server_and_worker_are_killed(python, server):
    process = python.start("""
job = atelier.connect().train(preset="dense", dataset="small", epochs=10000, patience=10000, seed=5, cores=1,
                              shards=2)
print(job.name)
for epoch in job.metrics():
    print(epoch.epoch, epoch.validation_loss)
print(job.refresh().state)
""", server)
    name = process.stdout.readline().strip()
    lines = [process.stdout.readline() for _ in range(3)]
    server.kill()
    server.start()
    lines += [process.stdout.readline() for _ in range(3)]
    reached = server.job(name).progress.epoch
    server.kill_workers()
    # Beyond what the first attempt can have shown before it was killed.
    harness.wait_for(lambda: len(server.job(name).attempts) == 2
                     and server.job(name).progress.epoch > reached + 20, what="the second attempt to go on")
    server.run("stop", name, check=0)
    lines += process.stdout.read().splitlines()
    assert process.wait(180) == 0, process.stderr.read()
    assert lines.pop() == "stopped"
    # Every epoch once and in order, with the values that stand in the end.
    events = harness.without_withdrawn(server.events(name))
    assert [(int(line.split()[0]), float(line.split()[1])) for line in lines] == \
        [(epoch.epoch, epoch.validation_loss) for epoch in harness.kinds(events, "epoch")]


def test_columns_of_a_running_job_are_those_so_far(python, server):
    name = server.start_job(epochs=10000, patience=10000)
    server.wait_event(name, "epoch")
    epochs = python.json(f"print(json.dumps(client.job('{name}').columns()['epoch']))", server)
    assert epochs and epochs == list(range(1, len(epochs) + 1))
    states = python.json(f"job = client.job('{name}').stop().wait(progress=False)\n"
                         "print(json.dumps([job.state, job.result.stopped_early]))", server)
    assert states == ["stopped", True]


def test_a_failed_job_raises_with_the_reason(python, server):
    # Every step multiplies the weights by 1 - 2.5, until they are no numbers any more.
    name = server.start_job(epochs=1000, patience=1000, learning_rate=2.5, weight_decay=1)
    kind, text, _ = python.error(f"atelier.connect().job('{name}').wait(progress=False)", server)
    assert kind == "JobFailed" and "The training loss became nan" in text, text


def test_progress_is_a_table_that_updates_in_a_notebook(python, shared_server):
    pages = python.json("""
import types
pages = []
class Handle:
    def update(self, page): pages.append(page)
def display(page, display_id): pages.append(page); return Handle()
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1))
sys.modules["IPython.display"] = types.SimpleNamespace(HTML=str, display=display)
client.train(preset="dense", dataset="small", epochs=2, cores=1, shards=2, name="shown").wait()
print(json.dumps(pages))
""", shared_server)
    assert len(pages) >= 2
    assert pages[-1].count("<tr>") == 3 and "completed, test accuracy" in pages[-1]


def test_progress_in_a_terminal_is_lines(python, shared_server):
    text = python.run("""
atelier.connect().train(preset="dense", dataset="small", epochs=2, cores=1, shards=2, name="lines").wait()
""", shared_server)
    assert re.search(r"^ +epoch +train loss", text, re.M) and re.search(r"^ +2 +\d\.\d{4} ", text, re.M)
    assert "completed, test accuracy" in text and "\x1b" not in text


# Errors.

def test_wrong_fields_are_named_by_the_server_and_before_it(python, shared_server):
    kind, text, fields = python.error(
        "atelier.connect().train(preset='dense', epochs=0, dropout=2.0)", shared_server)
    assert kind == "InvalidArgument" and set(fields) == {"epochs", "dropout"}
    assert "it must be 1 to 10000" in fields["epochs"] and fields["epochs"] in text
    _, _, fields = python.error("atelier.connect().train(bach_size=3, lerning_rate=1)", shared_server)
    assert "did you mean batch_size?" in fields["bach_size"]
    assert "did you mean learning_rate?" in fields["lerning_rate"]
    _, _, fields = python.error(
        "atelier.connect().train(optimizer='sdg', epochs='two', conv=3, residual=1, preset=5, "
        "dropout='x', epsilon=True)", shared_server)
    assert "adamw, adam, sgd" in fields["optimizer"]
    assert set(fields) == {"optimizer", "epochs", "conv", "residual", "preset", "dropout", "epsilon"}
    assert not [job for job in shared_server.json("jobs") if job["spec"].get("epochs") == 0]


def test_what_is_missing_is_not_found(python, shared_server):
    kind, text, _ = python.error("atelier.connect().job('nothing')", shared_server)
    assert (kind, text) == ("NotFound", "There is no job nothing. `client.jobs()` lists the jobs.")
    assert python.error("atelier.connect().model('nothing@2')", shared_server)[0] == "NotFound"
    assert python.error("atelier.connect().dataset('nothing')", shared_server)[0] == "NotFound"


def test_a_server_that_is_not_there_is_unavailable(python):
    kind, text, _ = python.error("atelier.connect('127.0.0.1:1')")
    assert kind == "Unavailable" and text.startswith("No server answers at 127.0.0.1:1.")
    assert "not an address" in python.error("atelier.connect('nowhere')")[1]
    assert "There is no host named 'nohost.invalid'" in python.error("atelier.connect('nohost.invalid:5')")[1]


def test_tls_is_told_apart_and_used(python, shared_server, tmp_path, small_dataset):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", tmp_path / "key",
                    "-out", tmp_path / "crt"], check=True, capture_output=True)
    flags = [f"--tls_cert={tmp_path}/crt", f"--tls_key={tmp_path}/key"]
    with harness.Server(tmp_path / "data", {"small": small_dataset}, flags) as server:
        assert "uses TLS: give the CA" in python.error("atelier.connect()", server)[1]
        out = python.run(f"print(atelier.connect(tls_ca='{tmp_path}/crt').check().serving)", server)
        assert out == "True\n"
    text = python.error(f"atelier.connect(tls_ca='{tmp_path}/crt')", shared_server)[1]
    assert "does not use TLS" in text
    text = python.error(f"atelier.connect(tls_ca='{tmp_path}/key')", shared_server)[1]
    assert text.startswith("tls_ca: ") and "PEM" in text


# Classifying.

def test_arrays_floats_and_files_get_the_answer_of_the_command_line(python, trained, test_set, tmp_path):
    images = numpy.load(test_set / "x.npy")[:40]
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index:02}.png")
    found = python.json("""
import pathlib
x = numpy.load(sys.argv[1])[:40]
model = client.model("net")
files = sorted(pathlib.Path(sys.argv[2]).glob("*.png"))
answers = [model.classify(x), model.classify(x[..., None], concurrency=1), model.classify(x / 255.0),
           model.classify(files), model.classify(file.read_bytes() for file in files),
           model.classify(list(x))]
one = model.classify(x[7])
assert len(one) == 1 and abs(one.probabilities - answers[0].probabilities[7]).max() < 1e-6
print(json.dumps([[a.probabilities.tolist() for a in answers], answers[0].names, answers[0].model]))
""", trained, test_set / "x.npy", tmp_path)
    tables, names, version = found
    lines = trained.json("classify", "net", "--top-k=10", *(f"--test-image={i}" for i in range(40)))
    for line, row in zip(lines, zip(names, *tables), strict=True):
        told = line["classifications"][0]["classes"]
        by_index = {each.get("index", 0): each["probability"] for each in told}
        assert row[0] == told[0]["name"]
        for table in row[1:]:
            assert table == pytest.approx([by_index[i] for i in range(10)], abs=1e-6)
    assert version == "models/net/versions/1"


def test_all_test_images_give_the_jobs_own_confusion_matrix(python, trained, test_set):
    same, sums, names = python.json("""
x, y = client.dataset("small").images(range(500))
assert (x == numpy.load(sys.argv[1])).all() and (y == numpy.load(sys.argv[2])).all()
job = client.job(sys.argv[3])
confusion = job.confusion()
labels = job.model.classify(numpy.concatenate([x] * 5), concurrency=3).labels.reshape(5, 500)
counted = numpy.zeros_like(confusion.matrix)
numpy.add.at(counted, (y, labels[4]), 1)
print(json.dumps([bool((counted == confusion.matrix).all() and (labels == labels[0]).all()),
                  confusion.matrix.sum(axis=1).tolist(), confusion.class_names]))
""", trained, test_set / "x.npy", test_set / "y.npy", trained.net_job)
    assert same and sum(sums) == 500 and names == harness.CLASS_NAMES


def test_images_that_do_not_fit_are_refused_by_name(python, trained, tmp_path):
    (tmp_path / "words.png").write_text("no picture")
    model = "atelier.connect().model('net').classify"
    for code, words in (
            (f"{model}(numpy.zeros((3, 5, 5), 'uint8'))", "3×5×5; the model takes N×28×28"),
            (f"{model}(numpy.full((1, 28, 28), 255.0))", "Divide pixels of 0 to 255 by 255"),
            (f"{model}(numpy.full((1, 28, 28), numpy.nan))", "from 0 to 1"),
            (f"{model}(numpy.zeros((1, 28, 28), 'int64'))", "int64; pass uint8"),
            (f"{model}([3])", "images[0]: a int is no image"),
            (f"{model}('{tmp_path}/nothing.png')", f"{tmp_path}/nothing.png: it cannot be read"),
            (f"{model}(['{tmp_path}/words.png'])", f"{tmp_path}/words.png: "),
            (f"{model}(numpy.zeros((28, 28), 'uint8'), resize='crop')", "pad, stretch, none")):
        kind, text, fields = python.error(code, trained)
        assert kind == "InvalidArgument" and words in text and fields, (code, text)


def test_a_model_is_looked_into_named_and_downloaded(python, trained, tmp_path):
    found = python.json("""
model = client.model("net")
filters = model.filters()
maps = model.features(numpy.zeros((28, 28), "uint8"))
path = model.download(sys.argv[1])
named = client.model("net@1").set_alias("chosen").aliases
gone = client.model("net@chosen").remove_alias("chosen").aliases
try:
    model.download(sys.argv[1])
    again = ""
except atelier.AlreadyExists as error:
    again = str(error)
print(json.dumps([filters.values.shape, filters.png[:4].hex(), [one.values.shape for one in maps],
                  str(path), named, gone, again, len(model.download(path, force=True).read_bytes())]))
""", trained, tmp_path)
    shape, png, maps, path, named, gone, again, size = found
    assert shape == [32, 1, 3, 3] and png == b"\x89PNG".hex() and maps[0] == [32, 7, 7]
    assert named == ["chosen", "latest"] and gone == ["latest"] and "exists already" in again
    trained.run("download", "net", "-o", tmp_path / "other.tar.gz", check=harness.DONE)
    assert pathlib.Path(path).read_bytes() == (tmp_path / "other.tar.gz").read_bytes()
    assert size == pathlib.Path(path).stat().st_size
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["net-v1.tar.gz", "other.tar.gz"]


def test_an_answer_is_explained(python, trained, test_set):
    found = python.json("""
x = numpy.load(sys.argv[1])
model = client.model("net")
cam = model.explain(x[0], block=1)
hidden = model.explain(x[0], "occlusion", 3, window=14, stride=14)
print(json.dumps([cam.class_name, model.classify(x[:1]).names[0], cam.values.shape, cam.png[:4].hex(),
                  float(cam.values.min()), hidden.class_name, hidden.values.shape]))
""", trained, test_set / "x.npy")
    name, answer, shape, png, least, hidden, positions = found
    assert name == answer and shape == [7, 7] and png == b"\x89PNG".hex() and least >= 0
    assert hidden == harness.CLASS_NAMES[3] and positions == [2, 2]
    kind, _, fields = python.error("atelier.connect().model('net').explain(numpy.zeros((28, 28), 'uint8'), "
                                   "'guess')", trained)
    assert kind == "InvalidArgument" and "grad_cam, occlusion" in fields["method"]


# Data sets of arrays.

PUSHED = """
x, y = (numpy.load(f"{sys.argv[1]}/{name}.npy") for name in "xy")
"""


def test_arrays_become_a_data_set_that_is_trained_on(python, shared_server, test_set):
    found = python.json(PUSHED + """
mine = client.datasets.push("mine", x[:400], y[:400], x[400:], y[400:], class_names=list("abcdefghij"),
                            progress=False)
images, labels = mine.images(range(100))
same = bool((images == x[400:]).all() and (labels == y[400:]).all())
again = client.datasets.push("mine", x[:400], y[:400], x[400:], y[400:], class_names=list("abcdefghij"),
                             progress=False)
colour = client.datasets.push("mine", numpy.stack([x] * 3, axis=3), y, color="rgb", test_fraction=0.4,
                              progress=False)
job = client.train(preset="dense", dataset="mine@1", epochs=1, cores=1, shards=2).wait(progress=False)
print(json.dumps([mine.name, mine.version, mine.class_names, mine.image_shape, same, again.version,
                  colour.version, colour.image_shape, colour.message.test_images, job.state,
                  client.dataset("mine").version]))
""", shared_server, test_set)
    assert found == ["mine", 1, list("abcdefghij"), [28, 28, 1], True, 1, 2, [28, 28, 3], found[8],
                     "completed", 2]
    assert 190 <= found[8] <= 210


def test_a_model_is_evaluated_and_a_data_set_checked(python, shared_server, test_set):
    found = python.json(PUSHED + """
pushed = client.datasets.push("evaluated", x[:150], y[:150], x[150:200], y[150:200], progress=False,
                              class_names=list("abcdefghij"))
job = client.train(preset="dense", dataset="evaluated", epochs=1, batch_size=32).wait(progress=False)
evaluated = job.model.evaluate(dataset="evaluated@1", split="training").wait(progress=False)
checked = pushed.check(folds=2, seed=3).wait(progress=False)
print(json.dumps({
    "accuracy": evaluated.evaluation.accuracy, "images": evaluated.evaluation.images,
    "matrix": int(evaluated.confusion().matrix.sum()), "wrong": len(evaluated.predictions(most=1000)),
    "all": len(evaluated.predictions(most=1000, wrong_only=False)),
    "none": job.evaluation is None and job.check is None and evaluated.result is None,
    "title": repr(evaluated), "page": evaluated._repr_html_(), "folds": checked.message.check.folds,
    "checked": checked.check.images, "suspicious": len(checked.predictions(most=7)),
    "count": checked.check.suspicious_count}))
""", shared_server, test_set)
    assert found["images"] == found["matrix"] == found["checked"] == found["all"] == 150
    assert found["wrong"] == round(150 * (1 - found["accuracy"]))
    assert found["none"] and "evaluation of dense@" in found["title"] and found["folds"] == 2
    assert "macro_f1" in found["page"] and "evaluated@1" in found["page"], found["page"]
    assert found["suspicious"] == min(7, found["count"])
    kind, text, fields = python.error("atelier.connect().model('dense').evaluate('none')", shared_server)
    assert kind == "InvalidArgument" and "no data set" in text and list(fields) == ["dataset"]


def test_a_push_goes_on_when_the_server_is_killed_in_the_middle(python, server, test_set):
    process = python.start(PUSHED + """
from atelier import pushing
pieces = pushing._Upload._pieces
def interrupted(self):
    for count, piece in enumerate(pieces(self)):
        if count == 20 and piece.offset == 20 << 18:
            print(self._upload.received_bytes, flush=True)
            sys.stdin.readline()
        yield piece
pushing._Upload._pieces = interrupted
mine = atelier.connect().datasets.push("mine", numpy.concatenate([x] * 20), numpy.tile(y, 20),
                                       progress=False)
images, labels = mine.images(range(10), "training")
print(mine.version, mine.message.training_images + mine.message.test_images)
""", server, test_set)
    assert process.stdout.readline() == "0\n"
    server.kill()
    server.start()
    out, errors = process.communicate("go on\n", timeout=180)
    assert process.returncode == 0, errors
    assert out == "1 10000\n"


def test_arrays_that_do_not_fit_are_refused_before_anything_is_sent(python, shared_server, test_set):
    push = PUSHED + "atelier.connect().datasets.push('wrong', "
    for code, name, words in (("x, y[:3])", "y_train", "there are 3 labels and 500 images"),
                              ("x, None)", "y_train", "images and labels come together"),
                              ("x[0], y)", "x_train", "28×28; images are N×H×W"),
                              ("x, y, x / 255.0, y)", "x_test", "float64"),
                              ("x, y / 2)", "y_train", "float64"),
                              ("x, y, colour='grey')", "colour", "did you mean color?"),
                              ("x, y, color='blue')", "color", "auto, grey, rgb")):
        kind, _, fields = python.error(push + code, shared_server, test_set)
        assert kind == "InvalidArgument" and words in fields[name], (code, fields)
    assert "wrong" not in python.run("print(atelier.connect().datasets())", shared_server)


# Experiments.

def test_a_sweep_is_compared_as_the_command_line_compares_it(python, shared_server):
    name, columns, rows, text = python.json("""
experiment = client.sweep(preset=["dense", "cnn-1"], seeds=2, dataset="small", epochs=1, cores=1, shards=2,
                          name="python-sweep")
experiment.wait(progress=False)
comparison = client.compare(experiment.id)
print(json.dumps([experiment.id, comparison.columns(), experiment.columns(), comparison.recommendation]))
""", shared_server)
    assert columns["configuration"] == ["dense", "cnn-1"] and columns["seeds"] == [2, 2]
    assert rows["configuration"] == ["dense", "cnn-1"] * 2 and rows["seed"] == [1, 1, 2, 2]
    told = shared_server.run("compare", name, check=harness.DONE).stdout
    for mean, deviation in zip(columns["test_accuracy"], columns["test_accuracy_std"]):
        assert f"{100 * mean:.2f} %" in told and f"± {100 * deviation:.2f}" in told
    best = re.search(r"Best on the validation images: (\S+) ", told).group(1)
    assert text.startswith(f"Best on the validation images: {best}.")


def test_a_sweep_refuses_wrong_values_with_their_names(python, shared_server):
    sweep = "atelier.connect().sweep(preset='dense', "
    assert set(python.error(f"{sweep}epochs=[0, 1])", shared_server)[2]) == {"epochs=0"}
    assert set(python.error(f"{sweep}seed=1, epochs=[])", shared_server)[2]) == {"seed", "epochs"}
    assert "given twice" in python.error(f"{sweep}epochs=[1, 1])", shared_server)[1]
    assert "at most 1,000 runs" in python.error(f"{sweep}epochs=range(1, 300), seeds=9)", shared_server)[1]


# Examples, and programs of others.

def test_the_notebook_runs_from_top_to_bottom(python, trained):
    notebook = json.loads((EXAMPLES / "study.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert cells[0]["metadata"]["tags"] == ["parameters"]
    small = 'server, dataset, presets, seeds, epochs = None, "small", ["dense", "cnn-1"], 2, 1'
    text = python.run("\n".join([small, *("".join(cell["source"]) for cell in cells[1:])])
                      .replace("range(1000)", "range(100)"), trained)
    assert "images (100, 28, 28) uint8" in text and "filters (32, 1, 3, 3)" in text
    assert re.search(r"\d\d\.00 % of 100 test images", text)


def fetched(tmp_path, *packages):
    """An interpreter with packages from PyPI and this one; skips the test without them."""
    interpreter = Interpreter(tmp_path / "fetched")
    installed = interpreter.pip_install("--quiet", "--retries=1", "--timeout=10", *packages, timeout=300)
    if installed.returncode != 0:
        pytest.skip(f"{', '.join(map(str, packages))} cannot be had from PyPI: "
                    f"{installed.stderr.strip().splitlines()[-1:]}")
    return interpreter


def test_optuna_searches_and_stops_what_it_prunes(python, shared_server, sources, tmp_path):
    interpreter = fetched(tmp_path, "optuna", "setuptools", "wheel", "numpy", "grpcio", "protobuf")
    assert interpreter.pip_install(*OFFLINE, sources).returncode == 0
    finished = subprocess.run(
        [interpreter.path, EXAMPLES / "optuna_search.py", f"--server={shared_server.address}",
         "--preset=dense", "--dataset=small", "--epochs=4", "--trials=8"],
        capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    told = re.search(r"^8 trainings, (\d+) of them stopped early$", finished.stdout, re.M)
    jobs = [job for job in shared_server.json("jobs") if job["name"].startswith("jobs/search-")]
    assert len(jobs) == 8 and told, finished.stdout
    # A job that ended before its stop arrived is completed.
    stopped = [job for job in jobs if job["state"] != "JOB_STATE_COMPLETED"]
    assert 0 < int(told.group(1)) and len(stopped) <= int(told.group(1))
    assert re.search(r"^best validation accuracy \d\d\.\d\d %: .*job search-", finished.stdout, re.M)


def test_tritons_client_and_this_one_agree_in_one_process(python, trained, test_set, sources, tmp_path):
    interpreter = fetched(tmp_path, "tritonclient[grpc]", "setuptools", "wheel")
    assert interpreter.pip_install(*OFFLINE, sources).returncode == 0
    answer = interpreter.json("""
import tritonclient.grpc
x = numpy.load(sys.argv[1])[:20]
ours = client.model("net").classify(x).probabilities
triton = tritonclient.grpc.InferenceServerClient(client.address)
given = tritonclient.grpc.InferInput("images", (20, 1, 28, 28), "UINT8")
given.set_data_from_numpy(x[:, None])
theirs = triton.infer("net", [given]).as_numpy("probabilities")
print(json.dumps(float(abs(ours - theirs).max())))
""", trained, test_set / "x.npy")
    assert answer < 1e-6
