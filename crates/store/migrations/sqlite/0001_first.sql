-- Everything remembered by the first release. Times are Unix milliseconds, ids are opaque text.

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY, -- 13 characters, random
    name          TEXT   NOT NULL,             -- as the person wrote it
    name_key      TEXT   NOT NULL UNIQUE,      -- the name in lower case: names differ by more than case
    password_hash TEXT   NOT NULL,             -- PHC string (argon2id), made and checked by the server
    created_ms    BIGINT NOT NULL              -- when the account was made
);

CREATE TABLE sessions (
    token_hash BLOB   NOT NULL PRIMARY KEY,           -- SHA-256 of the cookie's token; the token is not stored
    user_id    TEXT   NOT NULL REFERENCES users (id), -- who is signed in
    created_ms BIGINT NOT NULL,                       -- when they signed in
    expires_ms BIGINT NOT NULL,                       -- from here on the session is worth nothing
    seen_ms    BIGINT NOT NULL                        -- last use, to the minute
);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);

CREATE TABLE broadcasts (
    id             TEXT   NOT NULL PRIMARY KEY,           -- 13 characters, public, in every address
    owner_id       TEXT   NOT NULL REFERENCES users (id), -- the broadcaster
    title          TEXT   NOT NULL,                       -- one line
    lat            DOUBLE PRECISION,                      -- degrees north; null when no place was given
    lng            DOUBLE PRECISION,                      -- degrees east; null exactly when lat is
    visibility     TEXT   NOT NULL CHECK (visibility IN ('public', 'unlisted')), -- unlisted: not in lists
    key_hash       BLOB   NOT NULL UNIQUE,                -- SHA-256 of the stream key; the key is not stored
    state          TEXT   NOT NULL CHECK (state IN ('NOT_STARTED', 'RUNNING', 'ENDED', 'TIMED_OUT')), -- see State
    created_ms     BIGINT NOT NULL,                       -- when it was announced
    started_ms     BIGINT,                                -- first RUNNING; null before
    ended_ms       BIGINT,                                -- ENDED or TIMED_OUT; null before
    interrupted_ms BIGINT,                                -- RUNNING, but without its publisher since then; else null
    CHECK ((lat IS NULL) = (lng IS NULL))
);
CREATE INDEX broadcasts_by_state ON broadcasts (state, started_ms);
CREATE INDEX broadcasts_by_owner ON broadcasts (owner_id, created_ms);

CREATE TABLE room_events (
    broadcast_id TEXT   NOT NULL REFERENCES broadcasts (id), -- the room
    epoch        TEXT   NOT NULL, -- one unbroken numbering; its text sorts by the time it began
    event_offset BIGINT NOT NULL, -- 1, 2, 3 ... within the epoch, without holes
    kind         TEXT   NOT NULL, -- 'comment', 'state': chosen by the room
    body         TEXT   NOT NULL, -- JSON of the kind; the database does not look inside
    at_ms        BIGINT NOT NULL, -- when the room accepted it
    PRIMARY KEY (broadcast_id, epoch, event_offset)
) WITHOUT ROWID;

CREATE TABLE hearts (
    broadcast_id TEXT   NOT NULL REFERENCES broadcasts (id), -- the room
    at_s         BIGINT NOT NULL,                            -- Unix second of capture of what the senders saw
    colour0      BIGINT NOT NULL,                            -- hearts of the first colour in that second
    colour1      BIGINT NOT NULL,                            -- ... of the second
    colour2      BIGINT NOT NULL,                            -- ... of the third
    colour3      BIGINT NOT NULL,                            -- ... of the fourth
    colour4      BIGINT NOT NULL,                            -- ... of the fifth
    colour5      BIGINT NOT NULL,                            -- ... of the sixth
    PRIMARY KEY (broadcast_id, at_s)
) WITHOUT ROWID;

CREATE TABLE heart_totals (
    broadcast_id TEXT   NOT NULL PRIMARY KEY REFERENCES broadcasts (id), -- the room
    total        BIGINT NOT NULL                                         -- sum over hearts, kept beside it
) WITHOUT ROWID;
