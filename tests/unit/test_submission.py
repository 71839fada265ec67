"""Taking in what students hand in: folders and archives, honest and hostile."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.intake import MAX_DEPTH, MAX_ENTRIES, MAX_FILES, Intake, read_folder
from harness.host.submission import MAX_CONFIG_BYTES, load_submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.records import Submission

MAX_BYTES = 64 * 1024
SECRET = "PLANTED-SECRET-7f3a"  # noqa: S105 - a marker that must not be shown, no password
FILES = {
    "model.py": b"class MyModel: ...\n",
    "config.toml": b"epochs = 1\n",
    "layers/__init__.py": b"",
    "layers/block.py": b"WIDTH = 8\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound submission."""
    folder = tmp_path / "student-one"
    write(folder, FILES)
    return folder


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write `files` under `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """A zip of `files` as `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT, **attributes: object) -> Path:
    """A tar.gz of `files` as `path`; `attributes` are set on those that are not in `FILES`."""
    with tarfile.open(path, "w:gz", format=kind) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name not in FILES:
                for key, value in attributes.items():
                    setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return path


def load(path: Path) -> Submission:
    """Load with a small cap."""
    return load_submission(path, max_bytes=MAX_BYTES)


def refusal(path: Path) -> InvalidSubmissionError:
    """The error that `path` is refused with; it is printable, has a hint and shows no secret."""
    with pytest.raises(InvalidSubmissionError) as caught:
        load(path)
    assert (caught.value.message + caught.value.hint).isprintable()
    assert SECRET not in caught.value.message + caught.value.hint
    assert caught.value.hint
    return caught.value


def test_a_folder_is_read_into_memory(folder: Path) -> None:
    """Python files anywhere and the config are taken; the record stands without the folder."""
    submission = load(folder)
    assert submission.files == FILES
    assert submission.config == {"epochs": 1}
    assert submission.name == "student-one"
    assert len(submission.sha256) == 64


def test_what_is_no_part_of_a_submission_is_left_out(folder: Path) -> None:
    """Data, weights, hidden files and caches change neither the files nor the digest."""
    before = load(folder).sha256
    write(
        folder,
        {
            "data.csv": b"1" * MAX_BYTES,
            "weights.pt": b"\x80",
            "layers/config.toml": b"not ours",
            ".git/hooks/run.py": b"",
            ".venv/lib/site.py": b"",
            "__pycache__/model.cpython-311.pyc": b"",
            ".DS_Store": b"",
        },
    )
    (folder / ".venv/python").symlink_to("/usr/bin/python3")
    assert load(folder).files == FILES
    assert load(folder).sha256 == before


@pytest.mark.parametrize("wrapper", ["", "./", "hw1/", "./hw1/", "hw1-" + "x" * 150 + "/"])
@pytest.mark.parametrize("kind", ["zip", "pax", "gnu"])
def test_an_archive_is_the_same_as_its_folder(folder: Path, tmp_path: Path, kind: str, wrapper: str) -> None:
    """A zip or tar.gz, with or without one folder around everything, gives the same files and digest."""
    files = {wrapper + name: content for name, content in FILES.items()}
    if kind == "zip":
        path = zipped(tmp_path / "student-one.zip", files)
    else:
        form = tarfile.PAX_FORMAT if kind == "pax" else tarfile.GNU_FORMAT
        path = tarred(tmp_path / "student-one.tar.gz", files, form)
    submission = load(path)
    assert submission.files == FILES
    assert submission.sha256 == load(folder).sha256
    assert submission.name == "student-one"


def test_any_change_changes_the_digest(folder: Path) -> None:
    """Moving a byte from one file to the next, or renaming one, is another submission."""
    digests = {load(folder).sha256}
    (folder / "layers/block.py").rename(folder / "layers/blocks.py")
    digests.add(load(folder).sha256)
    write(folder, {"a.py": b"xy", "b.py": b""})
    digests.add(load(folder).sha256)
    write(folder, {"a.py": b"x", "b.py": b"y"})
    digests.add(load(folder).sha256)
    assert len(digests) == 4


def test_nothing_there_is_wrong_use(tmp_path: Path) -> None:
    """A path that does not exist is the command's fault, not the student's."""
    with pytest.raises(UsageError, match="there is no submission"):
        load(tmp_path / "nobody")


@pytest.mark.parametrize("name", ["config.toml", "model.py", "layers/more.py", "notes.txt"])
def test_a_link_is_refused_before_it_is_read(folder: Path, tmp_path: Path, name: str) -> None:
    """A symbolic link to a file of the host is named and refused, and nothing of that file is quoted."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET} = = =")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    assert f"'{name}' is a symbolic link" in refusal(folder).message


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    """Neither a folder inside a submission nor the submission itself may be a link."""
    (tmp_path / "link").symlink_to(folder)
    assert "is a symbolic link" in refusal(tmp_path / "link").message
    (folder / "more").symlink_to(tmp_path)
    assert "'more' is a symbolic link" in refusal(folder).message


def test_a_linked_archive_is_refused(tmp_path: Path) -> None:
    """An archive that is a link is not followed either."""
    zipped(tmp_path / "real.zip", FILES)
    (tmp_path / "link.zip").symlink_to(tmp_path / "real.zip")
    assert "is a symbolic link" in refusal(tmp_path / "link.zip").message


def test_a_hard_link_is_refused(folder: Path, tmp_path: Path) -> None:
    """A second name of a host's file is not taken in."""
    (tmp_path / "secret").write_text(SECRET)
    os.link(tmp_path / "secret", folder / "answers.py")
    assert "'answers.py' is a hard link" in refusal(folder).message


@pytest.mark.parametrize("name", ["model.py", "layers"])
def test_a_name_that_becomes_a_link_while_it_is_looked_at_is_not_followed(
    folder: Path, tmp_path: Path, name: str
) -> None:
    """Between the look and the opening there is a moment; a link put there then leads nowhere."""
    secret = tmp_path / "secret"
    write(secret, {"block.py": SECRET.encode()})

    class Swapping(Intake):
        def check(self, parts: tuple[str, ...]) -> None:
            super().check(parts)
            if parts == (name,):
                (folder / name).rename(tmp_path / "was")
                (folder / name).symlink_to(secret if name == "layers" else secret / "block.py")

    intake = Swapping(MAX_BYTES)
    with pytest.raises(InvalidSubmissionError, match=f"'{name}' cannot be read"):
        read_folder(folder, intake)
    assert SECRET.encode() not in intake.files.values()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["pipe.py", "config.toml"])
def test_a_named_pipe_is_refused_at_once(folder: Path, name: str) -> None:
    """Nobody writes to it, and the harness does not wait."""
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert f"'{name}' is a named pipe" in refusal(folder).message


@pytest.mark.parametrize(
    "name",
    [
        "mo\x1bdel.py",
        "new\nline.py",
        "turn\u202ened.py",
        "back\\slash.py",
        "byte\udcff.py",
        "zero\u200bwidth.py",
    ],
)
def test_odd_names_are_refused(folder: Path, name: str) -> None:
    """Names that would break a terminal, a path or an encoding do not come in, and are shown escaped."""
    (folder / name).write_bytes(b"")
    assert "rename" in refusal(folder).hint


def test_case_twins_are_refused(folder: Path, tmp_path: Path) -> None:
    """Two names that one file system tells apart and another does not would be graded differently."""
    write(folder, {"Layers/other.py": b""})
    assert "differ only in how they are spelled" in refusal(folder).message
    path = zipped(tmp_path / "twins.zip", FILES | {"Model.py": b""})
    assert "differ only in how they are spelled" in refusal(path).message


def test_names_up_to_the_limit_are_taken(folder: Path) -> None:
    """255 bytes is what a file system holds, and non-ASCII letters are letters."""
    names = {"x" * 252 + ".py": b"", "modèle_模型.py": b""}
    write(folder, names)
    assert names.keys() <= load(folder).files.keys()


def test_each_cap_is_named(tmp_path: Path) -> None:
    """Too many bytes, files, entries or folders inside each other are refused with what is allowed."""
    write(tmp_path / "bytes", FILES | {"big.py": b"#" * MAX_BYTES})
    assert f"{MAX_BYTES} bytes allowed; the largest is 'big.py'" in refusal(tmp_path / "bytes").message
    write(tmp_path / "files", FILES | {f"m{number}.py": b"" for number in range(MAX_FILES)})
    assert f"more than {MAX_FILES}" in refusal(tmp_path / "files").message
    write(tmp_path / "deep", FILES | {"d/" * MAX_DEPTH + "m.py": b""})
    assert f"deeper than {MAX_DEPTH}" in refusal(tmp_path / "deep").message
    many = zipped(tmp_path / "many.zip", FILES | {f"{number}.txt": b"" for number in range(MAX_ENTRIES)})
    assert f"more than {MAX_ENTRIES}" in refusal(many).message


def test_exactly_the_bytes_allowed_are_taken(folder: Path) -> None:
    """The cap is what may come in, not what may not."""
    size = sum(map(len, FILES.values()))
    assert load_submission(folder, max_bytes=size).files == FILES
    with pytest.raises(InvalidSubmissionError, match=f"{size - 1} bytes allowed"):
        load_submission(folder, max_bytes=size - 1)


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "../evil.txt", "C:/evil.py"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_that_lead_out_are_refused(tmp_path: Path, pack: Callable[..., Path], name: str) -> None:
    """An absolute path or one with `..` is refused whatever the member is."""
    ending = ".zip" if pack is zipped else ".tgz"
    path = pack(tmp_path / f"out{ending}", FILES | {name: b""})
    assert "leads out of it" in refusal(path).message


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "named pipe"),
        (tarfile.GNUTYPE_SPARSE, "no regular file"),
        (b"V", "no regular file"),
    ],
)
def test_special_members_of_a_tar_are_refused(tmp_path: Path, kind: bytes, said: str) -> None:
    """Only plain files and folders come out of an archive."""
    path = tarred(tmp_path / "a.tar.gz", FILES | {"x.py": b""}, type=kind, linkname="/etc/passwd")
    assert f"'x.py' is {'' if said.startswith('no') else 'a '}{said}" in refusal(path).message


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    """A zip keeps a link as a file with the mode of one."""
    path = zipped(tmp_path / "a.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("answers.py")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    assert "'answers.py' is a symbolic link" in refusal(path).message


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_path_is_there_once(tmp_path: Path) -> None:
    """An archive with two files of one name, or a file that is a folder too, is not read by halves."""
    path = zipped(tmp_path / "twice.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.py", "another")
    assert "'model.py' is there twice" in refusal(path).message
    both = zipped(tmp_path / "both.zip", FILES | {"layers.py": b"", "layers.py/inner.py": b""})
    assert "is there twice" in refusal(both).message


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_bomb_costs_little(tmp_path: Path, pack: Callable[..., Path]) -> None:
    """What unpacks to a multiple of its size is cut off by what came out, not by what its header says."""
    ending = ".zip" if pack is zipped else ".tar.gz"
    path = pack(tmp_path / f"bomb{ending}", FILES | {"a.py": b"#" * (80 << 20)})
    started = time.monotonic()
    assert "bytes allowed" in refusal(path).message
    assert time.monotonic() - started < 5


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "attributes",
    [b"1" * 60_000, b"0 path=x\n" * 6_000, b"30 path=" + b"/" * 21 + b"\n", b"-1 a=b\n", b"9 size=x\n"],
)
def test_a_hostile_extended_header_ends_at_once(tmp_path: Path, attributes: bytes) -> None:
    """Headers that kept the standard library's reader busy are only damaged ones here."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(attributes)
    raw = header.tobuf(tarfile.USTAR_FORMAT) + attributes + b"\0" * (-len(attributes) % 512)
    file = tarfile.TarInfo("model.py").tobuf(tarfile.USTAR_FORMAT)
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(raw + file + b"\0" * 1024))
    started = time.monotonic()
    refusal(path)
    assert time.monotonic() - started < 2


def test_a_name_cannot_hide_behind_a_zero_byte(tmp_path: Path) -> None:
    """What the library shows of such a name ends at the zero byte; all of it counts."""
    path = zipped(tmp_path / "a.zip", FILES | {"more.pyX.txt": b""})
    path.write_bytes(path.read_bytes().replace(b"more.pyX.txt", b"more.py\0.txt"))
    assert "'more.py\\x00.txt' is no name" in refusal(path).message


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    """The hint is to pack it without a password."""
    path = zipped(tmp_path / "a.zip", FILES)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert "without a password" in refusal(path).hint


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sound archives by their ending."""
    folder = tmp_path_factory.mktemp("packed")
    return {
        ".zip": zipped(folder / "a.zip", FILES).read_bytes(),
        ".tgz": gzip.decompress(tarred(folder / "a.tgz", FILES).read_bytes()),
    }


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([".zip", ".tgz"]), st.data())
def test_a_damaged_archive_is_read_or_refused(
    packed: dict[str, bytes], tmp_path: Path, ending: str, data: st.DataObject
) -> None:
    """Whatever bytes are changed or cut off, the answer is a submission or a printable refusal."""
    raw = bytearray(packed[ending])
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path / f"a{ending}"
    path.write_bytes(bytes(raw) if ending == ".zip" else gzip.compress(bytes(raw), 1))
    message = ""
    try:
        load(path)
    except InvalidSubmissionError as error:
        message = error.message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("missing", "instead", "said"),
    [
        ("model.py", "Model.py", "'Model.py' is there"),
        ("model.py", "hw1/model.py", "lies in 'hw1'"),
        ("config.toml", "config.toml.txt", "'config.toml.txt' is there"),
        ("config.toml", "config.yaml", "'config.yaml' is there"),
        ("config.toml", "hw1/config.toml", "lies in 'hw1'"),
        ("config.toml", "nothing.txt", "hand in a folder"),
    ],
)
def test_a_missing_file_is_answered_with_the_likely_reason(
    folder: Path, missing: str, instead: str, said: str
) -> None:
    """A wrong name, or one folder too many around it."""
    (folder / missing).unlink()
    write(folder, {instead: b""})
    error = refusal(folder)
    assert error.message == f"there is no {missing}"
    assert error.file == missing
    assert said in error.hint


@pytest.mark.parametrize("name", ["model.py", "homework.rar", "homework.7z"])
def test_other_kinds_of_files_are_refused_with_what_to_hand_in(tmp_path: Path, name: str) -> None:
    """A lone file or another archive format is the student's to mend."""
    (tmp_path / name).write_bytes(b"")
    error = refusal(tmp_path / name)
    assert f"'{name}' is no folder" in error.message
    assert "model.py and config.toml" in error.hint


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"epochs = ", "is no TOML: Invalid value (at end of document)"),
        (b"epochs = 1\nepochs = 2\n", "line 2"),
        (b"a = '\x00'", "is no TOML"),
        ("epochs = 1".encode("utf-16"), "UTF-16"),
        (b"name = '\xff'", "not valid UTF-8 at byte 8"),
        (b"#" * (10 << 10) * 1024, "bytes allowed"),
        (b"#" * (MAX_CONFIG_BYTES + 1), f"more than the {MAX_CONFIG_BYTES} allowed"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b"a = " + b"9" * 5000, "too long"),
        (b"[" + b".".join([b"a"] * 5000) + b"]", "nested deeper than"),
        (b".".join([b"a"] * 8000) + b" = 1", "nested deeper than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_config_that_cannot_be_parsed_is_refused(folder: Path, content: bytes, said: str) -> None:
    """Whatever is in the file, the answer comes soon and says where to look."""
    (folder / "config.toml").write_bytes(content)
    error = refusal(folder)
    assert said in error.message


def test_a_toml_error_has_its_line(folder: Path) -> None:
    """The line is a number of its own, for a link in a report."""
    (folder / "config.toml").write_bytes(b"epochs = 1\nbatch_size = = 2\n")
    assert (refusal(folder).file, refusal(folder).line) == ("config.toml", 2)


def test_a_byte_order_mark_is_no_fault(folder: Path) -> None:
    """Editors that save UTF-8 with a mark are forgiven."""
    (folder / "config.toml").write_bytes("epochs = 1\n".encode("utf-8-sig"))
    assert load(folder).config == {"epochs": 1}


def test_the_current_folder_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`harness grade .` shows the folder's own name."""
    monkeypatch.chdir(folder)
    assert load(Path()).name == "student-one"


def test_an_unreadable_name_becomes_valid_unicode(tmp_path: Path) -> None:
    """A folder name that is no UTF-8 can still be written into a report."""
    folder = tmp_path / "stud\udcff"
    write(folder, FILES)
    assert load(folder).name == "stud\ufffd"
