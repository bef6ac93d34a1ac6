-- Trees keep what they read at each time, and are deleted softly.

-- What a tree read from one write to the next. A tree has at least the one that it reads now.
CREATE TABLE tree_revisions (
    tree_id     BLOB    NOT NULL REFERENCES trees (id) ON DELETE CASCADE,
    -- Counts from 1.
    revision    INTEGER NOT NULL,
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    -- A JSON array of strings.
    tags        TEXT    NOT NULL,
    -- A JSON array of objects, in the order in which the writer gave them.
    nodes       TEXT    NOT NULL,
    node_count  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tree_id, revision)
) STRICT;

-- The one that is read now.
ALTER TABLE trees ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE trees ADD COLUMN node_count INTEGER NOT NULL DEFAULT 0;
-- NULL: it is not deleted. What is deleted is in no folder.
ALTER TABLE trees ADD COLUMN deleted_at INTEGER CHECK (deleted_at IS NULL OR folder_id IS NULL);
-- When a deleted tree goes for good.
ALTER TABLE trees ADD COLUMN purge_at INTEGER CHECK ((purge_at IS NULL) = (deleted_at IS NULL));

INSERT INTO tree_revisions
    (tree_id, revision, title, description, tags, nodes, node_count, created_at)
SELECT trees.id, 1, trees.title, trees.description, trees.tags,
       (SELECT json_group_array(
                   json_object('node_id', node_id, 'parent_id', parent_id, 'kind', kind,
                               'title', tree_nodes.title, 'body', body, 'position', position)
                   ORDER BY ordinal)
        FROM tree_nodes WHERE tree_nodes.tree_id = trees.id),
       (SELECT COUNT(*) FROM tree_nodes WHERE tree_nodes.tree_id = trees.id),
       trees.updated_at
FROM trees;

UPDATE trees SET node_count = tree_revisions.node_count
FROM tree_revisions WHERE tree_revisions.tree_id = trees.id;

DROP TABLE tree_nodes;

-- Lists pass over deleted trees without meeting them.
DROP INDEX trees_by_owner;
DROP INDEX trees_by_owner_category;
DROP INDEX trees_by_owner_status;
DROP INDEX trees_by_folder;
DROP INDEX trees_by_visibility;
DROP INDEX trees_by_visibility_status;
DROP INDEX trees_by_category;
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
