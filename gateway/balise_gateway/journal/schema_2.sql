-- The journal, from schema 1 to schema 2. Never edited: a change is a schema_3.sql beside it.
-- As in schema 1: each row ends in `crc`, times are UTC milliseconds, NULL is "not known".

-- What left this gateway, when, to whom and for what: each delivery (`log`, and the envelopes first_seq to last_seq),
-- and each answer to a reader (then these three are NULL).
CREATE TABLE ledger (
  ledger INTEGER PRIMARY KEY, at_utc_ms INTEGER, recipient TEXT NOT NULL, purpose TEXT NOT NULL, log INTEGER,
  first_seq INTEGER, last_seq INTEGER, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;

-- Rows that a hub of rows refused, by their place in their envelope, with its reason.
CREATE TABLE parked_row (
  log INTEGER NOT NULL, seq INTEGER NOT NULL, row INTEGER NOT NULL, reason TEXT NOT NULL, crc INTEGER NOT NULL,
  UNIQUE (log, seq, row)) STRICT;

-- Which nodes and times an envelope of the home log holds, so that a question about a day opens few envelopes.
CREATE TABLE span (
  seq INTEGER NOT NULL, node BLOB NOT NULL, first_utc_ms INTEGER, last_utc_ms INTEGER, rows INTEGER NOT NULL,
  crc INTEGER NOT NULL, UNIQUE (seq, node)) STRICT;

-- One channel of one node (its key id, or the id of a foreign device) in one window of time: `n` values of `expected`,
-- in the channel's unit; the three values are NULL when n is 0.
CREATE TABLE aggregate (
  node BLOB NOT NULL, channel TEXT NOT NULL, window_s INTEGER NOT NULL, start_utc_ms INTEGER NOT NULL,
  n INTEGER NOT NULL, expected INTEGER NOT NULL, mean REAL, least REAL, most REAL, crc INTEGER NOT NULL,
  UNIQUE (node, channel, window_s, start_utc_ms)) STRICT;

-- The leaf hash of an envelope that was dropped to make room: the log's checkpoints and proofs stay possible.
CREATE TABLE leaf (
  log INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, crc INTEGER NOT NULL, UNIQUE (log, seq)) STRICT;

-- What a hub holds of its log beyond the first envelope that it lacks: one that it refused holds up no other.
CREATE TABLE held (
  log INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, crc INTEGER NOT NULL,
  UNIQUE (log, first_seq)) STRICT;

-- Readings that a hub's log has gone past and that wait, because its grant narrows time (grants/waiting.py).
CREATE TABLE withheld (
  log INTEGER NOT NULL, entry INTEGER NOT NULL, node BLOB NOT NULL, boot INTEGER NOT NULL, digest BLOB NOT NULL,
  rows INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, UNIQUE (log, entry)) STRICT;
