"""The life of one leg, modelled on its thread in FreeSWITCH: a generator that waits where the thread would block.

A leg's state may be changed by anybody at any time (a command, the far end, the other leg); its thread finds out a
little later, when it next looks. All the races of a real switch come from that gap, so it is modelled and not smoothed.
"""

from __future__ import annotations

from collections.abc import Callable

from fsacd.sim import apps, bridging, causes, holding, transferring
from fsacd.sim.agenda import MS, SECOND, Timer
from fsacd.sim.channel import App, Channel, State
from fsacd.sim.dialstring import brackets
from fsacd.sim.phones import Line
from fsacd.sim.ports import Exchange, Talk
from fsacd.sim.threads import Thread, Wait

# How long an answer may stay without an ACK.
TIMER_H_US = 32 * SECOND
UNACKNOWLEDGED = "NORMAL_UNSPECIFIED"
# How long a thread takes to notice, in microseconds: a hang-up breaks its read at once, a new state costs it a frame.
HANGUP_NOTICED_US = (200, 20 * MS)
STATE_NOTICED_US = (2 * MS, 22 * MS)
# A thread starts at once as a rule, but a kill may come before it.
BIRTH_US = (*[(50, 300)] * 4, (300, 4 * MS))
INIT_US = (*[(10, 50)] * 30, (50, 1 * MS))
ROUTING_US = (*[(50, 150)] * 5, (300, 4 * MS))
# An answer is known before it is shown, sometimes long enough for the originating thread to be seen in between.
SHOWN_US = (*[(0, 100)] * 30, (100, 20 * MS))


class Session:
    """A channel and the thread that carries it through its states."""

    def __init__(self, switch: Exchange, channel: Channel, line: Line | None) -> None:
        self.switch = switch
        self.channel = channel
        self.line = line
        # An outbound leg belongs to its originate until that has replied; the originate is told of its progress.
        self.originating = False
        # An originate holds its legs: one that has ended is not taken down before it lets go of all of them.
        self.kept = False
        self.on_change: Callable[[], None] | None = None
        # uuid_bridge has installed its state handlers.
        self.bridge_armed = False
        self.talk: Talk | None = None
        self.recordings: list[str] = []
        # The number of the other party that this leg's phone was told last.
        self.told_number: str | None = None
        # How many extensions execute each other at present.
        self.depth = 0
        self._thread: Thread | None = None
        self._wait: Wait | None = None
        self._timer: Timer | None = None

    # --- the thread ---------------------------------------------------------------------------------------------

    def start(self) -> int:
        """Launch the thread. Returns how long it will take to begin (µs)."""
        self._thread = self._life()
        agenda = self.switch.agenda
        birth_us = agenda.between(*agenda.chance.choice(BIRTH_US))
        self._timer = agenda.after(birth_us, self._resume)
        return birth_us

    def stop(self) -> None:
        """The machine lost power: the thread ends without an event."""
        if self._timer:
            self._timer.cancel()
        self._thread = self.on_change = None
        self.channel.state = State.DESTROY

    def _resume(self) -> None:
        if self._thread is None:
            return
        self._timer = self._wait = None
        try:
            wait = next(self._thread)
        except StopIteration:
            self._thread = None
            return
        self._wait = wait
        if wait.until_us is not None and self._timer is None:
            self._timer = self.switch.agenda.at(wait.until_us, self._resume)

    def signal(self, low_us: int, high_us: int) -> None:
        """Make the thread look around after a delay between the two, unless it does so earlier or sleeps deaf."""
        if self._thread is None or self._wait is None or self._wait.deaf:
            return
        agenda = self.switch.agenda
        due_us = agenda.now_us + agenda.between(low_us, high_us)
        if self._timer is not None:
            if not self._timer.cancelled and self._timer.due_us <= due_us:
                return
            self._timer.cancel()
        self._timer = agenda.at(due_us, self._resume)

    def sleep(self, duration_us: int) -> Thread:
        """Block for exactly this long, whatever happens."""
        yield Wait(self.switch.agenda.now_us + duration_us, deaf=True)

    def _life(self) -> Thread:
        channel = self.channel
        if channel.direction == "inbound":
            self.switch.fire_state(channel)
            self.switch.fire("CODEC", channel)
            self.switch.fire("CODEC", channel)
        channel.state = max(channel.state, State.INIT)
        while not channel.down:
            state = channel.state
            self._enter(state)
            yield from self._run(state)
            if channel.state is state:
                yield Wait()
        yield from self._end()

    def _enter(self, state: State) -> None:
        channel = self.channel
        if self.talk is not None and self.talk.b is self and state is not State.EXCHANGE_MEDIA:
            # It was called away in the moment of the bridge, before it had come to the talk.
            bridging.left(self.talk, self)
            self.talk = None
        channel.running = state
        if channel.bridge_next:
            channel.bridge_next, channel.bridge_originator = False, True
        if channel.direction == "inbound" and state is State.ROUTING:
            self.set_call_state("RINGING")
        if state is State.EXECUTE and channel.answered:
            self.set_call_state("ACTIVE")
        self.switch.fire_state(channel)

    def _run(self, state: State) -> Thread:
        channel = self.channel
        if state is State.INIT:
            yield from self._init()
        elif state is State.ROUTING:
            if self.originating:
                # A quick answer, or the error of an unreachable phone, comes before the thread goes on.
                yield from self.sleep(self.switch.agenda.between(*self.switch.agenda.chance.choice(ROUTING_US)))
            self._route()
        elif state is State.EXECUTE:
            yield from self._execute()
        elif state is State.PARK:
            yield from apps.park(self)
        elif state is State.SOFT_EXECUTE:
            yield from bridging.on_soft_execute(self)
        elif state is State.EXCHANGE_MEDIA:
            yield from bridging.on_exchange_media(self)
        elif state in {State.HIBERNATE, State.CONSUME_MEDIA}:
            if self.bridge_armed:
                channel.state = State.RESET
        elif state is State.RESET and self.bridge_armed and channel.bridge_originator:
            channel.state = State.SOFT_EXECUTE

    def _init(self) -> Thread:
        channel = self.channel
        if self.originating:
            yield from self.sleep(self.switch.agenda.between(*self.switch.agenda.chance.choice(INIT_US)))
        if not channel.down:
            channel.state = State.ROUTING
        # FreeSWITCH tells of a new leg also when it was killed meanwhile.
        self.switch.fire("CHANNEL_CREATE", channel)
        if self.originating:
            self.switch.fire("CHANNEL_ORIGINATE", channel)

    def _route(self) -> None:
        channel = self.channel
        if channel.down:
            return
        if self.originating:
            channel.state = State.CONSUME_MEDIA
            return
        profile = channel.profile
        extension = self.switch.hunt(self, profile)
        if extension is None:
            self.hangup(causes.NO_ROUTE_DESTINATION)
            return
        if channel.second or not channel.hit_dialplan:
            channel.second, channel.hit_dialplan = False, True
            transferring.flip_caller_id(self)
        channel.extension, channel.step = extension, 0
        if not channel.down:
            channel.state = State.EXECUTE

    def _execute(self) -> Thread:
        channel = self.channel
        channel.set("call_uuid", channel.uuid)
        while channel.state is State.EXECUTE and channel.extension and channel.step < len(channel.extension):
            app = channel.extension[channel.step]
            channel.step += 1
            yield from self.execute(app)
        if channel.state is State.EXECUTE:
            self.hangup(causes.NORMAL_CLEARING)

    def execute(self, app: App) -> Thread:
        """Run one dialplan application with the events around it."""
        channel, switch = self.channel, self.switch
        runner = apps.APPS.get(app.name)
        if runner is None:
            self.hangup(causes.DESTINATION_OUT_OF_ORDER)
            return
        data = switch.expand(app.data, self)
        if data.startswith("%["):
            # Variables for this one application.
            channel.scope, data = brackets(data[1:])
        channel.set("current_application_response", None)
        channel.set("current_application_data", data)
        if channel.variables.get("disable_app_log") != "true":
            channel.logged_app = app.name
        channel.variables["current_application"] = app.name
        about = {"Application": app.name, **({"Application-Data": data} if data else {})}
        number = {"Application-UUID": switch.agenda.uuid()}
        if app.name in apps.NEED_SOUND:
            self.early_media()
        channel.shown_app = App(app.name, data)
        switch.fire("CHANNEL_EXECUTE", channel, about | number)
        channel.break_asked = False
        yield from runner(self, data)
        channel.scope = {}
        response = channel.variables.get("current_application_response", "_none_")
        switch.fire("CHANNEL_EXECUTE_COMPLETE", channel, about | {"Application-Response": response} | number)

    def _end(self) -> Thread:
        channel, switch = self.channel, self.switch
        if self.talk is not None:
            bridging.left(self.talk, self)
        channel.running = State.HANGUP
        switch.fire_state(channel)
        self.set_call_state("HANGUP")
        channel.state = channel.running = State.REPORTING
        switch.fire_state(channel)
        self._write_bill()
        if self.line is not None and not channel.left:
            # BYE or CANCEL is sent by the leg's own thread, when it has seen that it was hung up.
            self.line.leg_ended(channel.cause, by_far_end=False)
        switch.fire("CHANNEL_HANGUP_COMPLETE", channel)
        yield from self.sleep(switch.agenda.between(300, 3 * MS))
        while self.kept:
            yield Wait()
        channel.state = State.DESTROY
        switch.fire("CHANNEL_DESTROY", channel)
        channel.running = State.DESTROY
        switch.fire_state(channel)
        switch.forget(self)

    def _write_bill(self) -> None:
        profile, variables = self.channel.profile, self.channel.variables
        end_us = profile.hangup_us
        variables["hangup_cause"] = self.channel.cause
        if self.channel.logged_app:
            variables["last_app"] = self.channel.logged_app
        variables["duration"] = str((end_us - profile.created_us) // SECOND)
        variables["billsec"] = str((end_us - profile.answered_us) // SECOND if profile.answered_us else 0)
        variables["start_uepoch"] = str(profile.created_us)
        variables["answer_uepoch"] = str(profile.answered_us)
        variables["end_uepoch"] = str(end_us)

    # --- what others do to the leg ------------------------------------------------------------------------------

    def set_state(self, state: State) -> None:
        """Ask the leg to go on in another state; its thread gets there when it next looks."""
        if not self.channel.down:
            self.channel.state = state
            self.signal(*STATE_NOTICED_US)

    def set_call_state(self, call_state: str) -> None:
        """The state as a phone would show it."""
        if self.channel.call_state != call_state:
            self.channel.call_state = call_state
            self.switch.fire_state(self.channel, "CHANNEL_CALLSTATE")

    def hangup(self, cause: str, by_far_end: bool = False) -> None:
        """End the leg; only the first cause counts."""
        channel = self.channel
        if channel.down:
            return
        holding.ended(self)
        channel.state, channel.cause, channel.left = State.HANGUP, cause, by_far_end
        channel.profile.hangup_us = self.switch.agenda.wall_us
        if (partner := self.switch.locate(channel.variables.get("signal_bond", ""))) is not None:
            partner.channel.variables["last_bridge_hangup_cause"] = cause
        if self.talk is not None:
            channel.set("last_bridge_role", "originator" if self.talk.a is self else "originatee")
        # A leg that is killed before its thread runs has no state to tell.
        unborn = {"Channel-State": "CS_NONE"} if channel.running is State.NEW else None
        self.switch.fire("CHANNEL_HANGUP", channel, unborn)
        self.signal(*HANGUP_NOTICED_US)
        if self.line is not None and by_far_end:
            self.line.leg_ended(cause, by_far_end)
        if self.on_change is not None:
            self.on_change()

    def ring_ready(self) -> None:
        """180 Ringing came from the phone."""
        channel = self.channel
        if channel.down or channel.ring_ready or channel.media_up:
            return
        channel.ring_ready = True
        channel.profile.progress_us = self.switch.agenda.wall_us
        self.switch.fire("CHANNEL_PROGRESS", channel)
        self.set_call_state("RINGING")

    def early_media(self) -> None:
        """183 with sound came from the phone."""
        channel = self.channel
        if channel.down or channel.media_up:
            return
        channel.early = channel.has_media = True
        channel.profile.progress_media_us = self.switch.agenda.wall_us
        channel.variables["endpoint_disposition"] = "EARLY MEDIA"
        self.switch.fire("CHANNEL_PROGRESS_MEDIA", channel)
        self.set_call_state("EARLY")
        if self.on_change is not None:
            self.on_change()

    def answer(self) -> None:
        """Answer an inbound leg, or note that the phone answered an outbound one."""
        channel = self.channel
        if channel.down or channel.answered:
            return
        if channel.direction == "outbound" and not channel.has_media:
            channel.has_media = True
            self.switch.fire("CODEC", channel)
            self.switch.fire("CODEC", channel)
        channel.answered = True
        channel.profile.answered_us = self.switch.agenda.wall_us
        self.switch.fire("CHANNEL_ANSWER", channel)
        if channel.direction == "inbound":
            self._show_answer()
        else:
            agenda = self.switch.agenda
            agenda.after(agenda.between(*agenda.chance.choice(SHOWN_US)), self._show_answer)
        channel.variables["endpoint_disposition"] = "ANSWER"
        if channel.direction == "inbound" and self.line is not None:
            self.line.leg_answered()
            if not self.line.acknowledges:
                self.switch.agenda.after(TIMER_H_US, self._not_acknowledged)
        if self.on_change is not None:
            self.on_change()

    def acknowledged(self) -> None:
        """The caller's ACK has been read: set the variables that FreeSWITCH sets only then."""
        channel = self.channel
        channel.variables |= {"sip_to_tag": f"t{channel.uuid[:8]}", "sip_cseq": "1"}
        to = f"<sip:{channel.variables.get('sip_req_uri', '')}>"
        channel.variables["sip_full_to"] = f"{to};tag={channel.variables['sip_to_tag']}"

    def _not_acknowledged(self) -> None:
        """The answer has been sent for 32 s, and nobody has acknowledged it."""
        if "sip_cseq" not in self.channel.variables:
            self.hangup(UNACKNOWLEDGED)

    def _show_answer(self) -> None:
        if not self.channel.down and self.channel.call_state in {"DOWN", "RINGING", "EARLY"}:
            self.set_call_state("ACTIVE")

    def leave_originate(self) -> None:
        """Another command takes over the leg: the originate that rings it gives it up."""
        self.originating = False
        if self.on_change is not None:
            self.on_change()

    def park(self) -> None:
        """uuid_park."""
        self.bridge_armed = False
        self.set_state(State.PARK)

    def broadcast(self, app: App) -> None:
        """uuid_broadcast: the leg runs the app when it is next free to."""
        self.channel.broadcasts.append(app)
        self.signal(*STATE_NOTICED_US)
