"""What a roster says of where a submission is becomes an address, or is refused with the forms there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.git.address import Address, parse_address

HOME = Path("/course")
GOOD = {
    "https://git.example.org/class/s001.git": Address("https://git.example.org/class/s001.git", "https"),
    "https://git.example.org:8443/s001#week-2": Address(
        "https://git.example.org:8443/s001", "https", "week-2"
    ),
    "https://git.example.org/s001.git#main//hw1/bikes": Address(
        "https://git.example.org/s001.git", "https", "main", ("hw1", "bikes")
    ),
    "https://git.example.org/s001.git//hw1#feature/x": Address(
        "https://git.example.org/s001.git", "https", "feature/x", ("hw1",)
    ),
    "ssh://git@git.example.org/s001.git": Address("ssh://git@git.example.org/s001.git", "ssh"),
    "ssh://git@[::1]:2222/s001.git": Address("ssh://git@[::1]:2222/s001.git", "ssh"),
    "git@git.example.org:class/s001.git": Address("ssh://git@git.example.org/class/s001.git", "ssh"),
    "file:///srv/git/s%20001.git": Address("/srv/git/s 001.git", "file"),
    "repositories/s001.git": Address("/course/repositories/s001.git", "file"),
    "/srv/s001.git//hw1": Address("/srv/s001.git", "file", "", ("hw1",)),
}
BAD = [
    "--upload-pack=touch /tmp/pwned",
    "-oProxyCommand=x",
    "ext::sh -c touch% /tmp/pwned",
    "ext::sh",
    "fd::17/x",
    "http://git.example.org/s001.git",
    "git://git.example.org/s001.git",
    "ftp://git.example.org/s001.git",
    "https://user:token@git.example.org/s001.git",
    "https://-oProxyCommand=x/s001.git",
    "ssh://-oProxyCommand=x/s001.git",
    "ssh://-x@host/s001.git",
    "git@-oProxyCommand=x:s001.git",
    "git@host:-x",
    "https://git.example.org/a\nb",
    "https://git.example.org/s001.git#--upload-pack=x",
    "https://git.example.org/s001.git#main..other",
    "https://git.example.org/s001.git#a b",
    "https://git.example.org/s001.git#main:refs/heads/evil",
    "https://git.example.org/s001.git#x.lock",
    "https://git.example.org/s001.git#@{-1}",
    "https://git.example.org/s001.git#",
    "https://git.example.org/s001.git//../other",
    "https://git.example.org/s001.git//a\nb",
    "s001.git//\n",
    "https://git.example.org/s001.git#main//",
    "file://host/s001.git",
    "file:relative",
    "",
]


@pytest.mark.parametrize("written", GOOD)
def test_an_address_names_a_place_a_branch_and_a_folder(written: str) -> None:
    """The branch and the folder may be left out, or stand in either order."""
    assert parse_address(written, HOME) == GOOD[written]


@pytest.mark.parametrize("written", BAD, ids=ascii)
def test_what_git_would_take_for_something_else_is_refused(written: str) -> None:
    """Options, other protocols, passwords, odd branches and folders that lead out are named and not tried."""
    with pytest.raises(UsageError) as caught:
        parse_address(written, HOME)
    assert "https://" in caught.value.fix


@given(st.text(st.sampled_from("abz:/@#.-~^ext?*[\\ \n\0"), max_size=40))
def test_whatever_is_written_git_sees_no_option_and_no_other_protocol(written: str) -> None:
    """Each address that is taken begins like one of the three protocols, and its branch is no option."""
    try:
        address = parse_address(written, HOME)
    except UsageError:
        return
    begins = {"https": "https://", "ssh": "ssh://", "file": "/"}
    assert address.url.startswith(begins[address.protocol])
    assert not address.branch.startswith(("-", "+"))
    assert not {".", "..", ""} & set(address.folder)
    assert not {"\n", "\0"} & set(address.branch + "".join(address.folder))


@pytest.mark.parametrize("host", ["git.example.org/s001.git", "git.example.org", "[::1]:99999999/x", ""])
def test_a_password_is_not_shown(host: str) -> None:
    """What the roster's author is told may stand in the log of a job."""
    with pytest.raises(UsageError) as caught:
        parse_address(f"https://user:secret@{host}", HOME)
    assert "secret" not in caught.value.message
