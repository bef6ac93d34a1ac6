-- What is asked for often costs the same however much there is, and what few ask for costs few writes.

-- How many trees lie in a folder, kept by the write that puts one there or takes it away: counting them
-- takes longer the more they are.
ALTER TABLE folders ADD COLUMN tree_count bigint NOT NULL DEFAULT 0;
UPDATE folders SET tree_count = counted.trees
FROM (SELECT folder_id, count(*) AS trees FROM trees WHERE folder_id IS NOT NULL GROUP BY folder_id)
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

-- What was written last waits in a list before it gets its place in these indexes, and every search
-- reads that list.
ALTER INDEX search_documents_by_head SET (gin_pending_list_limit = 256);
ALTER INDEX search_documents_by_words SET (gin_pending_list_limit = 256);
