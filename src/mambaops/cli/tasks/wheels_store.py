"""The store of built and fetched wheels."""

from __future__ import annotations

from invoke import Context

from mambaops.cli.task import emit, say, task


@task(
    positional=["action"],
    help={
        "action": "list, add, prune or path",
        "file": "add: the wheel file",
        "torch": "add: torch that it was built against, where its name does not say",
        "older-than": "prune: only what was not used for so long, e.g. 90d or 12h",
        "keep": "prune: leave so many of each package (0: none)",
        "dry-run": "prune: only say what would go",
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
    store: str = "",
    json: bool = False,
) -> None:
    """List, fill and prune the store of wheels.

    It is one flat folder: `pip install --find-links "$(mambaops wheels path)" …` uses it as it stands.
    """
    from pathlib import Path

    from mambaops.store.commands import Request, run, text
    from mambaops.store.store import Store

    one = Store(Path(store) if store else None, say=say)
    request = Request(
        action=action,
        file=file,
        torch=torch,
        older_than=older_than,
        keep=keep if keep >= 0 else None,
        dry_run=dry_run,
    )
    answer = run(one, request)
    emit(answer, as_json=json, text=text)
