"""Pages in a real browser: Chromium from the distribution, without a window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCHEMES = {"dark": "0", "light": "1"}
# the page as on a phone; its own script says what came out, since the page has none
PHONE = """<!doctype html><meta charset="utf-8"><iframe src="{page}" style="width:400px;height:900px;border:0"></iframe>
<script>onload = () => {{ const d = document.querySelector("iframe").contentDocument.documentElement;
document.title = d.scrollWidth + " of " + d.clientWidth + " " + getComputedStyle(d.querySelector("body")).backgroundColor; }}</script>"""


@pytest.fixture(scope="session")
def browser() -> str:
    """Its program; skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no chromium here")
    return found


def looked_at(browser: str, target: Path, profile: Path, *words: str) -> str:
    """What it prints of a page, with `--dump-dom` what the page became.

    Args:
        profile: folder for what it remembers.
    """
    argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    done = subprocess.run(
        [*argv, *words, target.as_uri()], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout


def on_a_phone(browser: str, page: Path, profile: Path, scheme: str = "light") -> tuple[str, str]:
    """("400 of 400": its width of what there is, its background) where a person prefers light or dark."""
    outer = page.with_name("phone.html")
    outer.write_text(PHONE.format(page=page.name), encoding="utf-8")
    words = ("--dump-dom", "--allow-file-access-from-files", "--hide-scrollbars")
    prefers = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    dom = looked_at(browser, outer, profile, *words, prefers)
    found = re.search(r"<title>(\d+ of \d+) (.*)</title>", dom)
    assert found is not None, dom[:500]
    return found[1], found[2]
