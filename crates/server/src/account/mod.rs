//! Who somebody is: names and passwords, and the sign-in a browser carries.

pub mod cookie;
pub mod name;
pub mod password;
