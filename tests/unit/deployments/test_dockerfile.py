"""The image is made of uv.lock, holds what runs in it, and runs as nobody in particular."""

from __future__ import annotations

import re

from tidemill.project import project_root

ROOT = project_root()
TEXT = (ROOT / "deployments" / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / "deployments" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
COPIED = [name for line in re.findall(r"^COPY --chown=tidemill:tidemill (.+) \S+$", TEXT, re.MULTILINE) for name in line.split()]


def test_what_is_copied_is_there_and_goes_into_the_build() -> None:
    assert IGNORED[0] == "*"
    assert {name.removeprefix("!") for name in IGNORED if name.startswith("!")} == set(COPIED)
    assert all((ROOT / name).exists() for name in COPIED)
    (shipped,) = re.findall(r"^FOLDERS = \((.*)\)$", (ROOT / "hatch_build.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"src", *re.findall(r'"(\w+)"', shipped)} <= set(COPIED)
    assert "deployments/.env" in IGNORED


def test_it_installs_from_the_lock_by_the_uv_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (wanted,) = re.findall(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert re.findall(r"uv==(\S+)", TEXT) == [wanted]
    syncs = re.findall(r"uv sync (.*)", TEXT)
    assert len(syncs) == 2 and all("--frozen" in one and "--no-dev" in one for one in syncs)
    assert all({"boosters", "tracing"} <= set(re.findall(r"--extra (\w+)", one)) for one in syncs), "what docs say works in it too"


def test_nothing_runs_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", TEXT, re.MULTILINE) == ["tidemill"]
    assert TEXT.index("USER tidemill") < TEXT.index("COPY ")
    for folder in ("/var/lib/tidemill", "/var/lib/artifacts"):
        assert re.search(rf"--owner tidemill .*{folder}", TEXT), "a new volume takes the owner of the folder it is mounted over"


def test_its_first_process_waits_for_those_that_nobody_else_waits_for() -> None:
    assert re.findall(r"^ENTRYPOINT (.+)$", TEXT, re.MULTILINE) == ['["/usr/bin/tini", "--"]']
    assert re.search(r"apt-get install .*\btini\b", TEXT)
    compose = (ROOT / "deployments" / "compose.yaml").read_text(encoding="utf-8")
    assert not re.search(r"^ *(init|entrypoint):", compose, re.MULTILINE), "a second one would warn that it is not the first"
