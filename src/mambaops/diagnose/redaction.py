"""What must not leave the machine in a report: secrets, user names, home folders, host names in addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # e.g. https://user:secret@host/simple
        (r"(?P<scheme>[a-zA-Z][\w+.-]{0,20}://)[^/\s@'\"]{1,200}@", r"\g<scheme>***@"),
        # e.g. ?token=abc, password: abc, HF_TOKEN=abc, "api_key": "abc"
        (
            r"(?i)(?P<name>\b[\w-]{0,40}(?:token|password|passwd|secret|api[-_]?key|access[-_]?key|credential)[\w-]{0,20}[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"'&,;]{1,500}",
            r"\g<name>***",
        ),
        # e.g. Authorization: Bearer abc
        (r"(?i)(?P<name>\b(?:bearer|basic)\s{1,3})[\w.~+/=-]{8,}", r"\g<name>***"),
        # e.g. hf_abc…, ghp_abc…, pypi-abc…, AKIA…, sk-abc…, glpat-abc…
        (
            r"\b(?:hf_|gh[pousr]_|github_pat_|pypi-|glpat-|sk-|xox[bap]-|AKIA)[A-Za-z0-9_-]{12,}",
            "***",
        ),
        # e.g. me@example.org (but not git@ and not user***@)
        (r"\b[\w.+-]{1,60}@[\w-]{1,60}(?:\.[\w-]{1,60}){1,4}\b", "***@***"),
        # e.g. /home/someone/x, /Users/someone, /mnt/c/Users/someone
        (r"(?P<front>/home|/Users|/mnt/[a-z]/Users|/data/home|/export/home)/[^/\s:'\"]{1,60}", "~"),
        # e.g. C:\Users\someone
        (r"(?i)[a-z]:\\{1,2}Users\\{1,2}[^\\\s:'\"]{1,60}", "~"),
        (r"(?<![\w/])/root(?=[/\s:'\"]|$)", "~"),
        # e.g. the prompt `someone@machine:~$`
        (r"(?m)^\(?[\w.-]{0,40}\)?\s?[\w.-]{1,40}@[\w.-]{1,60}:", "***@***:"),
    )
)


def mask(text: str, words: Iterable[str] = ()) -> str:
    """The text without secrets, names and homes.

    Args:
        words: further words to hide wherever they stand alone, e.g. the user's and the machine's name.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    for word in words:
        if len(word) > 2 and word not in ("root", "user", "localhost"):
            text = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", "***", text)
    return text
