"""The tables of the index, and how an older index becomes a newer one.

A device's totals stand in its row and change with its chunks in the same transaction: a start with
a million chunks sums up nothing.
"""

import sqlite3

SCHEMA_VERSION = 2

_FIRST = """
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    location TEXT NOT NULL,
    jid TEXT NOT NULL,
    run TEXT, number INTEGER, utc_us INTEGER,  -- the last access unit that is durable
    end_us INTEGER,                            -- where the newest recording ended
    UNIQUE (location, jid)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices,
    run TEXT NOT NULL,
    codecs TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    UNIQUE (device, run, codecs, width, height)
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,                    -- start, microseconds since 1970
    device INTEGER NOT NULL REFERENCES devices,
    run INTEGER NOT NULL REFERENCES runs,
    duration_us INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    first_number INTEGER NOT NULL, last_number INTEGER NOT NULL,
    leaving INTEGER NOT NULL DEFAULT 0,        -- its file is about to be deleted
    activity BLOB NOT NULL
);
CREATE INDEX chunks_of_device ON chunks (device, id);
CREATE TABLE gaps (
    device INTEGER NOT NULL REFERENCES devices,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL,  -- to < from: the camera's clock went back
    reason TEXT NOT NULL,
    PRIMARY KEY (device, from_us)
) WITHOUT ROWID;
"""
# blocks: what the chunks' files take on the disk. away: why nothing is recorded now, told at its
# end. gone: which links of the chain rotation has taken, as a signed line.
_SECOND = """
ALTER TABLE devices ADD COLUMN chunks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN duration_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN away TEXT;
ALTER TABLE devices ADD COLUMN gone TEXT NOT NULL DEFAULT '';
UPDATE devices SET
    chunks = (SELECT count(*) FROM chunks c WHERE c.device = devices.id),
    bytes = (SELECT coalesce(sum(c.bytes), 0) FROM chunks c WHERE c.device = devices.id),
    duration_us = (SELECT coalesce(sum(c.duration_us), 0) FROM chunks c
                   WHERE c.device = devices.id),
    blocks = (SELECT coalesce(sum((c.bytes + 4095) / 4096 * 4096), 0) FROM chunks c
              WHERE c.device = devices.id);
CREATE INDEX chunks_leaving ON chunks (id) WHERE leaving;
CREATE TABLE opened (
    chunk INTEGER PRIMARY KEY,                 -- was begun and has no row yet
    location TEXT NOT NULL, jid TEXT NOT NULL
);
CREATE TABLE links (
    device INTEGER NOT NULL REFERENCES devices,
    number INTEGER NOT NULL,                   -- place in the device's chain
    chunk INTEGER NOT NULL,
    line TEXT NOT NULL,                        -- as in the chain file
    PRIMARY KEY (device, number)
) WITHOUT ROWID;
CREATE INDEX links_of_chunk ON links (chunk);
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""
_STEPS = {0: _FIRST, 1: _SECOND}


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring an index of `version` (0: empty) to `SCHEMA_VERSION`, inside a transaction."""
    for step in range(version, SCHEMA_VERSION):
        for statement in _STEPS[step].split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
