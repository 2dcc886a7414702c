"""Which keys are sources: globs over whole keys, case-sensitive, without hidden names and system folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final, Self

from thumbsmith.recipe.fields import Checked, kind, list_of, option
from thumbsmith.recipe.suffixes import other_kind

# Patterns are compiled on first use, because a worker process matches no globs.
_PART: Final = (
    r"(?s)(?P<folders>(?<![^/])\*{2,}/)|(?P<deep>\*{2,})|(?P<star>\*)|(?P<one>\?)"
    r"|\[(?P<negated>!?+)(?P<members>\][^\]]*|[^\]]+)\]|(?P<text>[^*?\[]+)|(?P<unclosed>\[)"
)
# Folders of file systems, NAS devices and archivers, in lower case. Their files are not images of users.
SYSTEM_FOLDERS: Final = frozenset(
    {
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "__macosx",
        "lost+found",
        "system volume information",
    }
)

_EVERYTHING: Final = "**"

MAX_GLOB_CHARACTERS: Final = 1024  # the longest key of S3

_WILDCARD: Final = re.compile(r"[*?/]")

_MEMBER: Final = r"(?s)(?P<first>.)-(?P<last>.)|(?P<only>.)"


def is_glob(text: str) -> bool:
    """Return whether the text is a glob: it is not empty, its classes are closed, and no range runs backwards."""
    try:
        return bool(text) and ("[" not in text or _compiled(text) is not None)
    except ValueError:
        return False


EVERYTHING: Final = ("**",)

_GLOB: Final = kind(
    f'a glob of 1 to {MAX_GLOB_CHARACTERS} characters in which every "[" begins a class such as "[a-z]"',
    {"type": "string", "minLength": 1, "maxLength": MAX_GLOB_CHARACTERS},
    lambda found: isinstance(found, str) and len(found) <= MAX_GLOB_CHARACTERS and is_glob(found),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Checked):
    """Which keys are sources: globs in which * stops at / and ** does not; exclude wins."""

    include: tuple[str, ...] = option(
        list_of(_GLOB),
        "Globs for keys. A key that matches one of them is a source. Videos, archives and other files that are no"
        " pictures are sources only if a glob ends with their suffix.",
        [*EVERYTHING],
    )
    exclude: tuple[str, ...] = option(
        list_of(_GLOB, empty=True), "Globs for keys that are not sources. It overrides include.", []
    )

    def with_globs(self, include: Iterable[str], exclude: Iterable[str]) -> Self:
        """Return this selection with further globs. Further globs of include replace the default, which matches all.

        Raises RecipeError for a text that is no glob.
        """
        own = () if self.include == EVERYTHING else self.include
        return replace(self, include=(*own, *include) or EVERYTHING, exclude=(*self.exclude, *exclude))

    def selects(self, key: str) -> bool:
        """Return whether some glob of include matches the whole key and none of exclude does."""
        return _matches(self.include, key) and not _matches(self.exclude, key)

    def names_suffix(self, key: str) -> bool:
        """Return whether a glob of include that matches the key ends with its suffix: `*.mp4`, but not `videos/**`."""
        named = tuple(glob for glob in self.include if "." in glob and not _WILDCARD.search(glob.rpartition(".")[2]))
        return bool(named) and _matches(named, key)


def is_source(key: str, selection: Selection) -> bool:
    """Return whether the key is a source.

    It is if it is selected, does not end with /, is not hidden or in a system folder, and is not ignored.
    """
    return _is_candidate(key, selection) and not (other_kind(key) and not selection.names_suffix(key))


def is_ignored(key: str, selection: Selection) -> bool:
    """Return whether the key would be a source, but its suffix says that it is no picture (`suffixes.py`)."""
    return other_kind(key) is not None and _is_candidate(key, selection) and not selection.names_suffix(key)


def _is_candidate(key: str, selection: Selection) -> bool:
    return bool(key) and not key.endswith("/") and not is_hidden(key) and selection.selects(key)


def is_hidden(key: str) -> bool:
    """Return whether a component of the key begins with a dot, or the key is in a system folder."""
    return key.startswith(".") or "/." in key or system_folder(key) is not None


def system_folder(key: str) -> str | None:
    """Return the first system folder that the key is in, in any case of letters, or None."""
    return _system_folder_in(key[: max(0, key.rfind("/"))])


@lru_cache(maxsize=256)  # many keys are in one folder
def _system_folder_in(folders: str) -> str | None:
    return next((folder for folder in folders.split("/") if folder.lower() in SYSTEM_FOLDERS), None)


def may_hold_sources(folder: str, selection: Selection) -> bool:
    """Return whether a key in `folder` can be a source.

    It cannot if a glob of exclude that ends in ** matches everything in the folder, or if no glob of include can match
    anything in it.
    """
    inside = f"{folder}/"
    if is_hidden(inside):
        return False
    if any(glob.endswith(("**", "**/*")) and _matches((glob,), inside) for glob in selection.exclude):
        return False
    beginnings = (re.split(r"[*?\[]", glob, maxsplit=1)[0] for glob in selection.include)
    return any(start.startswith(inside) or inside.startswith(start) for start in beginnings)


def _matches(globs: tuple[str, ...], key: str) -> bool:
    return _EVERYTHING in globs or any(_compiled(glob).match(key) for glob in globs)


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(_regex(glob), re.DOTALL)


def _regex(glob: str) -> str:
    """Return the regular expression of a glob. Its matching time is never exponential.

    A `**` begins a segment, and a `*` begins a piece of a segment. The first place where a segment or piece matches
    leaves the most text to the next wildcard, so no later place can be better. Atomic groups keep that first match and
    prevent backtracking. Only the last segment must also match the end of the key.

    Raises ValueError for an unclosed class, and for a range that runs backwards.
    """
    segments = [[""]]
    for token in re.finditer(_PART, glob):
        match token.lastgroup:
            case "folders":
                segments.append(["(?:.*?/)??"])
            case "deep":
                segments.append([".*?"])
            case "star":
                segments[-1].append("[^/]*?")
            case "one":
                segments[-1][-1] += "[^/]"
            case "members":
                segments[-1][-1] += _class(token["members"], negated=bool(token["negated"]))
            case "text":
                segments[-1][-1] += re.escape(token["text"])
            case _:
                raise ValueError(glob)
    segments[-1][-1] += r"\Z"
    *passed, last = (first + "".join(f"(?>{piece})" for piece in pieces) for first, *pieces in segments)
    return "".join(f"(?>{segment})" for segment in passed) + last


def _class(members: str, *, negated: bool) -> str:
    ranges = ""
    for member in re.finditer(_MEMBER, members):
        if member["only"]:
            ranges += re.escape(member["only"])
        elif member["first"] <= member["last"]:
            ranges += f"{re.escape(member['first'])}-{re.escape(member['last'])}"
        else:
            raise ValueError(members)
    return f"(?!/)[{'^' if negated else ''}{ranges}]"
