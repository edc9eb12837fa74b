"""Lines of a log that only quote an error: commands that were echoed, comments, source code, a README on the screen."""

from __future__ import annotations

import re

# e.g. `+ echo "…"` (set -x), `$ pip …`, `# comment`, `// …`, `>>> …`, `>       raise …` (pytest), ` 12 |  code` (gcc)
_QUOTES = re.compile(
    r"^\s*(?:(?:\++|\$|#|//|/\*|>{1,3}|%|\d{1,6} \|)(?=\s)(?!\s*exit )"
    r"|(?:\([\w.-]{1,40}\) ?)?[\w.-]{1,40}@[\w.-]{1,60}:\S{0,200}[$#]\s"
    # a command of a build file, e.g. `Step 3/9 : RUN …`, `#9 [3/9] RUN …`, `##[group]Run …`
    r"|(?:#\d+ |=> )?(?:Step \d+/\d+ : |\[[^\]\n]{1,60}\] )(?:RUN|COPY|ENV|CMD)\b"
    # code, as tracebacks show it
    r"|(?:raise|print\(|log\w*\.\w+\(|warnings\.warn\(|assert|except|return|(?:el)?if)\b)"
)
_PASSED = re.compile(r"\bPASSED\b(?!.*\b(?:FAILED|ERROR)\b)|::\w+\[(?!.* - )|\.\.\. ok$")
# what is printed, and what goes into a file, by a command on this line
_PRINTS = re.compile(r"(?:\b(?:echo|printf)\s+(?:-\w+\s+)?[\"'$]|\s#\s)")
_APPENDS = re.compile(r"[\"'] ?>>? ?[\w./~$-]+\s*$")
# a command that was echoed, and one that puts a file on the screen
_COMMAND = re.compile(r"^(?:.{0,60}?\s)?(?:\+{1,4}|\$|[\w.-]+@[\w.-]+:\S*[$#]) \S")
_SHOWS = re.compile(r"[+$#] (?:cat|head|tail|less|more|bat|grep|sed -n|type)\s+\S")


def is_quoted(line: str, start: int = 0, end: int = 0) -> bool:
    """Whether what stands in a line from `start` to `end` is only quoted there and did not happen."""
    if _QUOTES.match(line) or _PASSED.search(line) or _APPENDS.search(line):
        return True
    prints = _PRINTS.search(line, 0, max(start, 1) + 5)
    return prints is not None or _between_backticks(line, start, end)


def _between_backticks(line: str, start: int, end: int) -> bool:
    return line.count("`", 0, start) % 2 == 1 and "`" in line[end:]


def is_shown_text(before: str) -> bool:
    """Whether the last command above a line put a file on the screen (`+ cat README.md`)."""
    if "+ " not in before and "$ " not in before and "# " not in before:
        return False
    last = next((line for line in reversed(before.split("\n")) if _COMMAND.match(line)), "")
    return _SHOWS.search(last) is not None
