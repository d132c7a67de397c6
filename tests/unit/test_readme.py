"""The README's project is whole and loads as it stands; its commands exist; its pictures are referred to by files of docs/."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from tidemill.cli.main import app
from tidemill.events import parse_event
from tidemill.project import load_project, project_root

README = (project_root() / "README.md").read_text(encoding="utf-8")


def test_the_project_in_it_loads_and_its_recording_keeps_its_promises(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "shop.py").write_text(code, encoding="utf-8")
    project = load_project(tmp_path / "shop.py")
    assert project.recording is not None
    recording = project.recording(days=3)
    told = list(recording.events())
    for event in told:
        parse_event(event.payload, project.stream(event.stream), event.known_at_ms)
    times = [event.known_at_ms for event in told]
    assert times == sorted(times)
    assert recording.first_ms == times[0]
    assert recording.last_ms >= times[-1]
    expected = recording.expected()
    assert {name: sum(event.stream == name for event in told) for name in expected} == {
        name: one.received for name, one in expected.items()
    }
    asked = [one.at_ms for one in recording.requests()]
    assert asked == sorted(asked)
    assert len(asked) == expected["orders"].applied


def test_every_command_in_it_exists() -> None:
    commands = set(re.findall(r"(?:^|bin/|`)tidemill ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "up", "status", "retrain"} <= commands
    for command in sorted(commands):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_every_make_target_in_it_exists() -> None:
    targets = set(re.findall(r"make ([a-z]+)", README)) - {"sure"}
    makefile = (project_root() / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "bench"} <= targets
    assert not {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)}
