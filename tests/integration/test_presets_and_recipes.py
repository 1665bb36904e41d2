"""Presets and recipes: what the server lists, and that every text repeats it exactly."""

import csv
import io
import re

import grpc
import pytest

import harness
from harness import job_pb, training_pb

ROOT = harness.ROOT
FIELDS = {field.name: field for field in job_pb.TrainingSpec.DESCRIPTOR.fields}
# Options that are not called as their field.
FLAGS = {"memory_bytes": "--memory", "start_from": "--from"}
SET_BY_SERVER = {"continues", "schedule_start_epoch"}


@pytest.fixture(scope="module")
def presets(shared_server):
    return shared_server.training.ListPresets(training_pb.ListPresetsRequest())


@pytest.fixture(scope="module")
def recipes(shared_server):
    return shared_server.training.ListRecipes(training_pb.ListRecipesRequest()).recipes


def names(presets):
    return [preset.name for preset in presets.presets]


def recipe_word(recipe):
    return job_pb.Recipe.Name(recipe.recipe).removeprefix("RECIPE_").lower()


def value_text(spec, field, enum_prefix=True):
    """The value of a field as proto comments and, without the enum's prefix, the help write it."""
    value = getattr(spec, field.name)
    if field.enum_type is not None:
        name = field.enum_type.values_by_number[value].name
        return name if enum_prefix else name.split("_", 1)[1].lower()
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "g") if isinstance(value, float) else str(value)


def defaults(recipes, field, enum_prefix=True):
    """The field's default, and the words of the recipes for each other default."""
    values = {recipe_word(r): value_text(r.defaults, field, enum_prefix) for r in recipes}
    others = {}
    for recipe, value in values.items():
        if value != values["study"]:
            others.setdefault(value, []).append(recipe)
    return values["study"], others


def same_everywhere(recipes):
    """The fields with the same default on every server."""
    return [FIELDS[field.name] for field, _ in recipes[0].defaults.ListFields()]


def comments(message):
    """The comment of each field or value of a message or enumeration in job.proto, as one line."""
    text = (ROOT / "proto" / "atelier" / "v1" / "job.proto").read_text()
    body = re.search(rf"^(?:message|enum) {message} {{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"((?:  //.*\n)+)  (?:[\w.]+ )*(\w+) = \d+;", body.group(1))
    return {name: re.sub(r"\s*//\s*", " ", comment).strip() for comment, name in found}


def help_of(server, option):
    text = server.run("train", "--help", check=harness.DONE).stdout
    found = re.search(rf"^  {option} [A-Z]+\s+(.*)$", text, re.MULTILINE)
    assert found, (option, text)
    return found.group(1)


def completed(shell, option):
    """The words that a shell's completion offers for an option."""
    text = (ROOT / "deploy" / "completions" / shell).read_text()
    line = rf"^    (?:--[a-z-]+ \| )*{option}(?: \| --[a-z-]+)*\) (?:echo|compadd) (.*) ;;$"
    return re.search(line, text, re.MULTILINE).group(1).split()


def man_page():
    return (ROOT / "deploy" / "man" / "atelier.1").read_text()


def in_words(listed):
    """The words of `a, b or c`."""
    return re.split(r", | or ", listed)


# What the server lists.


def test_presets_are_listed_with_their_sizes_and_train_as_listed(shared_server, small_dataset):
    listed = shared_server.training.ListPresets(
        training_pb.ListPresetsRequest(dataset="datasets/small"))
    assert listed.dataset == "datasets/small"
    assert [p.conv_depth for p in listed.presets if p.HasField("conv_depth")] == [0, 1, 2, 3]
    for preset in listed.presets:
        assert preset.description and not preset.problem
        assert 0 < preset.trainable_parameter_count <= preset.parameter_count
    costs = {preset.name: preset.multiply_adds for preset in listed.presets}
    # 784 · 128 + 128 · 64 + 64 · 10, and 28² · 9 · 32 + 7² · 32 · 128 + 128 · 10.
    assert costs["dense"] == 109184 and costs["cnn-1"] == 427776
    trained = shared_server.wait_job(shared_server.start_job(epochs=1, preset="cnn-1"), "COMPLETED")
    cnn = listed.presets[1]
    assert trained.result.parameter_count == cnn.parameter_count
    assert trained.result.trainable_parameter_count == cnn.trainable_parameter_count


def test_presets_of_a_data_set_that_is_not_there(shared_server):
    with pytest.raises(grpc.RpcError) as error:
        shared_server.training.ListPresets(training_pb.ListPresetsRequest(dataset="datasets/none"))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert harness.error_details(error.value)[1].reason == "DATASET_NOT_FOUND"
    with pytest.raises(grpc.RpcError) as error:
        shared_server.training.ListPresets(training_pb.ListPresetsRequest(dataset="none"))
    assert "dataset" in harness.error_details(error.value)[0]
    said = shared_server.run("presets", "--dataset=none", check=harness.NOT_FOUND).stderr
    assert "none" in said and "small" in said


def test_a_job_gets_the_values_of_its_recipe(data_dir, small_dataset, recipes):
    with harness.Server(data_dir, datasets={"small": small_dataset},
                        flags=["--workers=1", "--threads_per_worker=1"]) as server:
        for recipe in recipes:
            spec = job_pb.TrainingSpec(preset="dense", recipe=recipe.recipe)
            job = server.training.StartTraining(training_pb.StartTrainingRequest(spec=spec))
            for field in same_everywhere(recipes):
                # These become what the machine has.
                if field.name not in ("precision", "device"):
                    assert getattr(job.spec, field.name) == getattr(recipe.defaults, field.name)
            server.training.StopJob(training_pb.StopJobRequest(name=job.name))


# What the client prints.


def test_the_client_prints_presets(shared_server, presets):
    text = shared_server.run("presets", check=harness.DONE).stdout
    for preset in presets.presets:
        assert re.search(rf"^{preset.name} .*{preset.parameter_count:,} .*{preset.multiply_adds:,} ",
                         text, re.MULTILINE), text
    assert [p["name"] for p in shared_server.json("presets")] == names(presets)
    rows = list(csv.DictReader(io.StringIO(
        shared_server.run("--output=csv", "presets", "--dataset=small", check=harness.DONE).stdout)))
    assert [row["name"] for row in rows] == names(presets)
    assert [int(row["parameter_count"]) for row in rows] == [
        p.parameter_count for p in presets.presets]
    assert {row["dataset"] for row in rows} == {"datasets/small"}


def test_the_client_prints_recipes(shared_server, recipes):
    text = shared_server.run("recipes", check=harness.DONE).stdout
    assert re.search(r"^--epochs +20 +3 +60$", text, re.MULTILINE), text
    assert all(recipe.description in text for recipe in recipes)
    assert [r["defaults"]["epochs"] for r in shared_server.json("recipes")] == [20, 3, 60]
    rows = list(csv.DictReader(io.StringIO(
        shared_server.run("--output=csv", "recipes", check=harness.DONE).stdout)))
    assert [row["recipe"] for row in rows] == [recipe_word(r) for r in recipes]
    for row, recipe in zip(rows, recipes):
        for field in same_everywhere(recipes):
            if field.name != "recipe":
                assert row[field.name] == value_text(recipe.defaults, field, enum_prefix=False)


# What texts repeat.


def test_help_names_the_presets(shared_server, presets):
    assert in_words(help_of(shared_server, "--preset")) == names(presets)


def test_help_has_the_recipes_values(shared_server, recipes):
    for field in same_everywhere(recipes):
        option = FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        value, others = defaults(recipes, field, enum_prefix=False)
        expected = ", ".join(f"{', '.join(words)} {other}" for other, words in others.items())
        expected = f"[{value}; {expected}]" if others and field.name != "recipe" else f"[{value}]"
        assert help_of(shared_server, option).endswith(expected), option


def test_train_has_an_option_for_every_field(shared_server):
    for name in set(FIELDS) - SET_BY_SERVER:
        option = FLAGS.get(name, "--" + name.replace("_", "-"))
        assert help_of(shared_server, option), option
        assert re.search(rf"^\.It Fl {option[1:]} ", man_page(), re.MULTILINE), option


@pytest.mark.parametrize("shell", ["atelier.bash", "_atelier"])
def test_completions_name_presets_and_recipes(shell, presets, recipes):
    assert completed(shell, "--preset") == names(presets)
    assert completed(shell, "--recipe") == [recipe_word(recipe) for recipe in recipes]
    assert completed(shell, "--conv-depth") == [
        str(p.conv_depth) for p in presets.presets if p.HasField("conv_depth")]


@pytest.mark.parametrize("field", [f for f in FIELDS.values() if f.enum_type], ids=lambda f: f.name)
def test_every_word_of_an_enumeration_is_completed_and_in_the_man_page(field):
    words = {value.name.removeprefix(field.enum_type.values[0].name.removesuffix("UNSPECIFIED")).lower()
             for value in field.enum_type.values[1:]}
    option = "--" + field.name.replace("_", "-")
    for shell in ("atelier.bash", "_atelier"):
        assert set(completed(shell, option)) == words, shell
    entry = re.search(rf"^\.It Fl {option[1:]} Ar .*(?:\n[^.].*)*", man_page(), re.MULTILINE).group()
    assert words <= set(re.findall(r"\w+", entry)), entry


def test_the_man_page_names_presets_and_recipes(presets, recipes):
    listed = re.search(r"^\.It Fl -preset Ar name\nThe network: (.*)\.$", man_page(), re.MULTILINE)
    assert in_words(listed.group(1)) == names(presets)
    recipe_words = re.search(r"^\.It Fl -recipe Ar (.*)$", man_page(), re.MULTILINE).group(1)
    assert recipe_words.split(" | ") == [recipe_word(recipe) for recipe in recipes]


def test_the_readme_has_the_presets(presets):
    table = re.search(r"^\| preset \| network \| parameters \|\n\|[-|]+\n((?:\|.*\n)+)",
                      (ROOT / "README.md").read_text(), re.MULTILINE).group(1)
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
            for line in table.splitlines()]
    assert rows == [[p.name, p.description, f"{p.parameter_count:,}"] for p in presets.presets]


def test_proto_comments_name_presets_and_recipes(presets, recipes):
    fields = comments("TrainingSpec")
    assert set(fields) == set(FIELDS)
    listed = re.match(r"The network: (.*?);", fields["preset"]).group(1)
    assert in_words(listed) == names(presets)
    values = comments("Recipe")
    for recipe in recipes:
        assert values[job_pb.Recipe.Name(recipe.recipe)] == recipe.description + "."


def test_proto_comments_have_the_recipes_values(recipes):
    fields = comments("TrainingSpec")
    for field in same_everywhere(recipes):
        value, others = defaults(recipes, field)
        expected = f"efault {value}"
        if others and field.name != "recipe":
            expected += "; " + ", ".join(
                f"with {' and '.join('RECIPE_' + word.upper() for word in words)} {other}"
                for other, words in others.items())
        assert re.search(re.escape(expected) + r"\.( |$)", fields[field.name]), (
            expected, fields[field.name])
