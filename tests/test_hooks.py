"""What is ready to use in CI does its work: the pre-commit hook, the GitHub action, the GitLab job of the docs.

Each is run as it is declared, in a repository made for it. In Thunder's place judges one that refuses torch.bad, and in
the place of pip a program that notes what it was asked for; the hook runs with the installed opcov once as well.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import graph_text, write_corpus
from command_line import PROJECT, WITH_FAKE, command, environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOOD = graph_text('a: "f32[4]" = torch.relu(x)')
BAD = graph_text('a: "f32[4]" = torch.bad(x)')
SETTINGS = '[tool.opcov]\ncorpus = "gm"\ncheck = "all_ops.py"\n'

Result = subprocess.CompletedProcess[str]


def git(folder: Path, *arguments: str, **variables: str) -> Result:
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@b"))
    }
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *arguments],
        check=False,
        cwd=folder,
        env=environment(**identity, **alone, **variables),
        capture_output=True,
        text=True,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a corpus, its settings and its baseline."""
    folder = tmp_path / "repository"
    write_corpus(folder, {"gm/org/a/rank0_0.py": GOOD, "pyproject.toml": SETTINGS})
    update = command("gm", "--update", "all_ops.py", "-q")
    subprocess.run(update, check=True, cwd=folder, env=environment())
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "a baseline")):
        result = git(folder, *arguments)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH with `opcov`, a `python` that has it, and a `pip` that installs nothing."""
    folder = tmp_path / "programs"
    folder.mkdir()
    opcov = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(WITH_FAKE)} "$@"'
    pip = f'printf "%s\\n" "$@" >> {shlex.quote(str(tmp_path / "installed"))}'
    python = f'case "$1 $2 $3" in "-I -m pip") shift 3; {pip};; *) exit 9;; esac'
    for name, script in (("opcov", opcov), ("pip", pip), ("python", python)):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def run_script(script: str, folder: Path, programs: Path, **variables: str) -> Result:
    """Runs a script as a step with `shell: bash` is run by GitHub."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        check=False,
        cwd=folder,
        env=environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", **variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


# --- pre-commit -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hook() -> Mapping[str, Any]:
    (found,) = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return found


def test_hook_names_a_program_that_this_package_installs(hook: Mapping[str, Any]) -> None:
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert shlex.split(hook["entry"])[0] in scripts
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("opcov", "python", False)


@pytest.mark.parametrize("key", ["id", "name", "entry", "language"])
def test_hook_has_what_pre_commit_asks_for(hook: Mapping[str, Any], key: str) -> None:
    assert isinstance(hook[key], str)


def install_hook(repository: Path, hook: Mapping[str, Any]) -> None:
    """Runs the entry before each commit, with its arguments and with no names of files, as pre-commit does."""
    path = repository / ".git/hooks/pre-commit"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nexec {shlex.join([*shlex.split(hook['entry']), *hook.get('args', [])])}\n")
    path.chmod(0o755)


def test_hook_stops_a_commit_of_a_new_unsupported_graph_and_no_other(
    repository: Path, programs: Path, hook: Mapping[str, Any]
) -> None:
    install_hook(repository, hook)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    write_corpus(repository, {"gm/org/b/rank0_0.py": GOOD})
    git(repository, "add", "-A")
    assert git(repository, "commit", "-m", "a supported graph", PATH=path).returncode == 0
    write_corpus(repository, {"gm/org/b/rank0_1.py": BAD})
    git(repository, "add", "-A")
    stopped = git(repository, "commit", "-m", "an unsupported graph", PATH=path)
    assert stopped.returncode == 1
    assert "torch.bad" in stopped.stdout + stopped.stderr
    assert git(repository, "log", "--format=%s", "-1").stdout == "a supported graph\n"


def test_hook_notices_a_deleted_model(repository: Path, programs: Path, hook: Mapping[str, Any]) -> None:
    write_corpus(repository, {"gm/org/b/rank0_0.py": GOOD})
    assert run_script("opcov --update all_ops.py -q", repository, programs).returncode == 0
    git(repository, "add", "-A")
    git(repository, "commit", "-m", "another model")
    install_hook(repository, hook)
    git(repository, "rm", "-rq", "gm/org/b")
    stopped = git(repository, "commit", "-m", "a loss", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert stopped.returncode == 1
    assert hook["always_run"] is True  # pre-commit would pass over a commit that adds and changes no file


def test_entry_of_the_hook_works_with_the_installed_opcov(repository: Path, hook: Mapping[str, Any]) -> None:
    write_corpus(repository, {"gm/org/b/rank0_0.py": graph_text('a: "f32[4]" = torch.sinc(x)')})
    edit = (repository / "all_ops.py").read_text().replace("# judge 1.0", "# lightning-thunder 0.2.6")
    (repository / "all_ops.py").write_text(edit)
    write_corpus(repository, dict.fromkeys(("torch.py", "rich.py", "opcov.py"), "open('sentinel', 'w')"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [*shlex.split(hook["entry"]), *hook.get("args", [])],
        check=False,
        cwd=repository,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1, result.stderr
    assert "torch.sinc" in result.stdout
    assert not (repository / "sentinel").exists()  # nothing of the repository is imported


# --- GitHub -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def action() -> Mapping[str, Any]:
    found = yaml.safe_load((PROJECT / "action.yml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps(action: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [step for step in action["runs"]["steps"] if "run" in step]


def run_action(
    action: Mapping[str, Any], repository: Path, programs: Path, **inputs: str
) -> tuple[Result, dict[str, str], str]:
    """Runs the scripts of the action as GitHub would: the last result, the outputs and the summary of the job."""
    assert set(inputs) <= {name.replace("-", "_") for name in action["inputs"]}
    given = {name: inputs.get(name.replace("-", "_"), one["default"]) for name, one in action["inputs"].items()}
    output, summary = repository.parent / "output", repository.parent / "summary"
    variables = {
        "GITHUB_ACTION_PATH": str(PROJECT),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(repository),
    }
    result = None
    for step in steps(action):
        values = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        result = run_script(step["run"], repository, programs, **variables, **values)
        if result.returncode:
            break
    assert result is not None
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines()) if output.exists() else {}
    return result, outputs, summary.read_text() if summary.exists() else ""


def test_no_input_becomes_part_of_a_script(action: Mapping[str, Any]) -> None:
    assert [step["name"] for step in steps(action) if "${{" in step["run"]] == []


def test_every_input_is_used_and_every_used_one_declared(action: Mapping[str, Any]) -> None:
    used = set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", json.dumps(action)))
    assert used == set(action["inputs"])


def test_outputs_are_those_that_the_script_writes(action: Mapping[str, Any], repository: Path, programs: Path) -> None:
    _, outputs, _ = run_action(action, repository, programs, corpus="gm", baseline="all_ops.py")
    assert set(outputs) == set(action["outputs"])
    for name, one in action["outputs"].items():
        assert one["value"] == f"${{{{ steps.opcov.outputs.{name} }}}}"


def test_action_installs_this_package_with_its_constraints(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    run_action(action, repository, programs, corpus="gm")
    asked = (repository.parent / "installed").read_text().splitlines()
    assert asked == ["install", "--constraint", str(PROJECT / "constraints.txt"), str(PROJECT)]
    assert Path(asked[2]).is_file()


def test_action_passes_what_is_listed_and_leaves_its_results(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    result, outputs, summary = run_action(action, repository, programs, corpus="gm", baseline="all_ops.py")
    assert result.returncode == 0, result.stderr
    assert outputs == {"exit-code": "0", "sarif": "opcov.sarif"}
    assert json.loads((repository / "opcov.sarif").read_bytes())["version"] == "2.1.0"
    assert "org/a" in summary


def test_action_fails_with_an_annotation_at_the_new_line(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    write_corpus(repository, {"gm/org/b/rank0_1.py": BAD})
    result, outputs, summary = run_action(action, repository, programs, corpus="gm", baseline="all_ops.py")
    assert (result.returncode, outputs["exit-code"]) == (1, "1")
    assert result.stdout.startswith("::error file=gm/org/b/rank0_1.py,line=3,")
    assert "torch.bad" in summary
    assert "torch.bad" in (repository / "opcov.sarif").read_text()


def test_action_without_inputs_takes_the_settings_of_the_project(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    write_corpus(repository, {"gm/org/b/rank0_1.py": BAD})
    assert run_action(action, repository, programs)[0].returncode == 1


def test_action_that_could_not_judge_says_so_and_names_no_alerts(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    result, outputs, _ = run_action(action, repository, programs, corpus="gm", baseline="missing.py")
    assert (result.returncode, outputs) == (2, {"exit-code": "2", "sarif": ""})
    assert "there is no baseline missing.py" in result.stderr


def test_more_options_of_the_action_are_taken_a_line_each(
    action: Mapping[str, Any], repository: Path, programs: Path
) -> None:
    write_corpus(repository, {"gm/a b/rank0_1.py": BAD})
    result, _, _ = run_action(
        action, repository, programs, corpus="gm", baseline="all_ops.py", args="--level=op\r\n\n--exclude=a b\n"
    )
    assert result.returncode == 0, result.stderr


EVIL = "$(touch sentinel); `touch sentinel`; touch sentinel #\n; touch sentinel\n' \" && touch sentinel"


@pytest.mark.parametrize("name", ["corpus", "baseline", "args", "sarif"])
def test_input_that_looks_like_a_script_is_a_name(
    action: Mapping[str, Any], repository: Path, programs: Path, name: str
) -> None:
    inputs = {"corpus": "gm", "baseline": "all_ops.py", name: EVIL}
    result, outputs, _ = run_action(action, repository, programs, **inputs)
    assert result.returncode in ((0, 2) if name == "sarif" else (2,))
    assert set(outputs) == {"exit-code", "sarif"}
    assert [path for path in repository.parent.rglob("*sentinel") if path.name == "sentinel"] == []


# --- the snippets of the documentation --------------------------------------------------------------------------------


def snippets(key: str) -> list[Mapping[str, Any]]:
    """The blocks of YAML on the page that have a key."""
    page = (PROJECT / "docs" / "ci.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    return [block for block in blocks if key in block]


def test_job_of_gitlab_fails_for_a_new_op_and_leaves_both_reports(repository: Path, programs: Path) -> None:
    (job,) = (snippet["opcov"] for snippet in snippets("opcov"))
    write_corpus(repository, {"gm/org/b/rank0_1.py": BAD})
    result = run_script("\n".join(job["script"]), repository, programs)
    assert result.returncode == 1, result.stderr
    reports = job["artifacts"]["reports"]
    issues = json.loads((repository / reports["codequality"]).read_bytes())
    (issue,) = (issue for issue in issues if "torch.bad" in issue["description"])
    assert issue["location"]["path"] == "gm/org/b/rank0_1.py"
    (failure,) = ET.parse(repository / reports["junit"]).iter("failure")
    assert "torch.bad" in ET.tostring(failure, encoding="unicode")
    assert job["artifacts"]["when"] == "always"


def test_workflow_of_github_gives_the_action_only_inputs_that_it_has(action: Mapping[str, Any]) -> None:
    (workflow,) = snippets("jobs")
    (step,) = (step for step in workflow["jobs"]["opcov"]["steps"] if "opcov@" in step["uses"])
    assert set(step["with"]) <= set(action["inputs"])


def test_configuration_of_pre_commit_names_the_hook(hook: Mapping[str, Any]) -> None:
    (configuration,) = snippets("repos")
    assert [one["id"] for one in configuration["repos"][0]["hooks"]] == [hook["id"]]


def test_settings_on_the_page_are_settings(tmp_path: Path) -> None:
    from opcov import config

    page = (PROJECT / "docs" / "ci.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(block)
    assert config.load(tmp_path / "pyproject.toml").fail_under == 80
