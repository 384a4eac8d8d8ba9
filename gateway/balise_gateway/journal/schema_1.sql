-- The journal, schema 1. Never edited: a change is a schema_2.sql beside it, and a migration.
-- Every row ends in `crc`: CRC-32 over the table's name and the other columns (tables.py), because SQLite does not
-- notice a changed byte inside a value, and because it tells a damaged file's rows apart (salvage.py).
-- Times are UTC milliseconds unless a name says otherwise; NULL is "not known".

-- A node, by its key id. `ack_next` is above every acknowledgement count that was ever used under its key; boots below
-- `floor_boot` are refused.
CREATE TABLE node (
  node BLOB PRIMARY KEY, ack_next INTEGER NOT NULL, top_boot INTEGER NOT NULL, floor_boot INTEGER NOT NULL,
  rows INTEGER NOT NULL, latest BLOB NOT NULL, crc INTEGER NOT NULL);

-- A boot of a node: which frames are held (the replay window), and what is known of its time.
CREATE TABLE boot (
  node BLOB NOT NULL, boot INTEGER NOT NULL, contiguous INTEGER NOT NULL, bitmap BLOB NOT NULL, first_tag BLOB,
  anchor BLOB, last_tick_ms INTEGER, last_utc_ms INTEGER, arrived_utc_ms INTEGER, crc INTEGER NOT NULL,
  UNIQUE (node, boot));

-- What columns mean: the manifest's map, by the digest of its bytes; and which manifest a boot calls by which number.
CREATE TABLE manifest (digest BLOB PRIMARY KEY, map BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE boot_manifest (
  node BLOB NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL, crc INTEGER NOT NULL,
  UNIQUE (node, boot, number));

-- Items on their way into the logs, in order of arrival; deleted when every log has them. `only_log`: not for others.
CREATE TABLE entry (
  entry INTEGER PRIMARY KEY, node BLOB NOT NULL, boot INTEGER NOT NULL, kind INTEGER NOT NULL, digest BLOB,
  only_log INTEGER, rows INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);

-- Readings whose manifest has not arrived yet.
CREATE TABLE waiting (
  node BLOB NOT NULL, boot INTEGER NOT NULL, count INTEGER NOT NULL, part INTEGER NOT NULL, number INTEGER NOT NULL,
  rows INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, UNIQUE (node, boot, count, part));

-- A log: what it is called next, up to which entry it has gone, what its hub holds, and its sums for the status.
CREATE TABLE log (
  log INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, cursor INTEGER NOT NULL, next_manifest INTEGER NOT NULL,
  next_domain INTEGER NOT NULL, hub_next INTEGER NOT NULL, rows INTEGER NOT NULL, readings INTEGER NOT NULL,
  bytes INTEGER NOT NULL, crc INTEGER NOT NULL);

-- Numbers given in a log, never given again: manifests, and clock domains (state: 0 no anchor, 1 between, 2 anchored).
CREATE TABLE log_manifest (
  log INTEGER NOT NULL, digest BLOB NOT NULL, number INTEGER NOT NULL, crc INTEGER NOT NULL, UNIQUE (log, digest));
CREATE TABLE log_domain (
  log INTEGER NOT NULL, node BLOB NOT NULL, boot INTEGER NOT NULL, domain INTEGER NOT NULL, state INTEGER NOT NULL,
  crc INTEGER NOT NULL, UNIQUE (log, node, boot));

-- Signed envelopes: written once, before they are first sent, and never changed. `cursor`: entries up to it are in.
CREATE TABLE envelope (
  log INTEGER NOT NULL, seq INTEGER NOT NULL, cursor INTEGER NOT NULL, made_utc_ms INTEGER, rows INTEGER NOT NULL,
  cose BLOB NOT NULL, crc INTEGER NOT NULL, UNIQUE (log, seq));

-- Envelopes that the hub refused, with its reason: kept, told, tried again later, never in the way of others.
CREATE TABLE parked (
  log INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE (log, seq));

-- Frames that were refused: the newest of them, whole or their beginning.
CREATE TABLE refused (
  refused INTEGER PRIMARY KEY, arrived_utc_ms INTEGER, reason TEXT NOT NULL, source TEXT NOT NULL, data BLOB NOT NULL,
  crc INTEGER NOT NULL);

-- Numbers that outlive a restart, by name.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL, crc INTEGER NOT NULL);
