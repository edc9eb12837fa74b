"""The store of built and fetched wheels."""

from __future__ import annotations

from typing import Any

from mambaops.cli.confirm import HELP
from mambaops.cli.task import Context, emit, say, task

STORE = "folder of the store (default: in the user's cache)"


def _answer(json: bool, store: str, **words: Any) -> None:
    """What one action of the store says. Errors as in `store.commands.run`."""
    from pathlib import Path

    from mambaops.store.commands import Request, run, text
    from mambaops.store.store import Store

    one = Store(Path(store) if store else None, say=say)
    emit(run(one, Request(**words)), as_json=json, text=text)


def _prune(json: bool, store: str, *, yes: bool, dry_run: bool, **words: Any) -> None:
    """Says what would go, asks, deletes."""
    from pathlib import Path

    from mambaops.cli.confirm import confirm
    from mambaops.store.commands import Request, run, text
    from mambaops.store.store import Store

    one = Store(Path(store) if store else None, say=say)
    found = run(one, Request(action="prune", dry_run=True, **words))
    if not dry_run and not found.is_empty:
        if not yes:
            say(text(found))
        confirm("delete these", yes=yes)
    _answer(json, store, action="prune", dry_run=dry_run, **words)


@task(
    name="wheels-list",
    verb="wheels list",
    group="wheels",
    examples=("mambaops wheels list", "mambaops wheels list --json"),
    help={"store": STORE},
)
def wheels_list(c: Context, store: str = "", json: bool = False) -> None:
    """List the wheels that were built or fetched once: size and last use."""
    _answer(json, store, action="list")


@task(
    name="wheels-path",
    verb="wheels path",
    group="wheels",
    examples=(
        "mambaops wheels path",
        'pip install --find-links "$(mambaops wheels path)" mamba-ssm',
    ),
    help={"store": STORE},
)
def wheels_path(c: Context, store: str = "", json: bool = False) -> None:
    """Print the folder of the store: one flat folder, as pip's --find-links wants it."""
    _answer(json, store, action="path")


@task(
    name="wheels-add",
    verb="wheels add",
    group="wheels",
    operand="file",
    positional=["file"],
    examples=(
        "mambaops wheels add mamba_ssm-2.3.2-cp311-cp311-linux_x86_64.whl",
        "mambaops wheels add x.whl --torch 2.8.0",
    ),
    help={
        "file": "the wheel file",
        "torch": "torch that it was built against, where its name does not say",
        "store": STORE,
    },
)
def wheels_add(c: Context, file: str, torch: str = "", store: str = "", json: bool = False) -> None:
    """Put a wheel of your own into the store."""
    _answer(json, store, action="add", file=file, torch=torch)


@task(
    name="wheels-prune",
    verb="wheels prune",
    group="wheels",
    examples=(
        "mambaops wheels prune --older-than 90d --dry-run",
        "mambaops wheels prune --keep 2 --yes",
    ),
    excludes=(("yes", "dry-run"),),
    help={
        "older-than": "only what was not used for so long, e.g. 90d or 12h",
        "keep": "leave so many of each package (0: none)",
        "dry-run": "only say what would go",
        "yes": HELP,
        "store": STORE,
    },
)
def wheels_prune(
    c: Context,
    older_than: str = "",
    keep: int = -1,
    dry_run: bool = False,
    yes: bool = False,
    store: str = "",
    json: bool = False,
) -> None:
    """Delete wheels from the store: the old ones, or all but so many; and kernels that were compiled here.

    Kernels go by age, or all with `--keep 0`: they are compiled again when they are used. It asks first.
    """
    kept = keep if keep >= 0 else None
    _prune(json, store, yes=yes, dry_run=dry_run, older_than=older_than, keep=kept)


@task(
    name="wheels-index",
    verb="wheels index",
    aliases=("index",),
    group="wheels",
    operand="folder",
    positional=["folder"],
    examples=("mambaops wheels index /srv/wheels", "mambaops index public --json"),
    help={
        "folder": "folder to write, for a web server; what we wrote there before is replaced",
        "force": "write into a folder that holds something else",
        "store": STORE,
    },
)
def wheels_index(
    c: Context, folder: str, store: str = "", force: bool = False, json: bool = False
) -> None:
    """Write the store as static package indexes for pip and uv, one for each torch and GPU.

    pip cannot tell GPUs apart, so each has an address of its own: FOLDER/cu128-torch2.8-sm120/simple/.
    """
    from pathlib import Path

    from mambaops.store.index import text, write_index
    from mambaops.store.store import Store

    one = Store(Path(store) if store else None, say=say)
    emit(write_index(one, Path(folder), force=force, say=say), as_json=json, text=text)


@task(
    group="",
    operand="action",
    positional=["action"],
    help={
        "action": "list, add, prune or path",
        "file": "add: the wheel file",
        "torch": "add: torch that it was built against, where its name does not say",
        "older-than": "prune: only what was not used for so long, e.g. 90d or 12h",
        "keep": "prune: leave so many of each package (0: none)",
        "dry-run": "prune: only say what would go",
        "yes": "prune: do not ask",
        "store": "folder of the store (default: in the user's cache)",
    },
)
def wheels(
    c: Context,
    action: str,
    file: str = "",
    torch: str = "",
    older_than: str = "",
    keep: int = -1,
    dry_run: bool = False,
    yes: bool = False,
    store: str = "",
    json: bool = False,
) -> None:
    """List, fill and prune the store of wheels.

    It is one flat folder: `pip install --find-links "$(mambaops wheels path)" …` uses it as it stands.
    """
    kept = keep if keep >= 0 else None
    if action == "prune":
        _prune(json, store, yes=yes, dry_run=dry_run, older_than=older_than, keep=kept)
        return
    words = {"file": file, "torch": torch, "older_than": older_than, "keep": kept}
    _answer(json, store, action=action, dry_run=dry_run, **words)
