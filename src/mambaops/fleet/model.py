"""What `hosts.yaml` holds: machines, how OpenSSH reaches them, and groups. Unknown keys are refused; no passwords.

The descriptions of the fields are the JSON schema's (`mambaops fleet hosts --schema`).
"""

# no `from __future__ import annotations`: msgspec takes three times as long over annotations that are texts

from typing import Annotated

import msgspec
from msgspec import Meta

# what begins with a dash would be an option of ssh
NAME = r"^[A-Za-z0-9_][\w.-]*$"
Name = Annotated[str, Meta(pattern=NAME)]


class Ssh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    config: Annotated[
        str,
        Meta(description="OpenSSH's configuration, seen from this file; empty: ~/.ssh/config"),
    ] = ""
    agent: Annotated[
        str, Meta(description="socket of the agent that holds the keys; empty: SSH_AUTH_SOCK")
    ] = ""
    connect_timeout: Annotated[
        int, Meta(ge=1, le=600, description="seconds until a machine counts as out of reach")
    ] = 10


class Slurm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partition of a cluster: the machine is its login node, and what is asked or started goes into jobs."""

    partition: Annotated[
        str, Meta(pattern=r"^[\w.,-]*$", description="empty: the cluster's default one")
    ] = ""
    node: Annotated[
        str, Meta(pattern=r"^[\w.-]*$", description="one node of it alone; empty: all of them")
    ] = ""
    gpus: Annotated[
        int, Meta(ge=0, description="GPUs that a job which builds or proves is given")
    ] = 0
    options: Annotated[
        str,
        Meta(
            description="more of srun's and sbatch's, words of a shell: --account=lab --qos=short"
        ),
    ] = ""


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9_\[:][\w.:%\[\]-]*)?$",
            description="what `ssh` takes: a name of OpenSSH's configuration, a host name or an "
            "address; empty: the machine's name here",
        ),
    ] = ""
    user: Annotated[
        str, Meta(pattern=r"^([A-Za-z0-9_][^\s@]*)?$", description="login name there")
    ] = ""
    port: Annotated[int, Meta(ge=0, le=65535, description="0: OpenSSH's own choice")] = 0
    jump: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9_][\w.@:,\[\]-]*)?$",
            description="machines to go through, as `ssh -J` takes them: user@gate:22,inner",
        ),
    ] = ""
    identity: Annotated[str, Meta(description="file of the private key, seen from this file")] = ""
    python: Annotated[
        str,
        Meta(
            min_length=1, description="how Python 3.7 or newer is started there: words of a shell"
        ),
    ] = "python3"
    profile: Annotated[
        str, Meta(min_length=1, description="what the machine should become: a profile or its file")
    ] = "local"
    arch: Annotated[str, Meta(description="GPU architectures instead of the machine's own")] = ""
    torch: Annotated[str, Meta(description="torch release instead of the profile's")] = ""
    mambaops: Annotated[
        str,
        Meta(description="how mambaops is started there, where it is installed: words of a shell"),
    ] = ""
    bundle: Annotated[
        str, Meta(description="a bundle to install there without a network, seen from this file")
    ] = ""
    slurm: Annotated[
        Slurm | None,
        Meta(description="it is the login node of a cluster: jobs go to this partition"),
    ] = None
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="seconds that a look at the machine may take")
    ] = 60.0


class Fleet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. A group's members are machines or other groups."""

    hosts: Annotated[dict[Name, Host], Meta(min_length=1, description="machines, by name")]
    groups: Annotated[
        dict[Name, list[Name]], Meta(description="names of machines and of other groups")
    ] = {}
    defaults: Annotated[Host, Meta(description="what a machine does not say itself")] = Host()
    ssh: Annotated[Ssh, Meta(description="how OpenSSH is called for all of them")] = Ssh()
