//! The door of the rooms: one WebSocket a viewer, joined to a [`room::Connection`].

pub mod socket;
