-- Ids are UUIDs (16 bytes), instants are milliseconds since the Unix epoch, owners are the opaque
-- user ids of AuthService.

-- The organisation's shared shelf.
CREATE TABLE categories (
    id          BLOB    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    slug        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    -- Drawn anew at every write, so that no two states of a row ever share one, not even across a
    -- restored backup.
    etag        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX categories_by_slug ON categories (slug);
-- The order of the list; the id makes it total.
CREATE INDEX categories_by_position ON categories (position, name, id);

-- Each user's own filing.
CREATE TABLE folders (
    id         BLOB    NOT NULL PRIMARY KEY,
    owner_id   TEXT    NOT NULL,
    -- NULL: at the top.
    parent_id  BLOB,
    name       TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    etag       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- What a composite foreign key may point at.
    UNIQUE (id, owner_id),
    -- A folder lies in a folder of the same owner, or nowhere.
    FOREIGN KEY (parent_id, owner_id) REFERENCES folders (id, owner_id)
) STRICT;

-- Siblings have different names. Two indexes, since NULLs never equal each other.
CREATE UNIQUE INDEX folders_by_name ON folders (owner_id, parent_id, name)
    WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX folders_by_name_at_top ON folders (owner_id, name)
    WHERE parent_id IS NULL;
-- The order of the list. Led by the parent alone, it also serves the foreign key.
CREATE INDEX folders_by_position ON folders (parent_id, owner_id, position, name);

CREATE TABLE trees (
    id          BLOB    NOT NULL PRIMARY KEY,
    owner_id    TEXT    NOT NULL,
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    category_id BLOB    REFERENCES categories (id),
    folder_id   BLOB,
    status      TEXT    NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    visibility  TEXT    NOT NULL CHECK (visibility IN ('private', 'shared')),
    -- A JSON array of strings.
    tags        TEXT    NOT NULL,
    etag        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    FOREIGN KEY (folder_id, owner_id) REFERENCES folders (id, owner_id)
) STRICT;

-- A list is the caller's own trees and the shared ones of others, each read in order from one of
-- these: newest first, the id making the order total.
CREATE INDEX trees_by_owner ON trees (owner_id, created_at, id);
CREATE INDEX trees_by_owner_category ON trees (owner_id, category_id, created_at, id);
CREATE INDEX trees_by_owner_status ON trees (owner_id, status, created_at, id);
CREATE INDEX trees_by_folder ON trees (folder_id, owner_id, created_at, id);
CREATE INDEX trees_by_visibility ON trees (visibility, created_at, id);
CREATE INDEX trees_by_visibility_status ON trees (visibility, status, created_at, id);
CREATE INDEX trees_by_category ON trees (category_id, visibility, created_at, id);

-- The steps of a tree, in the order in which its writer gave them.
CREATE TABLE tree_nodes (
    tree_id   BLOB    NOT NULL REFERENCES trees (id) ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    node_id   TEXT    NOT NULL,
    -- NULL: the root.
    parent_id TEXT,
    kind      TEXT    NOT NULL CHECK (kind IN ('question', 'action', 'solution')),
    title     TEXT    NOT NULL,
    body      TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    PRIMARY KEY (tree_id, ordinal),
    UNIQUE (tree_id, node_id)
) STRICT;

-- Random values that every instance on this database shares. `page_token`: the key that
-- authenticates page tokens.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
