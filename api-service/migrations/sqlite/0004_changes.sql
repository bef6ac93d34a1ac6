-- What was written, in the order of the commits: one writer numbers and commits one after another.
CREATE TABLE changes (
    seq         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    resource    TEXT    NOT NULL CHECK (resource IN ('none', 'category', 'folder', 'tree')),
    resource_id BLOB    NOT NULL,
    -- NULL: on the common shelf.
    owner_id    TEXT,
    -- What it is to its owner, or to everybody if it has none.
    own_kind    TEXT    NOT NULL CHECK (own_kind IN ('created', 'updated', 'deleted')),
    -- What it is to everybody else; NULL: nothing.
    shared_kind TEXT    CHECK (shared_kind IN ('created', 'updated', 'deleted')),
    -- Drawn for the write, so that a number that was given out again, by a restored copy, is not
    -- taken for the one that it was.
    mark        TEXT    NOT NULL
) STRICT;

-- What concerns one reader is what is theirs or nobody's, and what others share.
CREATE INDEX changes_by_owner ON changes (owner_id, seq);
CREATE INDEX changes_shared ON changes (seq, owner_id) WHERE shared_kind IS NOT NULL;

-- The place before the first change. The newest row is never removed, so there is always one to
-- name.
INSERT INTO changes (at, resource, resource_id, own_kind, mark)
    VALUES (0, 'none', x'', 'created', '');
