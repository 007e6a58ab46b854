"""[tool.opcov]: found where it should be, laid below the command line, and strict about mistakes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcov import config
from opcov.commands import scan_options
from opcov.config import Config
from opcov.problems import UsageError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, as the working directory."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, *lines: str, name: str = "pyproject.toml") -> Path:
    path = folder / name
    path.write_text("\n".join(["[tool.opcov]", *lines, ""]), encoding="utf-8")
    return path


# --- where it is found ------------------------------------------------------------------------------------------------


def test_project_without_settings_has_the_defaults(project: Path) -> None:
    assert config.load() == Config()


def test_settings_are_found_in_the_working_directory(project: Path) -> None:
    write(project, "strict = true")
    assert config.load().strict


def test_settings_are_found_above_up_to_the_root_of_the_repository(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "strict = true")
    (project / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(project / "a" / "b")
    assert config.load().strict


def test_settings_above_the_repository_are_not_looked_at(project: Path) -> None:
    write(project.parent, "strict = true")
    assert not config.load().strict


def test_settings_above_are_not_looked_at_outside_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "strict = true")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert not config.load().strict


def test_pyproject_without_the_table_is_passed_over(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "strict = true")
    (project / "package").mkdir()
    (project / "package" / "pyproject.toml").write_text('[project]\nname = "opcov-user"\n')
    monkeypatch.chdir(project / "package")
    assert config.load().strict


def test_broken_pyproject_that_is_not_about_opcov_is_no_matter(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    assert config.load() == Config()


def test_file_that_was_named_is_read_wherever_it_lies(project: Path) -> None:
    write(project, "strict = true")
    other = write(project.parent, "allow-lost = true", name="other.toml")
    found = config.load(other)
    assert (found.allow_lost, found.strict) == (True, False)


def test_file_that_was_named_has_to_hold_the_table(project: Path) -> None:
    (project / "other.toml").write_text("[tool.ruff]\n")
    with pytest.raises(UsageError, match=r"other\.toml has no table \[tool\.opcov\]"):
        config.load(Path("other.toml"))


def test_file_that_was_named_has_to_be_there(project: Path) -> None:
    with pytest.raises(UsageError, match=r"other\.toml cannot be read: No such file"):
        config.load(Path("other.toml"))


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_every_setting_is_read_as_its_option_means_it(project: Path) -> None:
    write(
        project,
        'corpus = "gm"', 'out = "o.py"', 'csv = "tables"', 'html = "site"', 'format = ["json:o.json", "text"]',
        'include = ["Qwen/*"]', 'exclude = ["*/tiny"]', 'check = "all_ops.py"', 'level = "op"', "per-model = true",
        "allow-lost = true", "fail-under = 90", "max-unsupported = 3", "requires-grad = true", "strict = true",
        "quiet = true", "verbose = true", "no-color = true", 'cache-dir = "remembered"', "cache-size = 7",
        "no-cache = true", "paranoid = true", 'jobs = "auto"', 'engine = "dask"', 'scheduler = "tcp://host:8786"',
    )  # fmt: skip
    found = config.load()
    assert found == Config(
        corpus=Path("gm"), out=Path("o.py"), csv=Path("tables"), html=Path("site"), format=("json:o.json", "text"),
        include=("Qwen/*",), exclude=("*/tiny",), check=Path("all_ops.py"), level="op", per_model=True,
        allow_lost=True, fail_under=90.0, max_unsupported=3, requires_grad=True, strict=True, quiet=True,
        verbose=True, no_color=True, cache_dir=Path("remembered"), cache_size=7, no_cache=True, paranoid=True,
        jobs="auto", engine="dask", scheduler="tcp://host:8786",
    )  # fmt: skip
    assert all(getattr(found, field.name) != field.default for field in fields(Config)), "a setting is not tried"


def test_paths_are_relative_to_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, 'corpus = "gm"', 'format = ["json:o.json", "text:-", "csv"]')
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    found = config.load()
    assert (found.corpus, found.format) == (Path("../gm"), ("json:../o.json", "text:-", "csv"))


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stric = true", r"pyproject\.toml:2: tool\.opcov has no setting 'stric'; did you mean strict\?"),
        ("allow_lost = true", "has no setting 'allow_lost'; did you mean allow-lost"),
        ('update = "all_ops.py"', "--update is for the command line alone"),
        ('"0123" = 1', "there are: corpus, out, "),
        ('strict = "yes"', r"pyproject\.toml:2: tool\.opcov\.strict has to be true or false"),
        ("strict = 1", "true or false"),
        ('include = "Qwen/*"', r"has to be a list of texts: include = "),
        ('include = ["Qwen/*", 1]', "a list of texts"),
        ('format = [""]', "a list of texts"),
        ("corpus = 1", "has to be a path as a text"),
        ('out = ""', "a path as a text"),
        ("fail-under = 100.5", "a number from 0 to 100"),
        ("fail-under = nan", "a number from 0 to 100"),
        ("fail-under = true", "a number from 0 to 100"),
        ("max-unsupported = -1", "a whole number that is not negative"),
        ("max-unsupported = 1.0", "a whole number"),
        ("max-unsupported = true", "a whole number"),
        ('level = "model"', "has to be one of: 'op', 'variant'"),
        ("level = []", "one of: 'op', 'variant'"),
        ("jobs = 0", r'tool\.opcov\.jobs has to be a whole number from 1, or "auto"'),
        ("jobs = true", "a whole number from 1"),
        ('jobs = "all"', "a whole number from 1"),
        ('engine = "threads"', "has to be one of: 'process', 'dask'"),
        ("scheduler = 8786", "has to be a text"),
        ("strict = ", r"pyproject\.toml:2: no TOML: Invalid value"),
        ("[tool.opcov.strict]", "has to be true or false"),
    ],
)
def test_mistake_is_told_with_its_place_and_what_is_right(project: Path, line: str, message: str) -> None:
    write(project, line)
    with pytest.raises(UsageError, match=message):
        config.load()


def test_line_is_that_of_the_table_and_not_of_another_tool(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.other]\nstric = 1\n\n[tool.opcov]\nverbose = true\nstric = 1\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml:6: "):
        config.load()


@pytest.mark.parametrize(
    "content", [b"[tool]\nopcov = 1\n", b"opcov = '\xff'", b"[tool]\nopcov = " + b"[" * 100_000], ids=str
)
def test_damaged_file_is_an_error_that_names_it(project: Path, content: bytes) -> None:
    (project / "pyproject.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"^pyproject\.toml"):
        config.load()


@pytest.mark.parametrize(
    ("arguments", "engine", "scheduler"),
    [
        ([], "dask", "tcp://a:1"),
        (["--scheduler", "tcp://b:2"], "dask", "tcp://b:2"),
        (["--engine", "process"], "process", ""),
    ],
)
def test_scheduler_goes_with_its_engine(project: Path, arguments: list[str], engine: str, scheduler: str) -> None:
    write(project, 'engine = "dask"', 'scheduler = "tcp://a:1"')
    found = scan_options.read(["gm", *arguments]).settings
    assert (found.engine, found.scheduler) == (engine, scheduler)


def test_scheduler_of_the_command_line_means_its_engine() -> None:
    assert scan_options.read(["gm", "--no-config", "--scheduler", "tcp://a:1"]).settings.engine == "dask"


@pytest.mark.parametrize(("text", "jobs"), [("1", 1), ("16", 16), ("auto", "auto")])
def test_jobs_are_a_number_or_auto(text: str, jobs: object) -> None:
    assert scan_options.read(["gm", "--no-config", "--jobs", text]).settings.jobs == jobs


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "", "123456"])
def test_jobs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SystemExit):
        scan_options.read(["gm", "--no-config", f"--jobs={text}"])


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(config._TYPES)) | st.text(), ANY_VALUE, max_size=3))
def test_whatever_the_table_holds_is_a_setting_or_a_told_mistake(table: dict[str, object]) -> None:
    try:
        found = config._config(Path("pyproject.toml"), "[tool.opcov]\n", table)
    except UsageError as error:
        assert str(error).startswith("pyproject.toml: tool.opcov")
    else:
        assert isinstance(found, Config)


# --- with a command line ----------------------------------------------------------------------------------------------


def test_configured_corpus_is_taken_where_the_command_line_names_none(project: Path) -> None:
    write(project, 'corpus = "gm"')
    assert scan_options.read([]).corpus == Path("gm")
    assert scan_options.read(["other"]).corpus == Path("other")


def test_corpus_that_is_named_nowhere_is_asked_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scan_options.read([])
    assert "CORPUS, or corpus in [tool.opcov] of pyproject.toml" in capsys.readouterr().err


def test_command_line_wins(project: Path) -> None:
    write(project, "fail-under = 90", 'level = "op"', "strict = true", "allow-lost = true")
    found = scan_options.read(["gm", "--fail-under", "50", "--level", "variant", "--no-strict"]).settings
    assert (found.fail_under, found.level, found.strict, found.allow_lost) == (50.0, "variant", False, True)


def test_list_of_the_command_line_replaces_the_configured_one(project: Path) -> None:
    write(project, 'include = ["a", "b"]', 'exclude = ["c"]')
    found = scan_options.read(["gm", "--include", "d", "--include", "e"]).settings
    assert (found.include, found.exclude) == (("d", "e"), ("c",))


def test_update_on_the_command_line_takes_the_place_of_a_configured_gate(project: Path) -> None:
    write(project, 'check = "all_ops.py"', "fail-under = 90", "max-unsupported = 1")
    found = scan_options.read(["gm", "--update", "all_ops.py", "--max-unsupported", "2"])
    assert (found.settings.check, found.update) == (None, Path("all_ops.py"))
    assert (found.settings.fail_under, found.settings.max_unsupported) == (None, 2)


def test_no_config_reads_none(project: Path) -> None:
    write(project, "stric = true")
    assert scan_options.read(["gm", "--no-config"]).settings == Config()


def test_every_long_option_is_a_setting_or_for_the_command_line_alone(project: Path) -> None:
    options = {option[2:] for option in scan_options._parser()._option_string_actions if option.startswith("--")}
    settings = {field.name.replace("_", "-") for field in fields(Config)}
    negated = {f"no-{name}" for name in settings} | {"cache", "color"}
    assert options - negated - settings == set(config.COMMAND_LINE_ONLY) - negated
    assert settings - options == {"corpus"}
