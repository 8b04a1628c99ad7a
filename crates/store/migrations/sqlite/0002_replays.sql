-- Replays, and room events by capture time. Times are Unix milliseconds.

CREATE TABLE replays (
    broadcast_id TEXT   NOT NULL PRIMARY KEY REFERENCES broadcasts (id), -- a broadcast has at most one
    visibility   TEXT   NOT NULL CHECK (visibility IN ('public', 'unlisted', 'private')), -- set apart from the broadcast's
    state        TEXT   NOT NULL CHECK (state IN ('WAITING', 'RECORDING', 'READY', 'DELETING')), -- see ReplayState
    duration_ms  BIGINT NOT NULL, -- of what is stored
    bytes        BIGINT NOT NULL, -- of what is stored
    lost_ms      BIGINT NOT NULL, -- media that could not be stored
    captured_ms  BIGINT,          -- capture time of the first frame; null before there is one
    finished_ms  BIGINT           -- when it became READY; null before
);
CREATE INDEX replays_by_state ON replays (state, captured_ms);

-- Capture time of what the sender was seeing; null in events of the release before, and where nobody saw anything.
ALTER TABLE room_events ADD COLUMN captured_ms BIGINT;
CREATE INDEX room_events_by_capture ON room_events (broadcast_id, COALESCE(captured_ms, at_ms));
