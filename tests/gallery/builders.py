"""Makes the submissions that no repository can hold: links, odd names, archives, probes that carry secrets.

A case names its builder in ``expect.toml``. A builder gets the case's folder, an empty folder to build in,
and what no sandbox may hold, and returns the submission.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Forbidden = Mapping[str, bytes]
    Builder = Callable[[Path, Path, Forbidden], Path]

GALLERY_GOOD = "honest-good"
SECRET_LINE = "TOP-SECRET-7f31 = this line is no TOML"  # noqa: S105  what a parser must not quote
TEN_MEGABYTES = 10_000_000


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
        probe,
    )
}
