PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE notebooks (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL UNIQUE, meta);
INSERT INTO notebooks VALUES(1,'Field; notes',NULL);
CREATE TABLE "notes" (
  id INTEGER PRIMARY KEY,
  notebook INTEGER NOT NULL REFERENCES notebooks(id) ON DELETE CASCADE,
  body TEXT DEFAULT '',
  pinned BOOLEAN CHECK (pinned IN (0, 1)) DEFAULT 0,
  FOREIGN KEY (notebook) REFERENCES notebooks (id)
) STRICT;
INSERT INTO "notes" VALUES(1,1,'it''s a
second line; with CREATE TABLE in it',0);
CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes');
CREATE INDEX notes_notebook ON notes (notebook, id DESC);
CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN
  INSERT INTO notes_fts(rowid, body) VALUES (new.id, new.body);
END;
CREATE VIEW pinned AS SELECT id, body FROM notes WHERE pinned = 1;
COMMIT;
