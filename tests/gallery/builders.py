"""Makes the submissions that no repository can hold: links, odd names, archives, probes that carry secrets.

A case names its builder in ``expect.toml``. A builder gets the case's folder, an empty folder to build in,
and what no sandbox may hold, and returns the submission.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import secrets
import shutil
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

from tests.gallery.notebook_builders import NOTEBOOK_BUILDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Forbidden = Mapping[str, bytes]
    Builder = Callable[[Path, Path, Forbidden], Path]

GALLERY_GOOD = "honest-good"
SECRET_LINE = "TOP-SECRET-7f31 = this line is no TOML"  # noqa: S105  what a parser must not quote
TEN_MEGABYTES = 10_000_000
LONGEST_NAME = 255  # bytes, of Linux
MOST_UNPACKED = 64 << 20
# Abstract sockets that the runner has listened on: by this process, and inside a second sandbox.
NEIGHBOURS = {
    "MACHINE": f"\0gallery-machine-{os.getpid()}",
    "SANDBOX": f"\0gallery-sandbox-{os.getpid()}",
}


def _good(case: Path, target: Path) -> Path:
    """A copy of the good submission."""
    folder: Path = shutil.copytree(case.parent / GALLERY_GOOD / "submission", target / "good")
    return folder


def _secret(target: Path) -> Path:
    file = target / "secret.txt"
    file.write_text(SECRET_LINE + "\n")
    return file


def _pack_zip(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, f"{folder.name}/{file.name}")
    return archive


def pack_as_zip(case: Path, target: Path, _: Forbidden) -> Path:
    """The good submission as a zip with one folder around it."""
    return _pack_zip(_good(case, target), target / "good.zip")


def pack_as_tar(case: Path, target: Path, _: Forbidden) -> Path:
    """The good submission as a tar.gz."""
    with tarfile.open(target / "good.tar.gz", "w:gz") as packed:
        packed.add(_good(case, target), "good")
    return target / "good.tar.gz"


def archive_with_a_hostile_name(case: Path, target: Path, _: Forbidden) -> Path:
    """The good submission in an archive whose name is HTML, Markdown, a formula and a terminal's command."""
    name = "=1+1 <img src=x onerror=alert(1)> | `x` \x1b[31m \u202e ::error::.zip"
    return _pack_zip(_good(case, target), target / name)


def link_config_to_a_secret(case: Path, target: Path, _: Forbidden) -> Path:
    """``config.toml`` leads to a file of the host, which a parser would quote."""
    folder = _good(case, target)
    (folder / "config.toml").unlink()
    (folder / "config.toml").symlink_to(_secret(target))
    return folder


def link_model_hard_to_a_secret(case: Path, target: Path, _: Forbidden) -> Path:
    """``model.py`` is a second name of a file of the host."""
    folder = _good(case, target)
    (folder / "model.py").unlink()
    os.link(_secret(target), folder / "model.py")
    return folder


def link_the_folder(case: Path, target: Path, _: Forbidden) -> Path:
    """The submission itself is a link."""
    link = target / "link"
    link.symlink_to(_good(case, target))
    return link


def zip_that_leads_out(case: Path, target: Path, _: Forbidden) -> Path:
    """A zip with a member above its own folder."""
    archive = _pack_zip(_good(case, target), target / "out.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("good/../../escaped.py", "raise SystemExit\n")
    return archive


def tar_with_a_link(case: Path, target: Path, _: Forbidden) -> Path:
    """A tar.gz whose config is a link to a file of the host."""
    model = (_good(case, target) / "model.py").read_bytes()
    link = tarfile.TarInfo("config.toml")
    link.type, link.linkname = tarfile.SYMTYPE, str(_secret(target))
    file = tarfile.TarInfo("model.py")
    file.size = len(model)
    with tarfile.open(target / "link.tar.gz", "w:gz") as packed:
        packed.addfile(file, io.BytesIO(model))
        packed.addfile(link)
    return target / "link.tar.gz"


def name_with_control_characters(case: Path, target: Path, _: Forbidden) -> Path:
    """A helper file whose name is a terminal's command."""
    folder = _good(case, target)
    (folder / "\x1b[31mred\n.py").write_text("")
    return folder


def config_of_10_mb(case: Path, target: Path, _: Forbidden) -> Path:
    """A config that no parser should be given."""
    folder = _good(case, target)
    (folder / "config.toml").write_text("a." * (TEN_MEGABYTES // 2) + "a = 1\n")
    return folder


def config_of_nul_bytes(case: Path, target: Path, _: Forbidden) -> Path:
    """A config without any text."""
    folder = _good(case, target)
    (folder / "config.toml").write_bytes(bytes(64))
    return folder


def _tar(target: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    archive = target / "made.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for member, content in members:
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return archive


def _good_members(case: Path, target: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    folder = _good(case, target)
    return [(tarfile.TarInfo(f"good/{file.name}"), file.read_bytes()) for file in sorted(folder.iterdir())]


def tar_that_leads_out(case: Path, target: Path, _: Forbidden) -> Path:
    """A tar.gz with a member above its own folder."""
    return _tar(target, *_good_members(case, target), (tarfile.TarInfo("good/../../escaped.py"), b""))


def tar_with_an_absolute_member(case: Path, target: Path, _: Forbidden) -> Path:
    """A tar.gz with a member that names a place of its own."""
    return _tar(target, *_good_members(case, target), (tarfile.TarInfo(str(target / "escaped.py")), b""))


def tar_with_a_hard_link(case: Path, target: Path, _: Forbidden) -> Path:
    """A tar.gz with a second name for a file of the host."""
    link = tarfile.TarInfo("good/helper.py")
    link.type, link.linkname = tarfile.LNKTYPE, str(_secret(target))
    return _tar(target, *_good_members(case, target), (link, b""))


def tar_bomb(case: Path, target: Path, _: Forbidden) -> Path:
    """A small tar.gz that unpacks to more than an archive may."""
    archive = _tar(target, *_good_members(case, target))
    with gzip.open(archive, "ab", compresslevel=1) as packed:
        packed.write(bytes(MOST_UNPACKED))
    return archive


def zip_with_a_link(case: Path, target: Path, _: Forbidden) -> Path:
    """A zip whose helper file is a link to a file of the host."""
    archive = _pack_zip(_good(case, target), target / "link.zip")
    link = zipfile.ZipInfo("good/helper.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(link, str(_secret(target)))
    return archive


def zip_with_an_absolute_member(case: Path, target: Path, _: Forbidden) -> Path:
    """A zip with a member that names a place of its own."""
    archive = _pack_zip(_good(case, target), target / "absolute.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(str(target / "escaped.py"), "")
    return archive


def zip_with_a_name_of_256_bytes(case: Path, target: Path, _: Forbidden) -> Path:
    """A zip with a name that Linux could not write down."""
    archive = _pack_zip(_good(case, target), target / "long.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("good/" + "n" * (LONGEST_NAME + 1 - len(".py")) + ".py", "")
    return archive


def name_of_255_bytes(case: Path, target: Path, _: Forbidden) -> Path:
    """A helper file with the longest name that there is, in letters of three bytes."""
    folder = _good(case, target)
    (folder / ("長" * ((LONGEST_NAME - len(".py")) // 3) + ".py")).write_text("")
    return folder


def name_that_is_no_utf8(case: Path, target: Path, _: Forbidden) -> Path:
    """A helper file whose name is bytes and no text."""
    folder = _good(case, target)
    (folder / os.fsdecode(b"\xff\xfe.py")).write_text("")
    return folder


def case_twins(case: Path, target: Path, _: Forbidden) -> Path:
    """Two files that some file systems take for one."""
    folder = _good(case, target)
    (folder / "Model.py").write_text("raise SystemExit\n")
    return folder


def model_is_a_named_pipe(case: Path, target: Path, _: Forbidden) -> Path:
    """``model.py`` is a pipe that nobody writes to."""
    folder = _good(case, target)
    (folder / "model.py").unlink()
    os.mkfifo(folder / "model.py")
    return folder


def config_in_utf16(case: Path, target: Path, _: Forbidden) -> Path:
    """The good config as some editors save it."""
    folder = _good(case, target)
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config, encoding="utf-16")
    return folder


def config_that_is_no_utf8(case: Path, target: Path, _: Forbidden) -> Path:
    """The good config with a comment in another encoding."""
    folder = _good(case, target)
    with (folder / "config.toml").open("ab") as config:
        config.write("# Übung\n".encode("latin-1"))
    return folder


def folder_named_as_a_formula(case: Path, target: Path, _: Forbidden) -> Path:
    """The good submission in a folder whose name is a formula and ends a table's cell."""
    return _good(case, target).rename(target / "@SUM(1+1)|-cmd'|]]>`<b>")


def file_with_a_hostile_name(case: Path, target: Path, _: Forbidden) -> Path:
    """The case's submission, with a mistake in a file whose name is Markdown, HTML, XML and a formula."""
    folder = _good(case, target)
    name = "cell|]]>&lt;b>`=1+1.py"
    (folder / name).write_text("undefined\n")
    model = (folder / "model.py").read_text()
    (folder / "model.py").write_text(
        f"import os, runpy\n\nrunpy.run_path(os.path.abspath({name!r}))\n{model}"
    )
    return folder


def answers_at_hand(case: Path, target: Path, _: Forbidden) -> Path:
    """The case's submission with all answers, by their places in the file and by their ids."""
    folder: Path = shutil.copytree(case / "submission", target / "informed")
    with (case.parent / "course" / "reference" / "toy" / "answers.csv").open(newline="") as lines:
        answers = {row[0]: float(row[1]) for row in list(csv.reader(lines))[1:]}
    text = f"BY_ID = {answers!r}\nBY_POSITION = {list(answers.values())!r}\n"
    (folder / "answers.py").write_text(text)
    return folder


def name_the_neighbours(case: Path, target: Path, _: Forbidden) -> Path:
    """The case's submission with the names that its neighbours listen at."""
    folder: Path = shutil.copytree(case / "submission", target / "curious")
    lines = [f"{name} = {address!r}\n" for name, address in NEIGHBOURS.items()]
    (folder / "neighbours.py").write_text("".join(lines))
    return folder


def probe(case: Path, target: Path, forbidden: Forbidden) -> Path:
    """The case's submission with the searching module, what it looks for, and a canary that it must find."""
    folder: Path = shutil.copytree(case / "submission", target / "probe")
    shutil.copy(case.parent / "probe.py", folder)
    canary = secrets.token_hex(16)
    (folder / "canary.py").write_text(f"CANARY = {canary!r}\n")
    carried = raised({**forbidden, "canary": canary.encode()})
    (folder / "forbidden.py").write_text(f"SHIFTED = {carried!r}\n")
    return folder


def raised(wanted: Forbidden) -> dict[str, bytes]:
    """What is to be looked for, in the form in which the probe carries it: every byte one higher."""
    return {name: bytes((value + 1) % 256 for value in content) for name, content in wanted.items()}


BUILDERS: Mapping[str, Builder] = {
    each.__name__: each
    for each in (
        pack_as_zip,
        pack_as_tar,
        archive_with_a_hostile_name,
        link_config_to_a_secret,
        link_model_hard_to_a_secret,
        link_the_folder,
        zip_that_leads_out,
        tar_with_a_link,
        name_with_control_characters,
        config_of_10_mb,
        config_of_nul_bytes,
        tar_that_leads_out,
        tar_with_an_absolute_member,
        tar_with_a_hard_link,
        tar_bomb,
        zip_with_a_link,
        zip_with_an_absolute_member,
        zip_with_a_name_of_256_bytes,
        name_of_255_bytes,
        name_that_is_no_utf8,
        case_twins,
        model_is_a_named_pipe,
        config_in_utf16,
        config_that_is_no_utf8,
        folder_named_as_a_formula,
        file_with_a_hostile_name,
        answers_at_hand,
        name_the_neighbours,
        probe,
    )
} | dict(NOTEBOOK_BUILDERS)
