-- How often the store was opened proves at each start that a write still reaches the disk.
CREATE TABLE state (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    epoch    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    opened   INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 1, 0, 0);

-- Times are milliseconds since 1970-01-01T00:00:00Z.
CREATE TABLE revision (
    number   INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    message  TEXT NOT NULL,
    source   TEXT NOT NULL,
    deed     TEXT NOT NULL,
    set_name TEXT,
    target   INTEGER,
    added    INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    removed  INTEGER NOT NULL,
    -- Views of this position and later ones show it.
    position INTEGER NOT NULL
) STRICT;

CREATE TABLE text (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

-- An object as it was from revision `since` on, before revision `until`; without `until`, it still is.
-- The namespace is empty for objects of the whole mesh.
CREATE TABLE object (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    source    TEXT NOT NULL,
    set_name  TEXT NOT NULL,
    file      TEXT,
    line      INTEGER,
    char      INTEGER,
    text      INTEGER NOT NULL REFERENCES text,
    since     INTEGER NOT NULL,
    until     INTEGER
) STRICT;
CREATE UNIQUE INDEX object_live ON object (kind, namespace, name) WHERE until IS NULL;
CREATE INDEX object_owner ON object (source, set_name) WHERE until IS NULL;
CREATE INDEX object_since ON object (since);
CREATE INDEX object_until ON object (until) WHERE until IS NOT NULL;
CREATE INDEX object_text ON object (text);

-- `slot` is the address inside both ranges; `released` is when the service was first missed.
CREATE TABLE address (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    slot      INTEGER NOT NULL UNIQUE,
    released  INTEGER,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- `hash` is that of the token's secret, which is never kept.
CREATE TABLE token (
    id              TEXT PRIMARY KEY,
    hash            BLOB NOT NULL,
    namespace       TEXT NOT NULL,
    service_account TEXT,
    uses            INTEGER NOT NULL,
    expires         INTEGER NOT NULL,
    made            INTEGER NOT NULL,
    made_by         TEXT NOT NULL
) STRICT;

CREATE TABLE revoked (
    identity TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL
) STRICT;

-- Measures of an emergency, in words, each until its end.
CREATE TABLE override (
    id      TEXT PRIMARY KEY,
    measure TEXT NOT NULL,
    at      INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    reason  TEXT NOT NULL
) STRICT;

-- The revisions that are watched, and what came of those that were; `tolerated` is how many calls of a
-- million may fail more than before, `back` the revision that took it back.
CREATE TABLE watch (
    revision  INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    who       TEXT NOT NULL,
    tolerated INTEGER NOT NULL,
    unwell    TEXT NOT NULL,
    ended     INTEGER,
    outcome   TEXT,
    why       TEXT,
    back      INTEGER
) STRICT;

-- The CA's roots, in the order in which they came; their keys are secrets. `stage` is announced, active
-- or leaving, since `since`; `bridge` is the certificate by which the root `before` vouches for it.
CREATE TABLE root (
    fingerprint  BLOB PRIMARY KEY,
    place        INTEGER NOT NULL,
    certificate  BLOB NOT NULL,
    bridge       BLOB,
    before       BLOB,
    stage        TEXT NOT NULL,
    since        INTEGER NOT NULL,
    needed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every certificate that was signed, for as long as it is kept in mind. `holder` is the first one of
-- whoever it was signed for: who renews stays the same. `pod` is the one that its first evidence was bound to.
CREATE TABLE issued (
    place    INTEGER PRIMARY KEY,
    leaf     BLOB NOT NULL UNIQUE,
    holder   BLOB NOT NULL,
    identity TEXT NOT NULL,
    at       INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    root     BLOB NOT NULL,
    why      TEXT NOT NULL,
    pod      TEXT
) STRICT;
CREATE INDEX issued_ends ON issued (ends);

-- What is known of a holder: what it calls itself, the bundle that it holds, when it said so, and
-- whether it went away for good.
CREATE TABLE holder (
    holder   BLOB PRIMARY KEY,
    name     TEXT NOT NULL,
    bundle   BLOB,
    seen     INTEGER NOT NULL,
    has_left INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was changed, asked and refused. Records are written once and never again; the oldest make room.
CREATE TABLE audit (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    place    TEXT NOT NULL,
    what     TEXT NOT NULL,
    about    TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    code     TEXT,
    revision INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_stands BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'a record of the audit log is never changed'); END;
