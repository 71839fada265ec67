"""What a roster says of where a submission is in git: a repository, a branch of it, a folder in that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from harness.host.errors import UsageError
from harness.host.schema_errors import quoted

FORMS = (
    "write https://HOST/PATH, ssh://USER@HOST/PATH, file:///PATH or a path, "
    "and behind it #BRANCH and //FOLDER if need be"
)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_HTTPS = re.compile(rf"https://{_HOST}/[^@#]*")
_SSH = re.compile(rf"ssh://(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?{_HOST}/.+")
_SCP = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)@([A-Za-z0-9][A-Za-z0-9.-]*):([^/-].*)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|:)")
_FILE = "file://"
_PASSWORD = re.compile(r"(?<=//)[^/@]*:[^/@]*(?=@)")
# What git allows in the name of a branch (git-check-ref-format), and nothing that looks like an option.
_BRANCH = re.compile(r"(?![-./])(?!.*(?:\.\.|//|@\{|/\.|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a submission is.

    Attributes:
        url: for git: https, ssh, or an absolute path.
        protocol: the only one that is spoken for it: ``https``, ``ssh`` or ``file``.
        branch: empty: the one that the repository names.
        folder: inside the repository, name by name; empty: the whole of it.
    """

    url: str
    protocol: str
    branch: str = ""
    folder: tuple[str, ...] = ()

    def __str__(self) -> str:
        branch = f"#{self.branch}" if self.branch else ""
        return f"{self.url}{branch}{'//' if self.folder else ''}{'/'.join(self.folder)}"


def parse_address(written: str, home: Path) -> Address:
    """Read an address: ``URL#BRANCH//FOLDER``, of which the last two may be left out or change places.

    Args:
        written: as it stands in the roster; no password or token is taken, since it is shown to people.
        home: the folder that paths are relative to.

    Raises:
        UsageError: it has another form, or asks for another protocol.
    """
    scheme = _SCHEME.match(written)
    start = scheme.end() if scheme and scheme[0].endswith("//") else 0
    place, hash_, rest = written.partition("#")
    branch = ""
    if hash_:
        branch, slashes, folder = rest.partition("//")
    else:
        slashes = folder = ""
    if not slashes:
        inner, slashes, folder = place[start:].partition("//")
        place = place[:start] + inner
    url, protocol = _url(place, home, written)
    parts = tuple(part for part in folder.split("/") if part)
    if (hash_ and not _BRANCH.fullmatch(branch)) or (slashes and not parts):
        raise _wrong(written, "its branch or folder cannot be one")
    if any(part in {".", ".."} or not part.isprintable() for part in parts):
        raise _wrong(written, "its folder cannot be one")
    return Address(url, protocol, branch, parts)


def _url(place: str, home: Path, written: str) -> tuple[str, str]:
    """What git is given, and the protocol that it may speak."""
    if place.startswith(_FILE):
        path = unquote(place.removeprefix(_FILE))
        if not path.startswith("/") or "\0" in path:
            raise _wrong(written, "a path behind file:// begins with a slash")
        return path, "file"
    if scp := _SCP.fullmatch(place):
        user, host, path = scp.groups()
        place = f"ssh://{user}@{host}/{path}"
    elif not _SCHEME.match(place):
        if not place or place.startswith("-") or "\0" in place or ":" in place.partition("/")[0]:
            raise _wrong(written, "it is no path")
        return str(Path(home.absolute(), place)), "file"
    if _PRINTABLE.fullmatch(place):
        if _HTTPS.fullmatch(place):
            return place, "https"
        if _SSH.fullmatch(place):
            return place, "ssh"
    raise _wrong(written, "it is no address that is spoken to")


def _wrong(written: str, why: str) -> UsageError:
    return UsageError(f"{quoted(_PASSWORD.sub('...', written))}: {why}", FORMS)
