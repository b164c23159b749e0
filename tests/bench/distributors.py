"""The three who are compared, each on a FreeSWITCH of its own that differs in nothing else.

The switch is the lab's, plus a number to call for each of them. mod_callcenter is loaded only where it distributes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.e2e.rig.daemon import Daemon
from tests.e2e.rig.switch import PASSWORD, REPOSITORY, RealSwitch, await_true, die_with_parent

_LAB = Path("freeswitch/lab")
_READY_S = 60.0
QUEUE = "bench"


@dataclass(frozen=True)
class Agents:
    """Their phones, all at one port; their numbers follow one another."""

    count: int
    port: int
    first: int = 10001

    def contacts(self) -> dict[str, str]:
        """Where each is rung."""
        users = (str(self.first + number) for number in range(self.count))
        return {user: f"sofia/trunk/{user}@127.0.0.1:{self.port}" for user in users}


class Distributor(Protocol):
    """What the bench asks of each."""

    name: str
    dials: str
    tree: Path

    def configure(self, conf: Path, agents: Agents, fast: Path) -> None:
        """Change the switch's configuration before it starts; `fast` is a directory in memory, if there is one."""

    def start(self, switch: RealSwitch, agents: Agents, directory: Path) -> None:
        """Start on a running switch; returns when every agent is ready."""

    def pid(self) -> int | None:
        """The process that distributes, if it is one of its own."""

    def stop(self) -> None:
        """End it."""


def write_conf(conf: Path, tree: Path) -> None:
    """The configuration of this tree's lab, with a number for each distributor."""
    shutil.copytree(tree / _LAB, conf)
    edit(
        conf / "dialplan.xml",
        '<context name="public">',
        f"""<context name="public">
    <extension name="bench_fsacd">
      <condition field="destination_number" expression="^fsacd$">
        <action application="set" data="fsacd_queue={QUEUE}"/>
        <action application="transfer" data="fsacd_enter XML fsacd"/>
      </condition>
    </extension>
    <extension name="bench_callcenter">
      <condition field="destination_number" expression="^callcenter$">
        <action application="callcenter" data="{QUEUE}"/>
      </condition>
    </extension>
    <extension name="bench_floor">
      <condition field="destination_number" expression="^floor$">
        <action application="answer"/>
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="event" data="Event-Name=CUSTOM,Event-Subclass=bench::queued"/>
        <action application="playback" data="local_stream://moh"/>
      </condition>
    </extension>""",
    )


def edit(file: Path, old: str, new: str) -> None:
    """Replace what stands in the file exactly once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has changed: {old!r} is not there once"
    file.write_text(text.replace(old, new), encoding="utf-8")


@dataclass
class Fsacd:
    """The daemon of this tree, as installed: everything at its default, so no history, unless `extra` says more."""

    name: str = "fsacd"
    dials: str = "fsacd"
    extra: dict[str, Any] = field(default_factory=dict)
    # The tree whose daemon and dialplan it is, and the Python of its virtual environment.
    tree: Path = REPOSITORY
    python: str = sys.executable
    _daemon: Daemon | None = None

    def configure(self, conf: Path, agents: Agents, fast: Path) -> None:
        """Nothing: the lab's dialplan is the one that is installed."""

    def start(self, switch: RealSwitch, agents: Agents, directory: Path) -> None:
        contacts = agents.contacts().items()
        config = {
            "defaults": {"wrap_up": "0s"},
            "queues": {QUEUE: {}},
            "agents": {
                user: {"contact": contact, "queues": [QUEUE], "login_at_start": True} for user, contact in contacts
            },
            **self.extra,
        }
        self._daemon = Daemon(directory, config, switch.esl_port, python=self.python, tree=self.tree)
        self._daemon.start()

    @property
    def daemon(self) -> Daemon:
        """The running one."""
        assert self._daemon is not None
        return self._daemon

    def pid(self) -> int | None:
        assert self.daemon._process is not None
        return self.daemon._process.pid

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()


@dataclass
class CallCenter:
    """mod_callcenter as an expert sets it: its database in memory, no rules it does not need, no wrap-up."""

    name: str = "mod_callcenter"
    dials: str = "callcenter"
    tree: Path = REPOSITORY

    def configure(self, conf: Path, agents: Agents, fast: Path) -> None:
        contacts = agents.contacts().items()
        lines = [
            "<include>",  # the preprocessor drops these two lines whole
            '<configuration name="callcenter.conf">',
            f'<settings><param name="dbname" value="{fast / "callcenter.db"}"/></settings>',
            f'<queues><queue name="{QUEUE}">',
            '<param name="strategy" value="longest-idle-agent"/>',
            '<param name="moh-sound" value="local_stream://moh"/>',
            '<param name="time-base-score" value="system"/>',
            '<param name="tier-rules-apply" value="false"/>',
            '<param name="abandoned-resume-allowed" value="false"/>',
            "</queue></queues><agents>",
            *(
                f'<agent name="{user}" type="callback" contact="{contact}" status="Available" '
                'max-no-answer="0" wrap-up-time="0" reject-delay-time="1" busy-delay-time="1"/>'
                for user, contact in contacts
            ),
            "</agents><tiers>",
            *(f'<tier agent="{user}" queue="{QUEUE}" level="1" position="1"/>' for user, _ in contacts),
            "</tiers></configuration>",
            "</include>",
        ]
        (conf / "callcenter.xml").write_text("\n".join(lines), encoding="utf-8")
        include = '<X-PRE-PROCESS cmd="include" data="sofia.xml"/>'
        edit(conf / "freeswitch.xml", include, f'{include}\n<X-PRE-PROCESS cmd="include" data="callcenter.xml"/>')
        module = '<load module="mod_sofia"/>'
        edit(conf / "configuration.xml", module, f'{module}\n<load module="mod_callcenter"/>')

    def start(self, switch: RealSwitch, agents: Agents, directory: Path) -> None:
        esl = switch.esl()

        def ready() -> bool:
            return esl.api("callcenter_config agent list").count("|Available|Waiting|") == agents.count

        await_true(ready, _READY_S, "mod_callcenter has its agents")
        esl.close()

    def pid(self) -> int | None:
        return None

    def stop(self) -> None:
        """It ends with the switch."""


@dataclass
class BareClient:
    """The floor, in a process of its own."""

    name: str = "floor"
    dials: str = "floor"
    tree: Path = REPOSITORY
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def configure(self, conf: Path, agents: Agents, fast: Path) -> None:
        """Nothing."""

    def start(self, switch: RealSwitch, agents: Agents, directory: Path) -> None:
        words = [str(switch.esl_port), PASSWORD, str(agents.port), str(agents.first), str(agents.count)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.floor", *words],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread of this process holds a lock here
        )
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def pid(self) -> int | None:
        return self._processes[-1].pid

    def stop(self) -> None:
        for process in self._processes:
            process.communicate(timeout=10)
