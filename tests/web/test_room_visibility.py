"""Random comings, goings, messages and reloads: nobody ever hears what they may not see.

The rules are written down here a second time, as plain sets, so that the room is held against
something that isn't itself.
"""

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
from ucam.web.access import Access
from ucam.web.config import WebConfig
from ucam.web.members import Close, Effect, Newcomer, Send, Tell
from ucam.web.room import Room

Party = tuple[str, Role]
World = dict[str, set[Party]]

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
CALLS = st.sampled_from(["call-1", "call-2"])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Which place has whom: each camera and disk in at most one place, people in any."""
    world: World = {place: set() for place in PLACES}
    for name, role in PARTIES:
        if role in ("device", "storage"):
            place = draw(st.sampled_from([*PLACES, None]))
            if place is not None and (role == "device" or not _has_disk(world[place])):
                world[place].add((name, role))
        elif role == "user":
            for place in draw(st.sets(st.sampled_from(PLACES))):
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
    for place, members in world.items():
        by_role = {r: sorted(n for n, role in members if role == r) for _, r in PARTIES}
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


class Visibility(RuleBasedStateMachine):
    """The room, and what each connection has learnt from it."""

    @initialize(world=worlds())
    def begin(self, world: World) -> None:
        self.world = world
        self.room = Room(access_of(world))
        self.now_s = 1_800_000_000.0
        self.next = 1
        self.here: dict[int, Newcomer] = {}
        self.rosters: dict[int, set[str]] = {}
        self.ready: dict[int, set[str]] = {}

    # What happens

    @rule(party=st.sampled_from(PARTIES), resource=st.sampled_from(["r1", "r2", "r3"]))
    def come(self, party: Party, resource: str) -> None:
        name, role = party
        who = Newcomer(JID.parse(f"{name}/{resource}"), role, name=f"the {name}")
        connection, self.next = self.next, self.next + 1
        self.here[connection] = who
        self.rosters[connection] = self.ready[connection] = set()
        effects = self.room.connect(connection, who, self.now_s)
        self.hear(effects)
        if not places_of(self.world, party):
            assert connection not in self.here, "let in without access"

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        if self.here:
            connection = data.draw(st.sampled_from(sorted(self.here)))
            del self.here[connection]
            self.hear(self.room.disconnect(connection, self.now_s))

    @rule(data=st.data())
    def speak(self, data: st.DataObject) -> None:
        if not self.here:
            return
        sender = data.draw(st.sampled_from(sorted(self.here)))
        full = [str(who.jid) for who in self.here.values()]
        to = data.draw(st.sampled_from([*full, *(n for n, _ in PARTIES), "ghost@site.loc", "?"]))
        call = data.draw(CALLS)
        liar = data.draw(st.sampled_from([None, *full]))
        message: Message = data.draw(
            st.sampled_from(
                [
                    RequestMedia(to=to, call=call, kind="live", from_=liar, locations=PLACES),
                    RequestMedia(to=to, call=call, kind="recordings", from_=liar),
                    OfferMedia(sdp="v=0", from_=liar),
                    OfferMedia(to=to, call=call, sdp="v=0", from_=liar),
                    AnswerMedia(to=to, call=call, sdp="v=0", from_=liar),
                    EndMedia(to=to, call=call, reason="enough", from_=liar),
                    Chat(text="words", to=to, from_=liar),
                    Status(fields={"recording": "stored"}, from_=liar),
                    Connect(jid=to, name="x", role="user", location=None),
                ]
            )
        )
        self.say(sender, message)

    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        """A message that makes sense between these two, whether they may see each other or not."""
        viewers = sorted(c for c, w in self.here.items() if w.role in ("user", "player"))
        devices = sorted(c for c, w in self.here.items() if w.role in ("device", "storage"))
        if not viewers or not devices:
            return
        viewer, device = data.draw(st.sampled_from(viewers)), data.draw(st.sampled_from(devices))
        full = {c: str(self.here[c].jid) for c in (viewer, device)}
        to = data.draw(st.sampled_from([full[device], str(self.here[device].jid.bare)]))
        kind: Kind = "live" if self.here[device].role == "device" else "recordings"
        sender, message = data.draw(
            st.sampled_from(
                [
                    (viewer, RequestMedia(to=to, call="c", kind=kind)),
                    (viewer, AnswerMedia(to=to, call="c", sdp="v=0")),
                    (viewer, EndMedia(to=to, call="c")),
                    (device, OfferMedia(to=full[viewer], call="c", sdp="v=0")),
                    (device, EndMedia(to=full[viewer], call="c")),
                ]
            )
        )
        self.say(sender, message)

    @rule(data=st.data())
    def chat(self, data: st.DataObject) -> None:
        if self.here:
            sender = data.draw(st.sampled_from(sorted(self.here)))
            others = [str(who.jid) for who in self.here.values()]
            to = data.draw(st.sampled_from([None, *others]))
            self.say(sender, Chat(text="words", to=to))

    def say(self, sender: int, message: Message) -> None:
        self.now_s += 1
        text = encode(message)  # type: ignore[arg-type]
        self.hear(self.room.receive_text(sender, text, self.now_s), sender)

    @rule(place=st.sampled_from(PLACES), person=st.sampled_from(PEOPLE))
    def adjust(self, place: str, person: str) -> None:
        """A reload that gives one person one place, or takes it."""
        world: World = {**self.world, place: self.world[place] ^ {(person, "user")}}
        self.reload(world)

    def reload(self, world: World) -> None:
        before, self.world = self.world, world
        self.hear(self.room.change_access(access_of(world), self.now_s), before=before)

    @rule(place=st.sampled_from([*PLACES, None]), device=st.sampled_from([*CAMERAS, *DISKS]))
    def move(self, place: str | None, device: str) -> None:
        """A reload that puts a device elsewhere, or nowhere."""
        party: Party = (device, "storage" if device in DISKS else "device")
        world: World = {name: members - {party} for name, members in self.world.items()}
        if place is not None and not (device in DISKS and _has_disk(world[place])):
            world[place].add(party)
        self.reload(world)

    # What is held against it

    def hear(
        self, effects: list[Effect], sender: int | None = None, before: World | None = None
    ) -> None:
        for effect in effects:
            if isinstance(effect, Close):
                self.here.pop(effect.connection, None)
                continue
            if isinstance(effect, Tell):
                continue
            assert isinstance(effect, Send)
            assert len(set(effect.to)) == len(effect.to), "told twice"
            for connection in effect.to:
                if connection in self.here:
                    self.check(connection, effect.message, sender, before)

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
            assert stamp == str(self.here[sender].jid), "a sender's word was believed"
        if isinstance(message, Error):
            assert connection == sender
        self.learn(connection, message)

    def hidden_from(self, me: Newcomer, worlds: list[World]) -> set[str]:
        """Names that must not reach `me`: of places, and of whoever shares none with it."""
        mine = {p for w in worlds for p in places_of(w, (str(me.jid.bare), me.role))}
        seen = {name for w in worlds for place in mine for name, _ in w[place]}
        seen.add(str(me.jid.bare))
        names = {name for name, _ in PARTIES}
        return (set(PLACES) - mine) | (names - seen)

    def learn(self, connection: int, message: Message) -> None:
        if isinstance(message, Welcome):
            self.rosters[connection] = {peer.jid for peer in message.roster}
            self.ready[connection] = set()
        elif isinstance(message, Connect):
            self.rosters[connection] = self.rosters[connection] | {message.jid}
        elif isinstance(message, Disconnect):
            assert message.jid in self.rosters[connection], "somebody unknown has gone"
            self.rosters[connection] = self.rosters[connection] - {message.jid}
            self.ready[connection] = self.ready[connection] - {message.jid}
        elif isinstance(message, OfferMedia) and message.to is None:
            assert message.from_ in self.rosters[connection]
            self.ready[connection] = self.ready[connection] | {str(message.from_)}

    @invariant()
    def everybody_knows_exactly_whom_they_may_see(self) -> None:
        if not hasattr(self, "world"):
            return
        for connection, me in self.here.items():
            mine = places_of(self.world, (str(me.jid.bare), me.role))
            visible = {
                str(other.jid)
                for number, other in self.here.items()
                if number != connection
                and mine & places_of(self.world, (str(other.jid.bare), other.role))
            }
            assert self.rosters[connection] == visible, f"{me.jid} knows the wrong peers"


Visibility.TestCase.settings = settings(
    max_examples=80, stateful_step_count=60, deadline=None, derandomize=True
)
TestVisibility = Visibility.TestCase
