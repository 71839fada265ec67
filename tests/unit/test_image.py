"""The image's name, what pip is told about it, and what is said where it cannot be had."""

from __future__ import annotations

import importlib.resources
import platform
import re
import sys
from typing import Any, cast

import pytest
from docker.errors import DockerException, ImageNotFound

from harness.host.errors import MachineError
from harness.host.image import (
    STAGE_LABEL,
    can_build,
    connect,
    ensure_image,
    find_image,
    image_tag,
    platform_arguments,
)
from harness.host.image_base import OFFICIAL, Base, choose_base, debootstrapped_tag
from harness.host.sandbox.docker_options import IMAGE_PYTHON, UID

DOCKERFILE = (importlib.resources.files("harness.host") / "image_context" / "Dockerfile").read_text()


class Images:
    """Plays `DockerClient.images` with what an engine has and what a registry has."""

    def __init__(self, local: set[str], registry: set[str]) -> None:
        self.local, self._registry = local, registry
        self.asked: list[str] = []

    def get(self, reference: str) -> str:
        """Find an image of the engine."""
        if reference not in self.local:
            raise ImageNotFound(reference)
        return reference

    def get_registry_data(self, reference: str) -> str:
        """Find an image of the registry."""
        self.asked.append(reference)
        if reference not in self._registry:
            raise DockerException("no such host")
        return reference


class Engine:
    """Plays a `DockerClient`."""

    def __init__(self, local: set[str] | None = None, registry: set[str] | None = None) -> None:
        self.images = Images(local or set(), registry or set())


def image_of_this_machine(base: Base) -> str:
    """The tag that an engine without any image would be asked for."""
    asked: list[str] = []

    class Listening(Images):
        def get(self, reference: str) -> str:
            """Note what is asked for."""
            asked.append(reference)
            return super().get(reference)

    engine = Engine()
    engine.images = Listening(set(), set())
    assert find_image(cast("Any", engine)) is None
    return asked[list(Base).index(base)]


def test_every_part_is_in_the_name() -> None:
    """Another Dockerfile, package, order of packages or base is another image."""
    parts = [
        (Base.OFFICIAL, ("a==1", "b==1"), "FROM x"),
        (Base.DEBOOTSTRAP, ("a==1", "b==1"), "FROM x"),
        (Base.OFFICIAL, ("a==1", "b==2"), "FROM x"),
        (Base.OFFICIAL, ("a==1b==1",), "FROM x"),
        (Base.OFFICIAL, ("a==1", "b==1"), "FROM y"),
    ]
    tags = {image_tag(*part) for part in parts}
    assert len(tags) == len(parts)
    assert all(re.fullmatch(r"harness-guest:[0-9a-f]{16}", tag) for tag in tags)
    assert image_tag(*parts[0]) in tags


@pytest.mark.parametrize("base", list(Base))
def test_image_that_is_there_is_used_without_asking_a_registry(base: Base) -> None:
    """Whichever base it was built from, an image for these packages is found, and nothing is built."""
    tag = image_of_this_machine(base)
    engine = Engine({tag})
    assert ensure_image(cast("Any", engine), build=True, progress=pytest.fail) == tag
    assert engine.images.asked == []


def test_missing_image_is_named_with_its_command() -> None:
    """Where nothing may be built, the message says what builds it."""
    with pytest.raises(MachineError) as raised:
        ensure_image(cast("Any", Engine()), build=False, progress=pytest.fail)
    assert raised.value.fix == "harness image"


def test_base_on_the_engine_comes_before_one_of_a_registry() -> None:
    """What is there is used without asking anyone; the official image before a home-made one."""
    for local, base in [
        ({OFFICIAL, debootstrapped_tag()}, Base.OFFICIAL),
        ({OFFICIAL}, Base.OFFICIAL),
        ({debootstrapped_tag()}, Base.DEBOOTSTRAP),
    ]:
        engine = Engine(local, {OFFICIAL})
        assert choose_base(cast("Any", engine))[0] is base
        assert engine.images.asked == []


def test_registry_that_answers_comes_before_debootstrap() -> None:
    """The official image is the base wherever it can be pulled."""
    base, reason = choose_base(cast("Any", Engine(registry={OFFICIAL})))
    assert base is Base.OFFICIAL
    assert "registry" in reason


def test_machine_without_registry_and_debootstrap_cannot_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what is missing."""
    monkeypatch.setenv("PATH", "/nonexistent")
    possible, reason = can_build(cast("Any", Engine()))
    assert not possible
    assert "no registry answers" in reason
    assert "debootstrap" in reason


def test_engine_that_does_not_answer_is_a_fault_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine the message says how to get one, and no traceback of a library comes through."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(MachineError, match="no Docker engine answers") as raised:
        connect()
    assert "DOCKER_HOST" in raised.value.fix


def test_pip_is_told_of_an_image_that_differs_from_this_machine() -> None:
    """Wheels for another processor are asked for by the newest manylinux that the image can load first."""
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    arguments = platform_arguments(other)
    platforms = [text for text in arguments if text.startswith("manylinux")]
    assert arguments[:4] == ["--implementation", "cp", "--python-version", "3.11"]
    assert f"manylinux_2_28_{other}" in platforms
    assert all(text.endswith(f"_{other}") for text in platforms)


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="is about the image's own Python"
)
def test_pip_needs_no_word_where_this_python_could_run_in_the_image() -> None:
    """The machine's own choice of wheels is taken as it is."""
    assert platform_arguments(platform.machine()) == []


def test_dockerfile_and_code_agree() -> None:
    """The code counts on an interpreter, a user, a label and an empty last stage, and they are there."""
    folder = IMAGE_PYTHON.removesuffix("/bin/python3")
    assert f"-m venv --without-pip {folder}" in DOCKERFILE
    assert f":{UID}:{UID}:" in DOCKERFILE
    assert f"LABEL {STAGE_LABEL}" in DOCKERFILE
    assert re.findall(r"^FROM .*$", DOCKERFILE, re.MULTILINE) == ["FROM ${BASE} AS build", "FROM scratch"]
