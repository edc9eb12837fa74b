"""Several words for one argument: `strip-crlf a.sh b.sh`. Invoke's parser gives a positional one word only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

TASK, FLAG = "strip-crlf", "--also"


def spread(argv: Sequence[str], tasks: Collection[str]) -> list[str]:
    """`strip-crlf a b --check` -> `strip-crlf a --also=b --check`; everything else as it is.

    A word that is another task's name ends the list, as it does everywhere in Invoke.
    """
    words = list(argv)
    if TASK not in words:
        return words
    start = words.index(TASK) + 1
    made, paths = words[:start], 0
    for place, word in enumerate(words[start:], start):
        if word in tasks or word == "--":
            return made + words[place:]
        is_path = not word.startswith("-") and words[place - 1] not in {"--path", FLAG, "-p", "-a"}
        paths += is_path
        made.append(f"{FLAG}={word}" if is_path and paths > 1 else word)
    return made
