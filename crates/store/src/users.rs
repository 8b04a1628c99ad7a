//! Accounts.

use rand::RngExt;
use serde::Serialize;

use crate::error::Error;
use crate::store::{Store, now_ms};

/// Letters and digits that cannot be mistaken for one another.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Someone with an account, as everyone may see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct User {
    pub id: String,
    pub name: String,
}

impl Store {
    /// Make an account. `password_hash` is stored as it is.
    ///
    /// Errors: `Conflict` when the name is taken, in whatever case.
    pub async fn create_user(&self, name: &str, password_hash: &str) -> Result<User, Error> {
        let user = User { id: random_id(), name: name.to_string() };
        let query = sqlx::query(
            "INSERT INTO users (id, name, name_key, password_hash, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&user.id)
        .bind(name)
        .bind(name.to_lowercase())
        .bind(password_hash)
        .bind(now_ms());
        match self.write("create a user", async |db| query.execute(db).await).await {
            Ok(_) => Ok(user),
            Err(Error::Conflict { .. }) => Err(Error::conflict(format!("the name {name} is taken"))),
            Err(error) => Err(error),
        }
    }

    /// The account of that name, in whatever case, with its password hash.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<(User, String)>, Error> {
        let query = sqlx::query_as("SELECT id, name, password_hash FROM users WHERE name_key = $1");
        let query = query.bind(name.to_lowercase());
        let row: Option<(String, String, String)> =
            self.read("look up a user by name", async |db| query.fetch_optional(db).await).await?;
        Ok(row.map(|(id, name, password_hash)| (User { id, name }, password_hash)))
    }

    /// The account of that id.
    pub async fn user(&self, id: &str) -> Result<Option<User>, Error> {
        let query = sqlx::query_as("SELECT id, name FROM users WHERE id = $1").bind(id);
        let row: Option<(String, String)> =
            self.read("look up a user", async |db| query.fetch_optional(db).await).await?;
        Ok(row.map(|(id, name)| User { id, name }))
    }
}

/// 13 characters: 64 bits of chance, near enough.
fn random_id() -> String {
    let mut rng = rand::rng();
    (0..13).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}
