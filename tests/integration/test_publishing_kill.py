"""Killed at every step, publishing goes on where it was: some messages come twice, none is missing, and first copies are in order.

A nursery process imports everything once and forks a child for each round; the child publishes until nothing waits, or until it kills
itself at the step it was told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.kafka_server import kafka_server
from tests.published import first_ids, predict, project_to, records
from tidemill.project import Workspace
from tidemill.serving import publishers
from tidemill.stores import Decision
from tidemill.stores.decision_records import Ending

ROOT = Path(__file__).parents[2]
BATCH = 10
FAULTS = [("before send", 1), ("after send", 1), ("after send", 3), ("inside the move", 2), ("after the move", 1), ("after the move", 4)]
KINDS = ("decisions", "predictions")

NURSERY = """
import json, os, signal, sys
from pathlib import Path
from sqlalchemy import event
import tidemill.serving.publishing
from tests.forked import end_after
from tests.integration.test_publishing_kill import BATCH, KINDS
from tests.published import project_to
from tidemill.project import Workspace
from tidemill.serving import publishers
from tidemill.stores import PublicationStore
from tidemill.targets import KafkaTopic
from tidemill.targets.kafka_sender import KafkaSender

hits = {}

def hit(step):
    hits[step] = hits.get(step, 0) + 1
    if (step, hits[step]) == (asked["step"], asked["nth"]):
        os.kill(os.getpid(), signal.SIGKILL)

class DyingSender(KafkaSender):
    def send(self, messages):
        hit("before send")
        super().send(messages)
        hit("after send")

class DyingTopic(KafkaTopic):
    def open(self):
        return DyingSender(self)

class DyingStore(PublicationStore):
    inside = ""
    def moved(self, move, *arguments):
        self.inside = "inside the move"
        move(*arguments)
        self.inside = ""
        hit("after the move")
    def advance(self, *arguments):
        self.moved(super().advance, *arguments)
    def drop(self, *arguments):
        self.moved(super().drop, *arguments)

def live():
    project = project_to(asked["topic"], asked["bootstrap"], KINDS)
    target = DyingTopic(asked["topic"], asked["bootstrap"])
    object.__setattr__(project, "publish", dict.fromkeys(project.publish, target))
    workspace = Workspace.open(project, Path(asked["home"]))
    tidemill.serving.publishing._BATCH = BATCH
    store = DyingStore(workspace.publications._engine)
    event.listen(store._engine, "after_cursor_execute", lambda *_: store.inside and hit(store.inside))
    object.__setattr__(workspace, "publications", store)
    for publisher in publishers(workspace, "child"):
        while publisher.step():
            pass
        publisher.close()
    workspace.close()

for line in sys.stdin:
    asked = json.loads(line)
    pid = os.fork()
    if pid == 0:
        end_after(live)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test_killed_at_every_step_some_come_twice_and_none_is_lost(tmp_path: Path) -> None:
    server = kafka_server()
    topic = server.new_topic(partitions=3)
    with closing(Workspace.open(project_to(topic, server.bootstrap, KINDS), tmp_path)) as workspace:
        publishers(workspace, "first")
        ids = predict(workspace, 200)
        for name in ("d1", "d2", "d3"):
            workspace.decisions.request(Decision(name, "busy", "manual", name, "", requested_at_ms=9, requested_wall_ms=9))
            workspace.decisions.finish(name, Ending("refused", "frozen", at_ms=9, wall_ms=9))
    asked = {"home": str(tmp_path), "topic": topic, "bootstrap": server.bootstrap}
    with subprocess.Popen([sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        for step, nth in [*FAULTS, ("", 0)]:
            nursery.stdin.write(json.dumps({**asked, "step": step, "nth": nth}) + "\n")
            nursery.stdin.flush()
            assert int(nursery.stdout.readline()) == (-9 if step else 0), f"{step} was never reached"
        nursery.stdin.close()
    found = records(server, topic)
    firsts = first_ids(found, "prediction")
    wanted = {key: [f"2000-{one}" for one in ids if f"k{one % 5}" == key] for key in firsts}
    assert (len(firsts), firsts) == (5, wanted)
    assert first_ids(found, "decision") == {"busy": ["d1.0", "d1.2", "d2.0", "d2.2", "d3.0", "d3.2"]}
    repeated = len(found) - len(ids) - 6
    assert 0 < repeated <= 3 * BATCH, "only a batch that was sent and not yet noted is sent again"
