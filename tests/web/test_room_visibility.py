"""Random comings, goings, messages and reloads in two processes: nobody ever hears what they may
not see.

The rules are written down here a second time, as plain sets, so that the room is held against
something that isn't itself. What the processes tell each other arrives in order, but late.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ucam.base.config import parse
from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.protocol.messages import (
    AnswerMedia,
    Chat,
    Connect,
    Disconnect,
    EndMedia,
    Error,
    Kind,
    Message,
    OfferMedia,
    RequestMedia,
    Status,
    Welcome,
    encode,
)
from ucam.web import carry, elsewhere, events, history, members
from ucam.web.access import Access
from ucam.web.config import WebConfig
from ucam.web.events import COUNTED, Carried, Envelope, Said, Told
from ucam.web.members import Close, Effect, Member, Members, Newcomer, Send, Tell
from ucam.web.room import Room

Party = tuple[str, Role]
World = dict[str, set[Party]]

STEPS = int(os.environ.get("UCAM_ROOM_STEPS", "100000"))
STEPS_EACH = 500
PLACES = ("alpine", "beacon", "cellar")
PEOPLE = tuple(f"person{n}@mail.example" for n in range(4))
CAMERAS = tuple(f"cam{n}@site.loc" for n in range(4))
DISKS = tuple(f"disk{n}@site.loc" for n in range(3))
PARTIES: tuple[Party, ...] = (
    *((p, "user") for p in PEOPLE),
    *((c, "device") for c in CAMERAS),
    *((d, "storage") for d in DISKS),
    (PEOPLE[0], "player"),
    (CAMERAS[0], "player"),
)


def random_world(random: Random) -> World:
    """Which place has whom: each camera and disk in at most one place, people in any."""
    world: World = {place: set() for place in PLACES}
    for name, role in PARTIES:
        if role in ("device", "storage"):
            place = random.choice([*PLACES, None])
            if place is not None and (role == "device" or not _has_disk(world[place])):
                world[place].add((name, role))
        elif role == "user":
            for place in PLACES:
                if random.random() < 0.4:
                    world[place].add((name, role))
    return world


def _has_disk(place: set[Party]) -> bool:
    return any(role == "storage" for _, role in place)


def access_of(world: World) -> Access:
    """The configuration file of a world, read as the application reads it."""
    allowed = sorted({n for members in world.values() for n, role in members if role == "user"})
    lines = [
        '[http]\npublic-url = "https://x.example"\ndata-dir = "d"\n[smtp]\noutbox = "o"',
        f"[userauth]\nallowed-emails = {allowed}",
    ]
    for place, parties in world.items():
        by_role = {r: sorted(n for n, role in parties if role == r) for _, r in PARTIES}
        lines += [f"[locations.{place}]", f"devices = {by_role['device']}"]
        lines += [f"storage = '{disk}'" for disk in by_role["storage"]]
        lines += [f"users = {by_role['user']}"]
    return Access.of(parse("\n".join(lines), WebConfig, source=Path("web.toml")))


def places_of(world: World, party: Party) -> set[str]:
    """Where a party belongs; a player belongs where its name does."""
    name, role = party
    return {
        place
        for place, members in world.items()
        if party in members or (role == "player" and name in {n for n, _ in members})
    }


def of(who: Newcomer) -> Party:
    return str(who.jid.bare), who.role


class Process:
    """A room, and what waits to be heard from the other one."""

    def __init__(self, name: str, access: Access) -> None:
        self.name = name
        self.room = Room(access)
        self.told = 0
        self.inbox: deque[Envelope] = deque()


class Driver:
    """Two processes with one room, and what each connection has learnt from it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = random_world(random)
        self.now_s = 1_800_000_000.0
        self.next = 1
        self.ever: dict[int, Newcomer] = {}
        self.here: dict[int, Newcomer] = {}
        self.at: dict[int, Process] = {}
        self.rosters: dict[int, set[str]] = {}
        self.said: dict[str, set[str]] = {}
        self.cut = False
        access = access_of(self.world)
        self.processes = [Process("p0", access), Process("p1", access)]
        for process in self.processes:
            self.hear(process, process.room.elsewhere.joined(self.now_s))

    # What happens

    def step(self) -> None:
        """One of the things that may happen."""
        happenings: list[tuple[int, Callable[[], None]]] = [
            (20, self.come),
            (12, self.go),
            (20, self.speak),
            (25, self.call),
            (8, self.chat),
            (40, self.deliver),
            (3, self.settle),
            (3, self.adjust),
            (3, self.move),
            (4, self.wait),
            (1, self.cut_or_join),
        ]
        weights = [weight for weight, _ in happenings]
        (happening,) = self.random.choices([h for _, h in happenings], weights)
        happening()

    def come(self) -> None:
        (name, role), resource = self.random.choice(PARTIES), self.random.choice("rst")
        connection, self.next = self.next, self.next + 1
        who = Newcomer(JID.parse(f"{name}/{resource}"), role, f"the {name}", (), connection)
        process = self.random.choice(self.processes)
        self.ever[connection] = self.here[connection] = who
        self.at[connection] = process
        self.rosters[connection] = set()
        self.hear(process, process.room.connect(connection, who, self.now_s))
        if not places_of(self.world, (name, role)):
            assert connection not in self.here, "let in without access"

    def go(self) -> None:
        if self.here:
            connection = self.random.choice(sorted(self.here))
            del self.here[connection]
            process = self.at[connection]
            self.hear(process, process.room.disconnect(connection, self.now_s))

    def speak(self) -> None:
        """Anything, to anybody, in anybody's name."""
        if not self.here:
            return
        random = self.random
        sender = random.choice(sorted(self.here))
        full = [str(who.jid) for who in self.here.values()]
        to = random.choice([*full, *(n for n, _ in PARTIES), "ghost@site.loc", "?"])
        call, liar = random.choice(["call-1", "call-2"]), random.choice([None, *full])
        messages: list[Message] = [
            RequestMedia(to=to, call=call, kind="live", from_=liar, locations=PLACES),
            RequestMedia(to=to, call=call, kind="recordings", from_=liar),
            OfferMedia(sdp="v=0", from_=liar),
            OfferMedia(to=to, call=call, sdp="v=0", from_=liar),
            AnswerMedia(to=to, call=call, sdp="v=0", from_=liar),
            EndMedia(to=to, call=call, reason="enough", from_=liar),
            Chat(text=self.words(sender), to=to, from_=liar),
            Status(fields={"recording": "stored"}, from_=liar),
            Connect(jid=to, name="x", role="user", location=None),
        ]
        self.say(sender, random.choice(messages))

    def call(self) -> None:
        """A message that makes sense between these two, whether they may see each other or not."""
        viewers = sorted(c for c, w in self.here.items() if w.role in ("user", "player"))
        devices = sorted(c for c, w in self.here.items() if w.role in ("device", "storage"))
        if not viewers or not devices:
            return
        viewer, device = self.random.choice(viewers), self.random.choice(devices)
        full = {c: str(self.here[c].jid) for c in (viewer, device)}
        to = self.random.choice([full[device], str(self.here[device].jid.bare)])
        kind: Kind = "live" if self.here[device].role == "device" else "recordings"
        choices: list[tuple[int, Message]] = [
            (viewer, RequestMedia(to=to, call="c", kind=kind)),
            (viewer, AnswerMedia(to=to, call="c", sdp="v=0")),
            (viewer, EndMedia(to=to, call="c")),
            (device, OfferMedia(to=full[viewer], call="c", sdp="v=0")),
            (device, EndMedia(to=full[viewer], call="c")),
        ]
        self.say(*self.random.choice(choices))

    def chat(self) -> None:
        if self.here:
            sender = self.random.choice(sorted(self.here))
            others = [str(who.jid) for who in self.here.values()]
            self.say(sender, Chat(text=self.words(sender), to=self.random.choice([None, *others])))

    def words(self, sender: int) -> str:
        """Words that nobody said before, and the places where they may be heard."""
        text = f"words {len(self.said)}"
        self.said[text] = places_of(self.world, of(self.here[sender]))
        return text

    def say(self, sender: int, message: Message) -> None:
        self.now_s += 1
        text = encode(message)  # type: ignore[arg-type]
        process = self.at[sender]
        self.hear(process, process.room.receive_text(sender, text, self.now_s), sender)

    def adjust(self) -> None:
        """A reload that gives one person one place, or takes it."""
        place, person = self.random.choice(PLACES), self.random.choice(PEOPLE)
        self.reload({**self.world, place: self.world[place] ^ {(person, "user")}})

    def move(self) -> None:
        """A reload that puts a device elsewhere, or nowhere."""
        device = self.random.choice([*CAMERAS, *DISKS])
        place = self.random.choice([*PLACES, None])
        party: Party = (device, "storage" if device in DISKS else "device")
        world: World = {name: members - {party} for name, members in self.world.items()}
        if place is not None and not (device in DISKS and _has_disk(world[place])):
            world[place].add(party)
        self.reload(world)

    def reload(self, world: World) -> None:
        before, self.world = self.world, world
        for process in self.processes:
            effects = process.room.change_access(access_of(world), self.now_s)
            self.hear(process, effects, before=before)

    def wait(self) -> None:
        """Time passes: who wasn't told of everybody in a storm is told now."""
        self.now_s += self.random.choice([0.1, 3, 30])
        for process in self.processes:
            # Both live: what is told now and then is told in time.
            while process.inbox:
                self.deliver_to(process)
            self.hear(process, process.room.tick(self.now_s))
            while process.room.anybody_behind and (
                effects := process.room.catch_up(self.now_s + 3)
            ):
                self.hear(process, effects)

    # Between the processes

    def deliver(self) -> None:
        process = self.random.choice(self.processes)
        if process.inbox:
            self.deliver_to(process)

    def deliver_to(self, process: Process) -> None:
        envelope = process.inbox.popleft()
        sender = None
        if isinstance(envelope.event, Carried | Told | Said):
            sender = envelope.event.connection
        data = events.encode(envelope)
        effects = process.room.elsewhere.hear(events.decode(data), self.now_s)
        self.hear(process, effects, sender)

    def cut_or_join(self) -> None:
        """The way between the processes is lost, with all that was on it; or is there again."""
        self.cut = not self.cut
        for process in self.processes:
            process.inbox.clear()
            if self.cut:
                process.room.elsewhere.cut()
        for process in self.processes:
            if not self.cut:
                self.hear(process, process.room.elsewhere.joined(self.now_s))

    def settle(self) -> None:
        """All has been delivered: everybody knows exactly whom they may see."""
        if self.cut:
            self.cut_or_join()
        while any(process.inbox for process in self.processes):
            for process in self.processes:
                while process.inbox:
                    self.deliver_to(process)
        self.now_s += 10
        for process in self.processes:
            while process.room.anybody_behind:
                self.hear(process, process.room.catch_up(self.now_s))
        for connection, me in self.here.items():
            mine = places_of(self.world, of(me))
            visible = {
                str(other.jid)
                for number, other in self.here.items()
                if number != connection and mine & places_of(self.world, of(other))
            }
            assert self.rosters[connection] == visible, f"{me.jid} knows the wrong peers"
        names = [who.jid for who in self.here.values()]
        names += [who.jid.bare for who in self.here.values() if who.role in ("device", "storage")]
        assert len(names) == len(set(names)), "two connections where one must be"

    # What is held against it

    def hear(
        self,
        process: Process,
        effects: list[Effect],
        sender: int | None = None,
        before: World | None = None,
    ) -> None:
        for effect in effects:
            match effect:
                case Close(connection):
                    self.here.pop(connection, None)
                case Tell(name, event):
                    other = self.processes[process is self.processes[0]]
                    assert name in (None, other.name)
                    process.told += isinstance(event, COUNTED) and name is None
                    if not self.cut:
                        other.inbox.append(Envelope(process.name, process.told, event))
                case Send(to, message):
                    assert len(set(to)) == len(to), "told twice"
                    for connection in to:
                        if connection in self.here:
                            assert self.at[connection] is process
                            self.check(connection, message, sender, before)

    def check(
        self, connection: int, message: Message, sender: int | None, before: World | None
    ) -> None:
        me = self.here[connection]
        worlds = [self.world]
        if isinstance(message, Disconnect) and before is not None:
            worlds.append(before)  # what was seen until now may be told to have gone
        hidden = self.hidden_from(me, worlds)
        text = encode(message)  # type: ignore[arg-type]
        leaked = [word for word in hidden if word in text]
        assert not leaked, f"{me.jid} ({me.role}) hears of {leaked}: {text}"
        stamp = getattr(message, "from_", None)
        if sender is not None and not isinstance(message, Error):
            assert stamp == str(self.ever[sender].jid), "a sender's word was believed"
        if isinstance(message, Error):
            assert connection == sender
        self.learn(connection, message)

    def hidden_from(self, me: Newcomer, worlds: list[World]) -> set[str]:
        """Names that must not reach `me`: of places, and of whoever shares none with it."""
        mine = {p for w in worlds for p in places_of(w, of(me))}
        seen = {name for w in worlds for place in mine for name, _ in w[place]}
        seen.add(str(me.jid.bare))
        names = {name for name, _ in PARTIES}
        return (set(PLACES) - mine) | (names - seen)

    def learn(self, connection: int, message: Message) -> None:
        roster = self.rosters[connection]
        match message:
            case Welcome():
                self.rosters[connection] = {peer.jid for peer in message.roster}
                for line in message.chat:
                    assert line.to is None, "words to one person are no history"
                    mine = places_of(self.world, of(self.here[connection]))
                    assert mine & self.said[line.text], "heard what was said elsewhere"
            case Connect():
                roster.add(message.jid)
            case Disconnect():
                assert message.jid in roster, "somebody unknown has gone"
                roster.discard(message.jid)
            case OfferMedia(to=None):
                assert message.from_ in roster


def drive(seed: int, steps: int) -> None:
    """A fresh world, and so many steps in it."""
    driver = Driver(Random(seed))
    for number in range(steps):
        try:
            driver.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {number}: {error}") from error
    driver.settle()


def drive_many(worlds: int, first: int = 0) -> None:
    """Many worlds, one after the other."""
    for seed in range(first, first + worlds):
        drive(seed, STEPS_EACH)


@pytest.mark.parametrize("part", range(4))
def test_nobody_ever_hears_what_they_may_not_see(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 steps (`UCAM_ROOM_STEPS`), in worlds of 500 each; in half of them each coming and
    going is a storm."""
    if part % 2:
        monkeypatch.setattr(members, "PRESENCE_BURST", 2.0)
        monkeypatch.setattr(members, "PRESENCE_PER_S", 0.1)
    drive_many(STEPS // 4 // STEPS_EACH, 10_000 * part)


# What is held against the room notices when it is wrong.


def _anybody(self: Members, sender: Member, to: str) -> Member | None:
    return next((m for m in self if m is not sender and to in (m.full, m.party.jid)), None)


def _all_lines(self: history.History, _access: Access, _party: object) -> tuple[Chat, ...]:
    return tuple(line.chat for line in self.lines)


def _carried_unasked(self: elsewhere.Elsewhere, _process: str, event: Carried) -> list[Effect]:
    return [Send((event.to,), event.message)]


def _unstamped(sender: Member, to: list[Member], message: Message) -> list[Effect]:
    if not to:
        return []
    return members.send(to, type(message)(**{**_fields(message), "from_": to[0].full}))  # type: ignore[arg-type]


def _fields(message: Message) -> dict[str, object]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


def _all_places(_self: Access, _one: object, _other: object) -> tuple[str, ...]:
    return PLACES


@pytest.mark.parametrize(
    ("where", "name", "wrong"),
    [
        (Members, "shared", _all_places),
        (Members, "one", _anybody),
        (Access, "shared", _all_places),
        (history.History, "for_party", _all_lines),
        (elsewhere.Elsewhere, "_carried", _carried_unasked),
        (carry, "carry_to", _unstamped),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_rule_is_noticed(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, wrong: object
) -> None:
    monkeypatch.setattr(where, name, wrong)
    with pytest.raises(AssertionError, match="seed"):
        drive_many(20)
