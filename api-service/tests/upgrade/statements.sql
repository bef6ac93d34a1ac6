-- schema: 6
--
-- The statements that the program ran whose last migration was 6, with values in the place of
-- parameters, in an order in which each finds something. A newer program brings the schema up to date
-- while instances of that one still serve, so each of these must go on to do what it did.
--
-- To extend it: a statement that is new in the program is added here. When a version with newer
-- migrations has been released, set the number above to that version's last migration, and bring the
-- statements to what its source says (src/storage/postgres). Only then may a migration take away what
-- the former ones needed.

SELECT pg_advisory_xact_lock(hashtextextended('ada', 4993274410277351028));

SELECT pg_advisory_xact_lock(hashtextextended('log', 7315418326021460371));

INSERT INTO secrets (name, value) VALUES ('page_token', decode('00', 'hex'))
ON CONFLICT (name) DO NOTHING;

SELECT value FROM secrets WHERE name = 'page_token';

INSERT INTO categories (id, name, slug, description, position, etag, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-0000000000c1', 'tools', 'tools', '', 1, 'e1', 1000, 1000);

INSERT INTO categories (id, name, slug, description, position, etag, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-0000000000c2', 'toys', 'toys', '', 1, 'e1', 1000, 1000);

SELECT id, name, slug, description, position, etag, created_at, updated_at
FROM categories WHERE id = '00000000-0000-7000-8000-0000000000c1';

SELECT id, name, slug, description, position, etag, created_at, updated_at FROM categories
WHERE (position, name, id) > (0, '', '00000000-0000-0000-0000-000000000000')
ORDER BY position, name, id LIMIT 50;

SELECT 1 FROM categories WHERE id = '00000000-0000-7000-8000-0000000000c1' FOR KEY SHARE;

SELECT etag FROM categories WHERE id = '00000000-0000-7000-8000-0000000000c1' FOR UPDATE;

UPDATE categories SET name = 'Tools', slug = 'tools', description = 'x', position = 2, etag = 'e2',
       updated_at = 2000
WHERE id = '00000000-0000-7000-8000-0000000000c1' AND etag = 'e1';

INSERT INTO folders (id, owner_id, parent_id, name, position, etag, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-0000000000f1', 'ada', NULL, 'top', 1, 'e1', 1000, 1000);

INSERT INTO folders (id, owner_id, parent_id, name, position, etag, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-0000000000f2', 'ada', '00000000-0000-7000-8000-0000000000f1', 'below', 1, 'e1', 1000, 1000);

SELECT id, owner_id, parent_id, name, position, etag, created_at, updated_at
FROM folders WHERE id = '00000000-0000-7000-8000-0000000000f2' AND owner_id = 'ada';

SELECT id, owner_id, parent_id, name, position, etag, created_at, updated_at FROM folders
WHERE parent_id = '00000000-0000-7000-8000-0000000000f1' AND owner_id = 'ada' AND (position, name) > (0, '')
ORDER BY position, name LIMIT 50;

SELECT id, owner_id, parent_id, name, position, etag, created_at, updated_at FROM folders
WHERE parent_id IS NULL AND owner_id = 'ada' ORDER BY position, name LIMIT 50;

SELECT (SELECT count(*) FROM folders WHERE owner_id = 'ada' AND parent_id IS NOT NULL) +
       (SELECT count(*) FROM folders WHERE owner_id = 'ada' AND parent_id IS NULL);

WITH RECURSIVE up (id, parent_id, level) AS (
    SELECT id, parent_id, 1 FROM folders WHERE id = '00000000-0000-7000-8000-0000000000f2' AND owner_id = 'ada'
    UNION ALL
    SELECT folders.id, folders.parent_id, up.level + 1 FROM up
    JOIN folders ON folders.id = up.parent_id WHERE up.level < 64)
SELECT id FROM up ORDER BY level;

WITH RECURSIVE down (id, level) AS (
    SELECT id, 1 FROM folders WHERE id = '00000000-0000-7000-8000-0000000000f1'
    UNION ALL
    SELECT folders.id, down.level + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.level < 64)
SELECT MAX(level) FROM down;

UPDATE folders SET parent_id = '00000000-0000-7000-8000-0000000000f1', name = 'lower', position = 2, etag = 'e2',
       updated_at = 2000
WHERE id = '00000000-0000-7000-8000-0000000000f2';

SELECT 1 FROM folders WHERE parent_id = '00000000-0000-7000-8000-0000000000f1' LIMIT 1;

INSERT INTO trees (id, owner_id, title, description, category_id, folder_id,
                   status, visibility, tags, etag, created_at, updated_at, revision, node_count)
SELECT * FROM unnest(ARRAY['00000000-0000-7000-8000-000000000071', '00000000-0000-7000-8000-000000000072']::uuid[], ARRAY['ada', 'bob']::text[],
                     ARRAY['oak', 'elm']::text[], ARRAY['', '']::text[],
                     ARRAY['00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-0000000000c1']::uuid[],
                     ARRAY['00000000-0000-7000-8000-0000000000f2', NULL]::uuid[], ARRAY['published', 'published']::text[],
                     ARRAY['private', 'shared']::text[], ARRAY['[]', '[]']::text[],
                     ARRAY['e1', 'e1']::text[], ARRAY[1000, 1001]::bigint[],
                     ARRAY[1000, 1001]::bigint[], ARRAY[1, 1]::bigint[], ARRAY[0, 0]::integer[]);

UPDATE folders SET tree_count = tree_count + counted.by
FROM unnest(ARRAY['00000000-0000-7000-8000-0000000000f2']::uuid[], ARRAY[1]::bigint[]) AS counted (id, by)
WHERE folders.id = counted.id;

INSERT INTO tree_revisions (tree_id, revision, title, description, tags,
                            nodes, node_count, created_at)
SELECT * FROM unnest(ARRAY['00000000-0000-7000-8000-000000000071', '00000000-0000-7000-8000-000000000072']::uuid[], ARRAY[1, 1]::bigint[],
                     ARRAY['oak', 'elm']::text[], ARRAY['', '']::text[], ARRAY['[]', '[]']::text[],
                     ARRAY['[]', '[]']::text[], ARRAY[0, 0]::integer[], ARRAY[1000, 1001]::bigint[]);

INSERT INTO search_documents (tree_id, version, head, words)
SELECT tree_id, 1, array_to_tsvector(owner || string_to_array(head, ' ')),
       array_to_tsvector(owner || string_to_array(words, ' '))
FROM unnest(ARRAY['00000000-0000-7000-8000-000000000071', '00000000-0000-7000-8000-000000000072']::uuid[], ARRAY['=ada', '*']::text[],
            ARRAY['oak', 'elm']::text[], ARRAY['oak', 'elm leaf']::text[]) WITH ORDINALITY
     AS written (tree_id, owner, head, words, place)
ORDER BY place;

INSERT INTO search_documents (tree_id, version, head, words)
VALUES ('00000000-0000-7000-8000-000000000071', 1, array_to_tsvector(ARRAY['=ada', 'oak']::text[]),
        array_to_tsvector(ARRAY['=ada', 'oak', 'leaf']::text[]))
ON CONFLICT (tree_id) DO UPDATE
SET version = excluded.version, head = excluded.head, words = excluded.words;

SELECT number, id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM (SELECT number, tree_id, head, words FROM search_documents WHERE number < 9223372036854775807
      ORDER BY number DESC LIMIT 1000) AS newest
JOIN trees ON trees.id = newest.tree_id
WHERE head @@ '(''=ada'' | ''*'') & ''oak'':*'::text::tsquery
  AND (owner_id = 'ada' OR visibility = 'shared') AND deleted_at IS NULL
ORDER BY number DESC LIMIT 50;

WITH matched AS MATERIALIZED (
    SELECT number, tree_id FROM search_documents
    WHERE head @@ '(''=ada'' | ''*'') & ''oak'':*'::text::tsquery
      AND number < 9223372036854775807)
SELECT number, id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM (SELECT number, tree_id FROM matched ORDER BY number DESC LIMIT least(50, 1000)) AS page
JOIN trees ON trees.id = page.tree_id
WHERE true AND (owner_id = 'ada' OR visibility = 'shared') AND deleted_at IS NULL
ORDER BY number DESC;

SELECT number, id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM (SELECT number, tree_id, head, words FROM search_documents WHERE number < 9223372036854775807
      ORDER BY number DESC LIMIT 1000) AS newest
JOIN trees ON trees.id = newest.tree_id
WHERE words @@ '(''=ada'' | ''*'') & ''leaf'':*'::text::tsquery
  AND NOT head @@ '(''=ada'' | ''*'') & ''leaf'':*'::text::tsquery
  AND (owner_id = 'ada' OR visibility = 'shared') AND deleted_at IS NULL
ORDER BY number DESC LIMIT 50;

WITH matched AS MATERIALIZED (
    SELECT number, tree_id FROM search_documents
    WHERE words @@ '(''=ada'' | ''*'') & ''leaf'':*'::text::tsquery
  AND NOT head @@ '(''=ada'' | ''*'') & ''leaf'':*'::text::tsquery
      AND number < 9223372036854775807)
SELECT number, id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM (SELECT number, tree_id FROM matched ORDER BY number DESC LIMIT least(50, 1000)) AS page
JOIN trees ON trees.id = page.tree_id
WHERE true AND (owner_id = 'ada' OR visibility = 'shared') AND deleted_at IS NULL
ORDER BY number DESC;

SELECT tree_id FROM search_documents WHERE version < 2 ORDER BY version, number LIMIT 50 FOR UPDATE;

SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at,
       (SELECT nodes FROM tree_revisions
        WHERE tree_id = trees.id AND tree_revisions.revision = trees.revision) AS nodes
FROM trees WHERE id = '00000000-0000-7000-8000-000000000071';

SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at,
       (SELECT nodes FROM tree_revisions
        WHERE tree_id = trees.id AND tree_revisions.revision = trees.revision) AS nodes
FROM trees WHERE id = '00000000-0000-7000-8000-000000000072' AND (owner_id = 'ada' OR (visibility = 'shared' AND deleted_at IS NULL));

SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM trees WHERE id = '00000000-0000-7000-8000-000000000071' AND (owner_id = 'ada' OR (visibility = 'shared' AND deleted_at IS NULL));

SELECT revision, visibility, deleted_at IS NOT NULL, etag, folder_id
FROM trees WHERE id = '00000000-0000-7000-8000-000000000071' AND owner_id = 'ada';

SELECT * FROM (SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
               FROM trees WHERE owner_id = 'ada'
               AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 50) AS own
UNION ALL SELECT * FROM (SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
               FROM trees WHERE visibility = 'shared'
               AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 50) AS shared WHERE owner_id <> 'ada'
ORDER BY created_at DESC, id DESC LIMIT 50;

SELECT * FROM (SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
               FROM trees WHERE owner_id = 'ada'
               AND deleted_at IS NULL AND category_id = '00000000-0000-7000-8000-0000000000c1' AND status = 'published'
               AND (created_at, id) < (9000, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY created_at DESC, id DESC LIMIT 50) AS own
UNION ALL SELECT * FROM (SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
               FROM trees WHERE visibility = 'shared'
               AND deleted_at IS NULL AND category_id = '00000000-0000-7000-8000-0000000000c1' AND status = 'published'
               AND (created_at, id) < (9000, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY created_at DESC, id DESC LIMIT 50) AS shared WHERE owner_id <> 'ada'
ORDER BY created_at DESC, id DESC LIMIT 50;

SELECT * FROM (SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
               FROM trees WHERE owner_id = 'ada' AND folder_id = '00000000-0000-7000-8000-0000000000f2'
               AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 50) AS own
ORDER BY created_at DESC, id DESC LIMIT 50;

UPDATE trees SET title = 'oaks', description = '', category_id = '00000000-0000-7000-8000-0000000000c1', folder_id = '00000000-0000-7000-8000-0000000000f2',
       status = 'draft', visibility = 'shared', tags = '[]', revision = 2, node_count = 0,
       etag = 'e2', updated_at = 2000, deleted_at = NULL, purge_at = NULL
WHERE id = '00000000-0000-7000-8000-000000000071' AND owner_id = 'ada' AND etag = 'e1';

INSERT INTO tree_revisions (tree_id, revision, title, description, tags,
                            nodes, node_count, created_at)
VALUES ('00000000-0000-7000-8000-000000000071', 2, 'oaks', '', '[]', '[]', 0, 2000);

SELECT revision, title, description, tags, NULL AS nodes, node_count, created_at
FROM tree_revisions WHERE tree_id = '00000000-0000-7000-8000-000000000071' AND revision < 9 ORDER BY revision DESC LIMIT 50;

SELECT revision, title, description, tags, nodes, node_count, created_at
FROM tree_revisions WHERE tree_id = '00000000-0000-7000-8000-000000000071' AND revision = 2;

DELETE FROM tree_revisions WHERE tree_id = '00000000-0000-7000-8000-000000000071' AND revision <= 1;

WITH RECURSIVE down (id, depth) AS (
    SELECT id, 0 FROM folders WHERE owner_id = 'ada' AND id = '00000000-0000-7000-8000-0000000000f1'
    UNION ALL
    SELECT folders.id, down.depth + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64)
SELECT folders.id, owner_id, parent_id, name, position, etag, created_at, updated_at,
       depth, tree_count
FROM down JOIN folders ON folders.id = down.id;

WITH RECURSIVE down (id, depth) AS (
    SELECT id, 0 FROM folders WHERE owner_id = 'ada' AND parent_id IS NULL
    UNION ALL
    SELECT folders.id, down.depth + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64)
SELECT folders.id, owner_id, parent_id, name, position, etag, created_at, updated_at,
       depth, tree_count
FROM down JOIN folders ON folders.id = down.id;

WITH RECURSIVE down (id, depth) AS (
    SELECT '00000000-0000-7000-8000-0000000000f1'::uuid, 0
    UNION ALL
    SELECT folders.id, down.depth + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64)
SELECT count(*) FROM (
    SELECT 1 FROM down JOIN trees ON trees.folder_id = down.id LIMIT 10001) AS held;

WITH RECURSIVE down (id, level) AS (
    SELECT '00000000-0000-7000-8000-0000000000f1'::uuid, 1 UNION ALL SELECT folders.id, down.level + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.level < 64)
SELECT created_at, id FROM trees WHERE owner_id = 'ada' AND deleted_at IS NULL
  AND coalesce(folder_id) = ANY (ARRAY(SELECT id FROM down))
  AND (created_at, id) > (0, '00000000-0000-0000-0000-000000000000')
ORDER BY created_at, id LIMIT 100;

SELECT 1 FROM trees WHERE folder_id = '00000000-0000-7000-8000-0000000000f2' LIMIT 1;

INSERT INTO change_inbox (at, resource, resource_id, owner_id, own_kind, shared_kind, mark)
SELECT at, resource, resource_id, owner_id, own_kind, shared_kind, mark
FROM unnest(ARRAY[1000]::bigint[], ARRAY['tree']::text[], ARRAY['00000000-0000-7000-8000-000000000071']::uuid[],
            ARRAY['ada']::text[], ARRAY['created']::text[], ARRAY['created']::text[],
            ARRAY['e1']::text[]) WITH ORDINALITY
     AS written (at, resource, resource_id, owner_id, own_kind, shared_kind, mark, place)
ORDER BY place;

SELECT 1 FROM change_inbox ORDER BY place LIMIT 1;

WITH moved AS (
    DELETE FROM change_inbox WHERE place IN (
        SELECT place FROM change_inbox ORDER BY place LIMIT 1000)
    RETURNING place, at, resource, resource_id, owner_id, own_kind, shared_kind, mark)
INSERT INTO changes (seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark)
SELECT (SELECT MAX(seq) FROM changes) + row_number() OVER (ORDER BY place),
       at, resource, resource_id, owner_id, own_kind, shared_kind, mark FROM moved;

SELECT seq, mark FROM changes ORDER BY seq DESC LIMIT 1;

SELECT mark FROM changes WHERE seq = 1;

SELECT seq, at FROM changes ORDER BY seq LIMIT 50;

SELECT seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark
FROM changes WHERE seq > 0 ORDER BY seq LIMIT 50;

SELECT * FROM (SELECT seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark
               FROM changes WHERE owner_id = 'ada' AND seq > 0
               ORDER BY seq LIMIT 50) AS arm_0
UNION ALL SELECT * FROM (SELECT seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark
               FROM changes WHERE owner_id IS NULL AND seq > 0
               ORDER BY seq LIMIT 50) AS arm_1
UNION ALL SELECT * FROM (SELECT seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark
               FROM changes WHERE owner_id <> 'ada' AND shared_kind IS NOT NULL AND seq > 0
               ORDER BY seq LIMIT 50) AS arm_2
ORDER BY seq LIMIT 50;

SELECT id, owner_id, parent_id, name, position, etag, created_at, updated_at
FROM folders WHERE id = '00000000-0000-7000-8000-0000000000f1';

SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM trees WHERE id = '00000000-0000-7000-8000-000000000071' AND deleted_at IS NULL;

DELETE FROM changes WHERE seq <= 1;

INSERT INTO imports (owner_id, key, created_count, digest, expires_at)
SELECT 'ada'::text, 'import-1'::text, 500::bigint, decode('00', 'hex')::bytea, 5000::bigint
WHERE 0::bigint = 0 OR EXISTS (SELECT 1 FROM imports WHERE owner_id = 'ada' AND key = 'import-1')
ON CONFLICT (owner_id, key) DO UPDATE SET created_count = excluded.created_count,
    digest = excluded.digest, expires_at = excluded.expires_at
WHERE CASE WHEN imports.expires_at > 1000 THEN imports.created_count ELSE 0 END = 0;

SELECT created_count, digest FROM imports
WHERE owner_id = 'ada' AND key = 'import-1' AND expires_at > 1000;

DELETE FROM imports WHERE (owner_id, key) IN
    (SELECT owner_id, key FROM imports WHERE expires_at <= 9000 ORDER BY expires_at LIMIT 100
     FOR UPDATE SKIP LOCKED);

UPDATE trees SET category_id = '00000000-0000-7000-8000-0000000000c2', etag = 'e3', updated_at = greatest(updated_at, 3000)
WHERE id IN (SELECT id FROM trees WHERE category_id = '00000000-0000-7000-8000-0000000000c1' ORDER BY id LIMIT 1000 FOR UPDATE)
RETURNING id, owner_id, visibility, deleted_at IS NOT NULL AS deleted;

SELECT 1 FROM trees WHERE category_id = '00000000-0000-7000-8000-0000000000c2' LIMIT 1;

DELETE FROM categories WHERE id = '00000000-0000-7000-8000-0000000000c1';

WITH RECURSIVE down (id, depth) AS (
    SELECT '00000000-0000-7000-8000-0000000000f1'::uuid, 0
    UNION ALL
    SELECT folders.id, down.depth + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64)
UPDATE trees SET folder_id = NULL, etag = 'e4', updated_at = greatest(updated_at, 4000),
       deleted_at = 4000, purge_at = 5000
WHERE id IN (SELECT trees.id FROM trees JOIN down ON trees.folder_id = down.id
             ORDER BY trees.id FOR UPDATE OF trees)
RETURNING id, visibility;

UPDATE search_documents SET head = '', words = '' WHERE tree_id = ANY(ARRAY['00000000-0000-7000-8000-000000000071']::uuid[]);

WITH RECURSIVE down (id, depth) AS (
    SELECT '00000000-0000-7000-8000-0000000000f2'::uuid, 0
    UNION ALL
    SELECT folders.id, down.depth + 1 FROM down
    JOIN folders ON folders.parent_id = down.id WHERE down.depth < 64)
DELETE FROM folders WHERE id IN (SELECT id FROM down) RETURNING id;

DELETE FROM folders WHERE id = '00000000-0000-7000-8000-0000000000f1';

SELECT id, owner_id, title, description, category_id, folder_id, status, visibility, tags,
       revision, node_count, etag, created_at, updated_at, deleted_at, purge_at
FROM trees WHERE owner_id = 'ada' AND deleted_at IS NOT NULL AND purge_at > 1000
  AND (deleted_at, id) < (9000, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY deleted_at DESC, id DESC LIMIT 50;

DELETE FROM trees WHERE id IN (
    SELECT id FROM trees WHERE purge_at <= 9000 ORDER BY purge_at, id LIMIT 100
    FOR UPDATE SKIP LOCKED);
