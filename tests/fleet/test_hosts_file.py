"""`hosts.yaml`: what is wrong with it is said with its place, before any machine is asked."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from mambaops.core import strict_yaml
from mambaops.core.errors import UsageError
from mambaops.fleet.load import load_fleet, parse_fleet, schema, selected

GOOD = """
defaults: {user: me, timeout: 5}
ssh: {connect_timeout: 3}
hosts:
  a800: {address: a800.lab, profile: debian-a800}
  laptop: {address: "fe80::1%eth0", user: you, jump: "me@gate:2222,inner"}
  plain:
groups:
  gpus: [a800, laptop]
  all: [gpus, plain]
"""


def test_a_good_one() -> None:
    fleet = parse_fleet(GOOD, "hosts.yaml")
    assert {name: host.user for name, host in fleet.hosts.items()} == {
        "a800": "me",
        "laptop": "you",
        "plain": "me",
    }
    assert fleet.hosts["plain"].timeout == 5
    assert list(selected(fleet, [])) == ["a800", "laptop", "plain"]
    assert list(selected(fleet, ["laptop", "gpus"])) == ["a800", "laptop"]
    assert list(selected(fleet, ["all"])) == ["a800", "laptop", "plain"]
    jsonschema.validate(strict_yaml.load(GOOD.replace("plain:\n", "plain: {}\n")), schema())


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("hosts: [a]", r"Expected `object`.*\$\.hosts", "--schema"),
        ("hosts: {}", "length >= 1", "--schema"),
        ("", "Expected `object`, got `null`", "--schema"),
        ("hosts: {a: {adress: x}}", r"unknown field `adress` - at `\$\.hosts\.a`", "`address`"),
        ("hosts: {a: {port: 70000}}", r"<= 65535 - at `\$\.hosts\.a\.port`", "--schema"),
        ("hosts: {a: {address: -oProxyCommand=x}}", r"regex.*\$\.hosts\.a\.address", "--schema"),
        ("hosts: {a: {jump: -oProxyCommand=x}}", r"regex.*\$\.hosts\.a\.jump", "--schema"),
        ("hosts: {a: {user: -x}}", r"regex.*\$\.hosts\.a\.user", "--schema"),
        ("hosts: {-a: {}}", "regex", "--schema"),
        ("hosts: {../a: {}}", "regex", "--schema"),
        ("hosts: {a: 3}", r"Expected `object`, got `int` - at `\$\.hosts\.a`", "--schema"),
        ("hosts: {a: {}, a: {}}", "stands twice", ""),
        ("hosts: {1: {}}", "is no key: put it in quotes", ""),
        ("hosts: {a: {password: x}}", r"`hosts\.a\.password`: no passwords", "ssh-copy-id"),
        ("defaults: {sudo_password: x}\nhosts: {a: {}}", "no passwords", "ssh-copy-id"),
        ("hosts: {a: {}}\ngroups: {g: [b]}", "group `g` names `b`, which is no machine", "there are: a, g"),
        ("hosts: {a: {}}\ngroups: {g: [h], h: [g]}", "in itself: g > h > g", ""),
        ("hosts: {a: {}}\ngroups: {a: [a]}", "a machine and a group", "rename"),
        ("defaults: {prot: 3}\nhosts: {a: {}}", "unknown field `prot`", "`port`"),
        ("hosts: {a: {}}\ndefaults: {port: x}", r"`\$\.defaults\.port`", "--schema"),
        ("ssh: {confg: x}\nhosts: {a: {}}", r"unknown field `confg` - at `\$\.ssh`", "`config`"),
        ("hosts: {a: {}", "is not YAML", ""),
    ],
)  # fmt: skip
def test_a_wrong_one(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_fleet(text, "hosts.yaml")
    assert hint in caught.value.hint


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(UsageError, match="`a80` is no machine and no group") as caught:
        selected(parse_fleet(GOOD, "hosts.yaml"), ["a80"])
    assert "did you mean `a800`?" in caught.value.hint


def test_paths_are_seen_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    file = tmp_path / "hosts.yaml"
    file.write_text("hosts: {a: {identity: key, profile: ./p.yaml}, b: {profile: hopper}}")
    hosts = load_fleet(file).hosts
    assert hosts["a"].identity == str(tmp_path / "key")
    assert (hosts["a"].profile, hosts["b"].profile) == (str(tmp_path / "p.yaml"), "hopper")
    file.write_text("hosts: {a: {identity: no-such-key}}")
    with pytest.raises(UsageError, match=r"hosts\.a\.identity: there is no file"):
        load_fleet(file)
    with pytest.raises(UsageError, match="there is no") as caught:
        load_fleet(tmp_path / "other.yaml")
    assert "--file" in caught.value.hint
