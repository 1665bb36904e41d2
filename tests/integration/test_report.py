"""The report: one page, made of calls alone, that opens in a browser and fetches nothing."""

import html.parser
import json
import os
import re
import shutil
import subprocess

import pytest

import harness

CHROMIUM = next(filter(None, map(shutil.which, (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "br", "img", "input", "line", "rect", "circle", "polyline", "polygon", "link", "hr"}


class Page(html.parser.HTMLParser):
    """Reads a page; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.charts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if "data-chart" in attributes:
            self.charts.append(attributes["data-chart"])
        if tag not in VOID:
            self.open.append(tag)
        elif tag in ("rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-5:])
        self.open.pop()


@pytest.fixture(scope="module")
def study(shared_server):
    """An experiment of 20 runs."""
    shared_server.run("sweep", "--preset=dense,cnn-1", "--dropout=0.1,0.5", "--seeds=5",
                      "--epochs=2", "--dataset=small", "--cores=1", "--shards=2", "--name=study",
                      check=harness.DONE)
    return shared_server.json("experiments")[0]["name"].removeprefix("experiments/")


@pytest.fixture(scope="module")
def page(study, shared_server, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    said = shared_server.run("report", study, "-o", path, check=harness.DONE)
    assert "20 runs" in said.stdout
    assert path.stat().st_size < 5 << 20
    return path


def test_the_page_is_whole_and_refers_to_nothing(page, study):
    text = page.read_text()
    read = Page(text)
    assert all(address.startswith("data:image/png;base64,") for address in read.addresses)
    assert "script" not in read.tags and "link" not in read.tags
    assert {"Validation accuracy", "Validation loss", "Training accuracy", "Training loss",
            "Accuracy by network", "Accuracy by dropout", "Network", "Accuracy against parameters", "Accuracy against training time", "Confusion matrix",
            "Reliability diagram",
            "Phases", "Processor", "Memory"} <= set(read.charts)
    for words in (study, "Recommendation", "Every run", "How to reproduce this", "atelier sweep",
                  "data, SHA-256",
                  "--dropout=0.1", "Ankle boot", "one standard error",
                  "Learned filters", "layer 1: 32 filters", "Feature maps of one image per class"):
        assert words in text, words
    assert re.search(r"<dt>server: libtorch</dt><dd>\d+\.\d+", text)
    assert text.count(">block 1: 32 of 7×7<") == len(harness.CLASS_NAMES)


def chromium(page, *arguments):
    return subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage",
         f"--user-data-dir={page.parent / 'chromium'}", *arguments, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "HOME": str(page.parent)}).stdout


CHECK = """
<script>
const charts = [...document.querySelectorAll('figure.chart')].map(figure => {
  const parts = [...figure.querySelectorAll('[data-series]')];
  const drawn = parts.filter(part => {
    const box = part.getBBox();
    return Number.isFinite(box.x + box.y) && (box.width > 0 || box.height > 0);
  });
  return {name: figure.dataset.chart, empty: figure.querySelector('.none') !== null,
          parts: parts.length, drawn: drawn.length,
          width: figure.getBoundingClientRect().width,
          values: figure.querySelectorAll('title').length};
});
document.body.setAttribute('data-result', JSON.stringify({
  charts, images: [...document.images].every(image => image.complete && image.naturalWidth > 0),
  pictures: document.images.length,
  fetched: performance.getEntriesByType('resource').map(entry => entry.name)
    .filter(name => !name.startsWith('data:')),
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  cut: [...document.querySelectorAll('.scroll')].map(one => one.scrollWidth - one.clientWidth),
  accuracy: [...document.querySelectorAll('td b')].map(one => one.getBoundingClientRect().right),
  legends: document.querySelectorAll('.legend').length}));
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="SKIPPED: Chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_every_chart_and_fetches_nothing(page, width):
    text = page.read_text()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text)
    assert policy and "default-src 'none'" in policy[0]
    # The page's own policy would not let the check run.
    probe = page.with_name(f"probe-{width}.html")
    probe.write_text(text.replace(policy[0], "").replace("</body>", CHECK + "</body>"))
    dom = chromium(probe, f"--window-size={width},900", "--dump-dom")
    result = json.loads(html.unescape(re.search(r'data-result="([^"]*)"', dom)[1]))
    assert len(result["charts"]) >= 12
    # A job that took less than a second was never sampled.
    resources = {"Processor", "Memory", "Input and output"}
    for chart in result["charts"]:
        if chart["empty"] and chart["name"] in resources:
            continue
        assert chart["parts"] > 0 and chart["drawn"] == chart["parts"], chart
        assert chart["values"] > 0 and chart["width"] > 200, chart
    assert result["fetched"] == []
    assert result["pictures"] > 0 and result["images"]
    assert result["overflow"] <= 0, "the page is wider than the screen"
    assert result["accuracy"] and max(result["accuracy"]) <= width, "the accuracy is off the screen"
    if width == 1280:
        assert max(result["cut"]) <= 0, "a table is cut off"
    # One for the curves, one for what accuracy costs, one for each axis, two for each close look:
    # reliability, and input and output.
    assert result["legends"] <= (2 + text.count("data-chart=\"Accuracy by ")
                                 + 2 * text.count("data-chart=\"Input and output"))


@pytest.mark.skipif(CHROMIUM is None, reason="SKIPPED: Chromium is not installed")
def test_it_prints_on_few_pages(page):
    target = page.with_name("printed.pdf")
    chromium(page, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    # Two of overview, one of what differs and of networks, less than one for each of four close
    # looks, one of pictures, one to repeat it.
    assert 3 <= pages <= 9, pages


def test_jobs_appear_as_what_they_are(server, tmp_path):
    done = server.start_job("done", epochs=1)
    server.wait_job(done)
    gone = server.start_job("gone", epochs=1, seed=8)
    server.wait_job(gone)
    server.run("delete", gone, check=harness.DONE)
    training = server.start_job("training", epochs=500, patience=500, seed=9)
    server.wait_event(training, "epoch")
    path = tmp_path / "mixed.html"
    server.run("report", done, gone, training, "-o", path, check=harness.DONE)
    text = path.read_text()
    Page(text)
    for words in ("1 completed", "1 running", "1 deleted", "This job is training"):
        assert words in text, words
    server.run("report", gone, "-o", tmp_path / "none.html", check=harness.NOT_FOUND)
    assert not (tmp_path / "none.html").exists()


@pytest.fixture(scope="module")
def evaluation(shared_server):
    """The job of an evaluation, on the training images."""
    training = shared_server.start_job("measured", preset="dense", epochs=1, model_name="measured")
    shared_server.wait_job(training)
    shared_server.run("evaluate", "measured", "--dataset=small", "--split=training", check=harness.DONE)
    return training, next(job["name"] for job in shared_server.json("jobs") if "evaluation" in job)


def test_an_evaluation_has_a_page_of_its_own(evaluation, shared_server, tmp_path):
    _, job = evaluation
    path = tmp_path / "evaluation.html"
    said = shared_server.run("report", job, "-o", path, check=harness.DONE).stdout
    assert "1 evaluation" in said and "run" not in said
    text = path.read_text()
    read = Page(text)
    assert {"Confusion matrix", "Reliability diagram", "Phases", "Processor", "Memory"} <= set(read.charts)
    assert "Validation accuracy" not in read.charts
    accuracy = shared_server.json("show", job)[0]["evaluation_result"]["accuracy"]
    for words in ("measured@1 on the training images of small", f"{accuracy * 100:.2f} %",
                  "Most often confused", "training images of highest confidence", "Ankle boot",
                  "atelier evaluate measured@1 --dataset=small --split=training"):
        assert words in text, words
    assert read.addresses and all(address.startswith("data:image/png;base64,")
                                  for address in read.addresses)


def test_a_training_and_an_evaluation_share_a_page(evaluation, shared_server, tmp_path):
    training, job = evaluation
    path = tmp_path / "both.html"
    said = shared_server.json("report", training, job, job, "-o", path)[0]
    assert (said["runs"], said["evaluations"]) == (1, 1)
    charts = Page(path.read_text()).charts
    assert charts.count("Confusion matrix") == 2 and "Validation accuracy" in charts


def test_jobs_that_neither_train_nor_evaluate_have_no_report(shared_server, tmp_path):
    shared_server.run("datasets", "check", "small", check=harness.DONE)
    job = next(job["name"] for job in shared_server.json("jobs") if "check" in job)
    refused = shared_server.run("report", job, "-o", tmp_path / "none.html", check=harness.ERROR).stderr
    assert "name trainings and evaluations" in refused
    assert not (tmp_path / "none.html").exists()


def test_a_file_that_exists_or_cannot_be_written_is_left_alone(study, shared_server, tmp_path):
    path = tmp_path / "mine.html"
    path.write_text("mine")
    refused = shared_server.run("report", study, "-o", path, check=harness.ERROR)
    assert "--force" in refused.stderr and path.read_text() == "mine"
    shared_server.run("report", study, "-o", path, "--force", check=harness.DONE)
    assert path.read_text().startswith("<!DOCTYPE html>")
    wrong = tmp_path / "no" / "folder.html"
    assert str(wrong) in shared_server.run("report", study, "-o", wrong, check=harness.ERROR).stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.html"]


def test_a_page_that_is_not_named_is_named_after_what_it_shows(study, shared_server, tmp_path):
    done = shared_server.start_job("unnamed", epochs=1)
    shared_server.wait_job(done)
    name = done.removeprefix("jobs/")
    said = shared_server.run("report", done, cwd=tmp_path, check=harness.DONE)
    assert f"Wrote {name}.html" in said.stdout
    assert "--force" in shared_server.run("report", name, cwd=tmp_path, check=harness.ERROR).stderr
    shared_server.run("report", name, done, "-o", tmp_path, check=harness.DONE)
    said = shared_server.json("report", study, done, "-o", tmp_path / "two.html")
    assert said[0]["path"] == str(tmp_path / "two.html") and said[0]["runs"] == 21
    assert {entry.name for entry in tmp_path.iterdir()} == {f"{name}.html", "report.html", "two.html"}
