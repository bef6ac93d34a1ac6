-- What is asked for often costs the same however much there is, and what few ask for costs few writes.

-- How many trees lie in a folder, kept by the write that puts one there or takes it away: counting them
-- takes longer the more they are.
ALTER TABLE folders ADD COLUMN tree_count INTEGER NOT NULL DEFAULT 0;
UPDATE folders SET tree_count = counted.trees
FROM (SELECT folder_id, COUNT(*) AS trees FROM trees WHERE folder_id IS NOT NULL GROUP BY folder_id)
    AS counted
WHERE counted.folder_id = folders.id;

-- What others list is only what is shared, and by category only what is in one: nothing else is in
-- these, and most trees are neither.
DROP INDEX trees_by_owner_category;
DROP INDEX trees_by_visibility;
DROP INDEX trees_by_visibility_status;
DROP INDEX trees_by_category;
CREATE INDEX trees_by_owner_category ON trees (owner_id, category_id, created_at, id)
    WHERE category_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX trees_shared ON trees (created_at, id)
    WHERE visibility = 'shared' AND deleted_at IS NULL;
CREATE INDEX trees_shared_by_status ON trees (status, created_at, id)
    WHERE visibility = 'shared' AND deleted_at IS NULL;
CREATE INDEX trees_shared_by_category ON trees (category_id, created_at, id)
    WHERE visibility = 'shared' AND category_id IS NOT NULL AND deleted_at IS NULL;

-- The words that there are: a word's beginning is looked up as the words that begin so, if they are
-- few. For a beginning the index gathers all that it finds before it gives the first; a whole word it
-- reads from the newest tree on, as far as the page goes.
CREATE VIRTUAL TABLE search_terms USING fts5vocab (search_index, instance);
-- Imports spend less on merging what they have written, searches look it up in a few more places.
INSERT INTO search_index (search_index, rank) VALUES ('automerge', 8);
