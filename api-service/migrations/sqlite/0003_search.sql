-- Which row of the index is which tree's. The number never changes, so a search that goes on after
-- one finds no tree twice.
CREATE TABLE search_documents (
    number  INTEGER NOT NULL PRIMARY KEY,
    tree_id BLOB    NOT NULL UNIQUE REFERENCES trees (id) ON DELETE CASCADE,
    -- Of the rules by which its words were made; 0: not made yet.
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX search_documents_by_version ON search_documents (version, number);

-- Whatever is there already is indexed when the service starts. The older, the lesser its number.
INSERT INTO search_documents (tree_id, version) SELECT id, 0 FROM trees ORDER BY created_at, id;

-- Words that are ready to be compared: the tokenizer only splits at spaces. `scope` is who may find
-- it, `head` is title and tags, `text` the rest.
CREATE VIRTUAL TABLE search_index USING fts5 (
    scope, head, text,
    content = '', contentless_delete = 1, detail = column, prefix = '1 2 3',
    tokenize = 'ascii'
);
