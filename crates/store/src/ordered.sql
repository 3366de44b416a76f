-- Where a store stands that is one of several: after which entry of which log. `chain` stands for all
-- entries up to that one; `lineage` is what the first of them follows. A log that was not begun is
-- one that nobody else has seen.
CREATE TABLE ordered (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    log     TEXT NOT NULL,
    lineage BLOB NOT NULL,
    number  INTEGER NOT NULL,
    chain   BLOB NOT NULL,
    begun   INTEGER NOT NULL
) STRICT;
