"""How a key is given on the command line: before or after the destination, as a key or as a path below the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from itertools import islice
from os.path import isdir, lexists, realpath
from pathlib import Path
from typing import Final

from thumbsmith.errors import StoreError
from thumbsmith.store import Store

# Objects that are listed to find the key that is most like an unknown one.
MAX_LISTED: Final = 10_000


def destination_and_key(one: str, two: str, is_key: Callable[[str], bool] = lambda _: False) -> tuple[str, str]:
    """Return the destination and the key of two arguments in either order. DST KEY is the documented order.

    A folder that exists, and an address, is a destination; of two, the one that contains the other. Else the argument
    that `is_key` knows, or that alone has a file name extension, is the key.
    """
    places = _is_place(one), _is_place(two)
    if places[0] != places[1]:
        swapped = places[1]
    elif places[0] and _contains(two, one):
        swapped = True
    else:
        looks_swapped = not places[0] and bool(Path(one).suffix and not Path(two).suffix)
        swapped = not one or (is_key(one) and not is_key(two)) or looks_swapped
    return (two, one) if swapped else (one, two)


def _is_place(argument: str) -> bool:
    return "://" in argument or isdir(argument)  # noqa: PTH112 - False, and no error, for a folder without access


def _contains(folder: str, argument: str) -> bool:
    """Return whether an argument is a path or an address below a folder or a prefix."""
    if "://" in argument:
        return argument.startswith(folder.rstrip("/") + "/")
    return "://" not in folder and Path(realpath(folder)) in Path(realpath(argument)).parents


def key_below(source: Store, argument: str) -> str:
    """Return the key that an argument names: the argument, or the rest of a path or address below the source."""
    base = source.url.rstrip("/") + "/"
    if "://" in argument:
        return argument.removeprefix(base)
    root = source.local_root
    if root is None or not argument or argument.endswith("/"):
        return argument
    path = Path(argument)  # without "." and double slashes
    if not path.is_absolute() and ".." not in path.parts and lexists(Path(root, path)):
        return path.as_posix()
    for place in (path, Path(root, path)):
        inside = Path(realpath(place.parent), place.name)
        if inside.is_relative_to(root) and isdir(place.parent):  # noqa: PTH112 - as above
            return inside.relative_to(root).as_posix()
    return argument


def has_object(store: Store, key: str) -> bool:
    """Return whether the store has an object with this key; False also where it cannot have one."""
    try:
        return bool(key) and not key.endswith("/") and store.head(key) is not None
    except StoreError as error:
        if not error.one_object:
            raise
        return True  # it exists, but it cannot be read


def nearest(key: str, keys: Iterable[str]) -> str | None:
    """Return the key with the same last part, else the key that is most like another one; None if none is similar."""
    listed, name = list(islice(keys, MAX_LISTED)), key.rpartition("/")[2]
    by_name = {each.rpartition("/")[2]: each for each in listed}
    if name in by_name:
        return by_name[name]
    similar = get_close_matches(key, listed, n=1) or get_close_matches(name, by_name, n=1)
    return by_name.get(similar[0], similar[0]) if similar else None
