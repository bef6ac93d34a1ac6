-- What the files under ../sqlite make up to the same number: PostgreSQL came later than those, so
-- there is nothing here to carry over. From here on each number means the same in both.
--
-- Instants are milliseconds since the Unix epoch, owners are the opaque user ids of AuthService. What
-- lists are ordered by is compared byte by byte (COLLATE "C"), whatever the database's own order is.

-- The organisation's shared shelf.
CREATE TABLE categories (
    id          uuid    NOT NULL PRIMARY KEY,
    name        text    NOT NULL COLLATE "C",
    slug        text    NOT NULL COLLATE "C",
    description text    NOT NULL,
    position    integer NOT NULL,
    -- Drawn anew at every write, so that no two states of a row ever share one, not even across a
    -- restored backup.
    etag        text    NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL
);

CREATE UNIQUE INDEX categories_by_slug ON categories (slug);
-- The order of the list; the id makes it total.
CREATE INDEX categories_by_position ON categories (position, name, id);

-- Each user's own filing.
CREATE TABLE folders (
    id         uuid    NOT NULL PRIMARY KEY,
    owner_id   text    NOT NULL COLLATE "C",
    -- NULL: at the top.
    parent_id  uuid,
    name       text    NOT NULL COLLATE "C",
    position   integer NOT NULL,
    etag       text    NOT NULL,
    created_at bigint  NOT NULL,
    updated_at bigint  NOT NULL,
    -- What a composite foreign key may point at.
    UNIQUE (id, owner_id),
    -- A folder lies in a folder of the same owner, or nowhere.
    FOREIGN KEY (parent_id, owner_id) REFERENCES folders (id, owner_id)
);

-- Siblings have different names. Two indexes, since NULLs never equal each other.
CREATE UNIQUE INDEX folders_by_name ON folders (owner_id, parent_id, name)
    WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX folders_by_name_at_top ON folders (owner_id, name)
    WHERE parent_id IS NULL;
-- The order of the list. The first, led by the parent, also serves the foreign key; the second is
-- there since a search for NULL in an index is not taken to come in the order of the rest.
CREATE INDEX folders_by_position ON folders (parent_id, owner_id, position, name);
CREATE INDEX folders_by_position_at_top ON folders (owner_id, position, name)
    WHERE parent_id IS NULL;

CREATE TABLE trees (
    id          uuid    NOT NULL PRIMARY KEY,
    owner_id    text    NOT NULL COLLATE "C",
    title       text    NOT NULL,
    description text    NOT NULL,
    category_id uuid    REFERENCES categories (id),
    folder_id   uuid,
    status      text    NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    visibility  text    NOT NULL CHECK (visibility IN ('private', 'shared')),
    -- A JSON array of strings.
    tags        text    NOT NULL,
    etag        text    NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL,
    -- The one that is read now.
    revision    bigint  NOT NULL,
    node_count  integer NOT NULL,
    -- NULL: it is not deleted. What is deleted is in no folder.
    deleted_at  bigint  CHECK (deleted_at IS NULL OR folder_id IS NULL),
    -- When a deleted tree goes for good.
    purge_at    bigint  CHECK ((purge_at IS NULL) = (deleted_at IS NULL)),
    FOREIGN KEY (folder_id, owner_id) REFERENCES folders (id, owner_id)
);

-- A list is the caller's own trees and the shared ones of others, each read in order from one of
-- these: newest first, the id making the order total. They pass over deleted trees without meeting
-- them.
CREATE INDEX trees_by_owner ON trees (owner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX trees_by_owner_category ON trees (owner_id, category_id, created_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX trees_by_owner_status ON trees (owner_id, status, created_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX trees_by_visibility ON trees (visibility, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX trees_by_visibility_status ON trees (visibility, status, created_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX trees_by_category ON trees (category_id, visibility, created_at, id)
    WHERE deleted_at IS NULL;
-- These two also serve foreign keys, for which deleted trees count.
CREATE INDEX trees_by_folder ON trees (folder_id, owner_id, created_at, id)
    WHERE folder_id IS NOT NULL;
CREATE INDEX trees_in_category ON trees (category_id, id) WHERE category_id IS NOT NULL;
-- A user's deleted trees, the last deleted first; and what is to go for good, the longest due first.
CREATE INDEX trees_deleted_by_owner ON trees (owner_id, deleted_at, id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX trees_by_purge ON trees (purge_at, id) WHERE purge_at IS NOT NULL;

-- What a tree read from one write to the next. A tree has at least the one that it reads now.
CREATE TABLE tree_revisions (
    tree_id     uuid    NOT NULL REFERENCES trees (id) ON DELETE CASCADE,
    -- Counts from 1.
    revision    bigint  NOT NULL,
    title       text    NOT NULL,
    description text    NOT NULL,
    -- A JSON array of strings.
    tags        text    NOT NULL,
    -- A JSON array of objects, in the order in which the writer gave them.
    nodes       text    NOT NULL,
    node_count  integer NOT NULL,
    created_at  bigint  NOT NULL,
    PRIMARY KEY (tree_id, revision)
);

-- Random values that every instance on this database shares. `page_token`: the key that
-- authenticates page tokens.
CREATE TABLE secrets (
    name  text  NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);

-- What is searched of a tree. The number never changes, so a search that goes on after one finds no
-- tree twice; the older the tree, the lesser its number.
CREATE TABLE search_documents (
    number  bigint   NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tree_id uuid     NOT NULL UNIQUE REFERENCES trees (id) ON DELETE CASCADE,
    -- Of the rules by which its words were made.
    version bigint   NOT NULL,
    -- The words of title and tags, and all words; among each are those for who may find it.
    head    tsvector NOT NULL,
    words   tsvector NOT NULL
);

CREATE INDEX search_documents_by_version ON search_documents (version, number);
CREATE INDEX search_documents_by_head ON search_documents USING gin (head);
CREATE INDEX search_documents_by_words ON search_documents USING gin (words);

-- What was written, in an order that all readers see.
CREATE TABLE changes (
    seq         bigint NOT NULL PRIMARY KEY,
    at          bigint NOT NULL,
    resource    text   NOT NULL CHECK (resource IN ('none', 'category', 'folder', 'tree')),
    resource_id uuid   NOT NULL,
    -- NULL: on the common shelf.
    owner_id    text   COLLATE "C",
    -- What it is to its owner, or to everybody if it has none.
    own_kind    text   NOT NULL CHECK (own_kind IN ('created', 'updated', 'deleted')),
    -- What it is to everybody else; NULL: nothing.
    shared_kind text   CHECK (shared_kind IN ('created', 'updated', 'deleted')),
    -- Drawn for the write, so that a number that was given out again, by a restored copy, is not
    -- taken for the one that it was.
    mark        text   NOT NULL
);

-- What concerns one reader is what is theirs or nobody's, and what others share.
CREATE INDEX changes_by_owner ON changes (owner_id, seq);
CREATE INDEX changes_on_the_shelf ON changes (seq) WHERE owner_id IS NULL;
CREATE INDEX changes_shared ON changes (seq, owner_id) WHERE shared_kind IS NOT NULL;

-- The place before the first change. The newest row is never removed, so there is always one to name
-- and to count from.
INSERT INTO changes (seq, at, resource, resource_id, own_kind, mark)
    VALUES (1, 0, 'none', '00000000-0000-0000-0000-000000000000', 'created', '');

-- What writes have to say, until it has its place in the log: numbers that writes draw say nothing of
-- the order in which they commit.
CREATE TABLE change_inbox (
    place       bigint NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at          bigint NOT NULL,
    resource    text   NOT NULL,
    resource_id uuid   NOT NULL,
    owner_id    text,
    own_kind    text   NOT NULL,
    shared_kind text,
    mark        text   NOT NULL
);

-- Imports that can go on where they stopped. `created_count` trees are there, the ones that `digest`
-- tells; it is compared and set by whoever goes on.
CREATE TABLE imports (
    owner_id      text   NOT NULL COLLATE "C",
    key           text   NOT NULL COLLATE "C",
    created_count bigint NOT NULL,
    digest        bytea  NOT NULL,
    expires_at    bigint NOT NULL,
    PRIMARY KEY (owner_id, key)
);

CREATE INDEX imports_by_expiry ON imports (expires_at);
