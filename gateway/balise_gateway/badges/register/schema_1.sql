-- The register of cards, schema 1. Never edited: a change is a schema_2.sql beside it.

CREATE TABLE member (
  id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
  client TEXT NOT NULL, -- what the home wants to find again in bills: an organisation's number; may be empty
  name TEXT NOT NULL, -- may be empty: nothing here needs it
  ended_day INTEGER -- days since 1970-01-01; NULL while active
);

CREATE TABLE card (
  number TEXT NOT NULL PRIMARY KEY CHECK (length(number) = 10),
  uid_token BLOB UNIQUE CHECK (length(uid_token) = 16), -- never a UID: HMAC with the scan key
  grade INTEGER NOT NULL CHECK (grade BETWEEN 0 AND 2),
  member TEXT REFERENCES member (id),
  state TEXT NOT NULL CHECK (state IN ('blank', 'active', 'lost', 'ended', 'replaced')),
  issued_day INTEGER,
  last_day INTEGER, -- the card is good until the end of this day; NULL: until it is revoked
  changed_day INTEGER NOT NULL,
  CHECK (state <> 'active' OR (member IS NOT NULL AND issued_day IS NOT NULL)),
  CHECK (state <> 'blank' OR member IS NULL)
);

CREATE INDEX card_of_member ON card (member);

CREATE TABLE sun (
  number TEXT NOT NULL PRIMARY KEY, -- also of a card that a restored register does not know
  counter INTEGER NOT NULL -- the highest reading counter that was accepted
);
