-- Times are milliseconds since 1970-01-01T00:00:00Z.

-- Since when whatever happens is in the pieces below.
CREATE TABLE state (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    began INTEGER NOT NULL
) STRICT;

-- A life of a proxy, and the last report of it that is in the pieces below.
CREATE TABLE sender (
    identity TEXT NOT NULL,
    proxy    TEXT NOT NULL,
    boot     BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    lost     INTEGER NOT NULL,
    folded   INTEGER NOT NULL,
    seen     INTEGER NOT NULL,
    PRIMARY KEY (identity, proxy, boot)
) STRICT, WITHOUT ROWID;

-- What calls have in common that are counted together. `used` is when some were counted last, by the
-- hour; a stream of bytes has no method.
CREATE TABLE kind (
    id       INTEGER PRIMARY KEY,
    side     INTEGER NOT NULL,
    source   TEXT NOT NULL,
    target   TEXT NOT NULL,
    port     INTEGER NOT NULL,
    route    TEXT,
    backend  TEXT,
    security TEXT NOT NULL,
    method   TEXT,
    shape    TEXT,
    status   INTEGER NOT NULL,
    fault    TEXT,
    code     TEXT,
    culprit  TEXT,
    place    TEXT,
    used     INTEGER NOT NULL,
    peer     TEXT,
    facts    TEXT
) STRICT;

-- What went from `start` until `until`: sums by kind.
CREATE TABLE piece (
    id    INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    until INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;
CREATE INDEX piece_span ON piece (start, until);
