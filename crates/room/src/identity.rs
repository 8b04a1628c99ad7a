//! Who comes in.

use store::User;

use crate::close::JoinError;
use crate::event::{Person, Role};
use crate::frame::is_device;
use crate::names;

/// Who comes in, as the server has established it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Signed in by their session, if they are.
    pub user: Option<User>,
    /// They own the broadcast.
    pub is_broadcaster: bool,
    /// The random token that the client keeps, from its hello.
    pub device: String,
}

impl Identity {
    /// The person that others see.
    pub(crate) fn person(self) -> Result<Person, JoinError> {
        let role = match (&self.user, self.is_broadcaster) {
            (Some(_), true) => Role::Broadcaster,
            (Some(_), false) => Role::User,
            (None, _) => Role::Guest,
        };
        if let Some(user) = self.user {
            return Ok(Person { id: user.id, name: user.name, role });
        }
        if !is_device(&self.device) {
            return Err(JoinError::BadHello { what: "device is not 16 to 64 visible ASCII characters" });
        }
        let (id, name) = names::guest(&self.device);
        Ok(Person { id, name, role })
    }
}
