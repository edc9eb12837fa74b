"""`diagnose --fix`: shown, agreed to, applied, run again, verified, remembered; and what is left alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded import varied
from target_environment import TargetEnvironment

from mambaops.core.errors import CommandFailed, MambaopsError, UsageError
from mambaops.core.paths import data_dir
from mambaops.decide.situation import Flags
from mambaops.diagnose.explain import Explanation, explain_log
from mambaops.diagnose.rules import load
from mambaops.profiles.load import load_profile
from mambaops.run.drive import drive
from mambaops.run.recovery import AGREED
from mambaops.run.repair import Repair, Repaired, repair
from mambaops.run.runner import Run
from mambaops.state.places import places
from mambaops.state.remedies import memory_file, remember_tried, tried

COMPILE = Flags(arch="9.0", obtain=("source",))
READY = {"setuptools": "80", "wheel": "0.45", "packaging": "24", "ninja": "1.13"}
SHADOWED = "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4\n"
WARNED = "UserWarning: There are no g++ version bounds defined for CUDA version 11.8\n"
KILLED = "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
FACTS = varied("hopper", {})
said: list[str] = []


def yes(question: str) -> None:
    said.append(question)


def no(question: str) -> None:
    raise UsageError("not agreed")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TargetEnvironment:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/old-cuda/lib64")
    said.clear()
    return TargetEnvironment(places("local").env, tmp_path / "shared")


def probe(
    env: TargetEnvironment, distributions: dict[str, str], **more: Any
) -> tuple[str, str, int]:
    version = ".".join(map(str, sys.version_info[:3]))
    place = {"prefix": str(env.folder), "executable": str(env.python), "kind": "venv"}
    facts = varied(
        "no-gpu",
        {"python": {**place, "version": version}, "distributions": distributions, **more},
    )
    return msgspec.json.encode(facts).decode(), "", 0


def failed(env: TargetEnvironment, error: str) -> Path:
    """A run whose step `prepare-build` failed like this; its newest log."""
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", error, 1)})
    with pytest.raises(CommandFailed):
        drive("local", COMPILE, only=("prepare-build",), say=lambda line: None)
    found = places("local").runs.glob("*/prepare-build*.log")
    return max(found, key=lambda path: (path.stat().st_mtime, str(path)))


def mended(env: TargetEnvironment) -> None:
    """From now on pip installs what it is asked for."""
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", "", 0)})
    env.after_pip({"cached_probe.py": probe(env, READY)})


def explained(log: Path) -> Explanation:
    return explain_log(log, FACTS, here=True)


def test_the_remedy_is_shown_agreed_to_applied_tried_and_remembered(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/old-cuda/lib64"  # nobody was asked yet
    mended(env)
    done = repair(log, explained(log), ask=yes, say=said.append)
    assert (done.rule, done.remedy) == ("nvjitlink-shadowed", "without-LD_LIBRARY_PATH")
    assert (done.step, done.result, done.helped) == ("prepare-build", "helped", True)
    shown, question = said[0], said[1]
    assert "run without LD_LIBRARY_PATH (now /opt/old-cuda/lib64)" in shown
    assert question == "apply this, and run prepare-build of profile `local` again"
    assert "verified: prepare-build was judged once more after it ran, and is done" in said
    (seen,) = tried("nvjitlink-shadowed")
    assert said[-1] == f"remembered: {seen}"
    assert said[-2].startswith("left of the plan: ")
    assert said[-2].endswith(": `mambaops build-mamba --profile local`")
    assert [one.startswith(seen.day) for one in explained(log).diagnosis.findings[0].here] == [True]


def test_the_step_runs_as_it_was_asked_for_and_without_what_was_in_the_way(
    env: TargetEnvironment,
) -> None:
    log = failed(env, SHADOWED)
    mended(env)
    for profile, result in (
        ("local", "did not help"),
        ("local", "helped"),  # the newest counts
        ("hopper", "did not help"),  # and what came of it for another profile does not
    ):
        remember_tried(
            rule="nvjitlink-shadowed", remedy="without-LD_LIBRARY_PATH",
            profile=profile, step="prepare-build", result=result,
        )  # fmt: skip
    repair(log, explained(log), ask=yes, say=said.append)
    pips = [one for one in env.seen() if one["words"][0] == "-m"]
    assert [one["env"].get("LD_LIBRARY_PATH") for one in pips] == ["/opt/old-cuda/lib64", None]
    assert pips[0]["words"] == pips[1]["words"]


def test_what_did_not_help_is_remembered_and_not_tried_again(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    first = repair(log, explained(log), ask=yes, say=said.append)
    assert first.result == "did not help"
    os.environ["LD_LIBRARY_PATH"] = "/opt/old-cuda/lib64"
    said.clear()
    second = repair(log, explained(log), ask=yes, say=said.append)
    assert (second.remedy, second.result) == ("", "")
    assert said[0] == f"remembered: {tried()[-1]}"
    assert str(memory_file()) in said[1]
    assert second.left == explained(log).diagnosis.findings[0].fixes


def test_another_failure_after_the_remedy_is_told_apart(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    env.take_over({"cached_probe.py": probe(env, {}), "-m": ("", KILLED, 1)})
    assert repair(log, explained(log), ask=yes, say=said.append).result == (
        "another failure came after it"
    )


def test_nothing_is_changed_where_the_person_does_not_agree(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    with pytest.raises(UsageError, match="not agreed"):
        repair(log, explained(log), ask=no, say=said.append)
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/old-cuda/lib64"
    assert len([words for words in env.calls() if words[0] == "-m"]) == 1
    assert tried() == []


def test_the_runner_remembers_what_its_own_remedy_came_to(env: TargetEnvironment) -> None:
    log = failed(env, KILLED)
    (seen,) = tried("compiler-oom-killed")
    assert (seen.remedy, seen.step, seen.result) == ("fewer-jobs", "prepare-build", "did not help")
    assert repair(log, explained(log), ask=yes, say=said.append).remedy == ""


def test_what_needs_root_or_the_network_is_left_to_the_person(env: TargetEnvironment) -> None:
    log = failed(env, "fatal error: Python.h: No such file or directory\n")
    done = repair(log, explained(log), ask=yes, say=said.append)
    assert (done.rule, done.remedy, done.profile) == ("python-h-missing", "", "local")
    assert done.left == explained(log).diagnosis.findings[0].fixes
    assert "nothing is applied" in said[-1]


def test_a_profile_of_ones_own_is_the_file_that_was_named(
    env: TargetEnvironment, tmp_path: Path
) -> None:
    log = failed(env, "fatal error: Python.h: No such file or directory\n")
    text = (data_dir("env_profiles") / "local.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("name: local", "name: mine"), encoding="utf-8")
    flags = json.loads((log.parent / "flags.json").read_text(encoding="utf-8"))
    flags["profile"] = str(tmp_path / "mine.yaml")
    (log.parent / "flags.json").write_text(json.dumps(flags), encoding="utf-8")
    assert repair(log, explained(log), ask=yes, say=said.append).profile == "mine"


def test_where_verify_alone_is_left_it_runs_too(env: TargetEnvironment) -> None:
    torch = {"version": "2.13.0+cpu", "path": "/x/torch"}
    there = {"einops": "0.8", "transformers": "5.15", "packaging": "24.2", "pillow": "10"}
    lacking = probe(env, there, torch=torch)
    env.take_over({"cached_probe.py": lacking, "-m": ("", SHADOWED, 1)})
    with pytest.raises(MambaopsError):
        drive("local", Flags(), only=("install-wheels",), say=lambda line: None)
    (log,) = places("local").runs.glob("*/install-wheels*.log")
    module = json.dumps({"module": "torch", "outcome": "ok", "reason": "", "file": "f"})
    whole = probe(env, {**there, "numpy": "2.1"}, torch=torch)
    env.take_over({"cached_probe.py": lacking, "-m": ("", "", 0)})
    env.after_pip({"cached_probe.py": whole, "smoke.py": (module, "", 0), "-c": ("", "", 0)})
    run = Run(load_profile("local"), Flags(), said.append)
    if run.situation().facts.gpus:
        pytest.skip("for a machine without a GPU")
    assert repair(log, explained(log), ask=yes, say=said.append).helped
    assert "verified: the whole environment passes `verify`" in said
    assert not any(line.startswith("left of the plan") for line in said)
    assert places("local").verified.exists()


@pytest.mark.parametrize(
    ("text", "told", "rule"),
    [
        (SHADOWED, "no log of a step that failed in a run of mambaops", "nvjitlink-shadowed"),
        ("Successfully installed x-1\n", "no failure that is known", ""),
        ("ValueError: odd\n", "no failure that is known", ""),
        (WARNED + "ValueError: odd\n", "no failure that is known", ""),
        (
            KILLED + "Successfully built x\nSuccessfully installed x-1\n# exit 0 after 1.0 s\n",
            "no failure that is known",
            "",
        ),
    ],
)
def test_a_log_from_elsewhere_is_not_run_again(
    env: TargetEnvironment, tmp_path: Path, text: str, told: str, rule: str
) -> None:
    log = tmp_path / "pip.log"
    log.write_text(text, encoding="utf-8")
    done = repair(log, explained(log), ask=yes, say=said.append)
    assert told in said[0]
    left = explained(log).diagnosis.findings[0].fixes if rule else []
    assert msgspec.to_builtins(done) == {
        "rule": rule, "remedy": "", "profile": "", "step": "", "result": "", "left": left,
    }  # fmt: skip
    assert repair(None, explained(log), ask=yes, say=said.append).remedy == ""


def test_a_log_of_a_step_that_went_well_is_not_run_again(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    other = log.with_name("create-venv.log")
    other.write_text(SHADOWED, encoding="utf-8")
    assert repair(other, explained(other), ask=yes, say=said.append).remedy == ""
    ended = log.parent / "outcome.json"
    text = ended.read_text(encoding="utf-8")
    for broken in (text.replace('"failed"', '"done"'), "{"):
        ended.write_text(broken, encoding="utf-8")
        assert repair(log, explained(log), ask=yes, say=said.append).remedy == ""


@pytest.mark.parametrize("text", ["", "[", '[{"day": 1}]', "\udcff"])
def test_a_broken_memory_is_none(env: TargetEnvironment, text: str) -> None:
    memory_file().parent.mkdir(parents=True)
    memory_file().write_bytes(text.encode("utf-8", "surrogateescape"))
    assert tried() == []
    remember_tried(rule="x", remedy="y", profile="local", step="verify", result="helped")
    assert [one.rule for one in tried("x")] == ["x"]


def test_remedies_belong_to_rules_and_have_nothing_to_do_where_nothing_is_set(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(AGREED) <= {rule.id for rule in load().rules}
    monkeypatch.delenv("LD_LIBRARY_PATH")
    log = failed(env, SHADOWED)
    assert repair(log, explained(log), ask=yes, say=said.append).remedy == ""


def test_a_folder_of_our_own_for_what_cannot_be_written(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "/nonexistent/.triton")
    log = failed(env, "PermissionError: [Errno 13] Permission denied: '/nonexistent/.triton'\n")
    mended(env)
    assert repair(log, explained(log), ask=yes, say=said.append).helped
    own = [one["env"]["TRITON_CACHE_DIR"] for one in env.seen() if one["words"][0] == "-m"][-1]
    assert Path(own) == places("local").root / "triton"
    assert Path(own).is_dir()


def test_the_document_has_the_diagnosis_and_what_was_done(env: TargetEnvironment) -> None:
    log = failed(env, SHADOWED)
    whole: dict[str, Any] = json.loads(
        msgspec.json.encode(
            Repaired.of(explained(log).diagnosis, Repair(rule="x", result="helped"))
        )
    )
    assert whole["verdict"] == "failed"
    assert whole["findings"][0]["rule"] == "nvjitlink-shadowed"
    assert whole["repair"]["result"] == "helped"


def test_another_folder_for_temporary_files_only_where_it_has_more_room(
    env: TargetEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = failed(env, "OSError: [Errno 28] No space left on device\n")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the disk that ours is on too
    assert repair(log, explained(log), ask=yes, say=said.append).remedy == ""
