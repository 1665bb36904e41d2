"""The man pages: well-formed, and about the flags that there are."""

import re

import pytest

import deployment

PAGES = sorted((deployment.DEPLOY / "man").glob("*.[18]"))


def page(name):
    return (deployment.DEPLOY / "man" / name).read_text()


def documented_flags(text):
    """Names of the long options in mdoc: .Fl -tls_cert gives tls_cert."""
    return set(re.findall(r"\bFl -([a-z][a-z0-9_-]*)", text))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_mandoc_accepts_it(path):
    deployment.run(deployment.tool("mandoc"), "-T", "lint", "-W", "warning", path)


def test_every_flag_of_the_server_is_explained_and_no_other():
    explained = documented_flags(page("atelierd.8")) - {"flag", "help", "flagfile"}
    # Abseil's own flags; --flagfile is explained, the others are for its developers.
    foreign = {"help", "helpfull", "helpshort", "helpon", "helpmatch", "helppackage", "version",
               "flagfile", "fromenv", "tryfromenv", "undefok", "only_check_args"}
    assert explained == deployment.flags_of("atelierd") - foreign


def client_commands():
    """Commands that the client's --help lists."""
    listed = re.findall(r"^  ([a-z]+)  +\S", deployment.help_text("atelier"), re.M)
    assert "train" in listed
    return set(listed)


def test_every_command_of_the_client_is_explained_and_no_other():
    explained = set(re.findall(r"^\.It Cm (\w+)", page("atelier.1"), re.M))
    assert explained == client_commands()


def test_every_option_of_train_is_explained_and_no_other():
    section = page("atelier.1").split(".It Cm train")[1].split(".It Cm presets")[0]
    known = deployment.flags_of("atelier", "train") - deployment.flags_of("atelier")
    assert documented_flags(section) == known


def test_every_option_of_bench_classify_is_explained_and_no_other():
    section = page("atelier.1").split(".It Cm bench Cm classify")[1].split(".It Cm ")[0]
    known = deployment.flags_of("atelier", "bench", "classify") - deployment.flags_of("atelier")
    assert documented_flags(section) == known


def test_every_other_option_of_the_client_is_explained():
    explained = documented_flags(page("atelier.1"))
    missing = set()
    for command in client_commands():
        missing |= deployment.flags_of("atelier", command) - explained
    assert not missing, sorted(missing)


def test_the_exit_codes_are_those_of_the_contract():
    section = page("atelier.1").split(".Sh EXIT STATUS")[1].split(".Sh EXAMPLES")[0]
    assert re.findall(r"^\.It (\d+)", section, re.M) == ["0", "1", "100", "101", "102", "103", "130"]
