//! A file of users and argon2 hashes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use tokio::sync::Semaphore;

use super::LoginError;

/// Passwords that are checked at once: each takes a core and tens of MiB for tens of milliseconds.
const AT_ONCE: usize = 2;
/// Bytes of a password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Users and their hashes.
pub struct Passwords {
    hashes: Arc<HashMap<String, String>>,
    turns: Semaphore,
}

impl Passwords {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Passwords, LoginError> {
        let wrong = |what: String| LoginError::of_file("passwords", path, what);
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut hashes = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let sound = line
                .split_once(':')
                .filter(|(_, hash)| PasswordHash::new(hash).is_ok());
            let Some((user, hash)) = sound else {
                let what = "is not USER:HASH, with a hash as argon2 prints it ($argon2id$…)";
                return Err(wrong(format!("line {number} {what}")));
            };
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        Ok(Passwords {
            hashes: Arc::new(hashes),
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Whether it is the user's password. One that does not exist takes as long as one that does.
    pub async fn check(&self, user: &str, password: &str) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let Ok(_turn) = self.turns.acquire().await else {
            return false;
        };
        let (hashes, user) = (Arc::clone(&self.hashes), user.to_owned());
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let known = hashes.get(&user);
            let Some(hash) = known.or_else(|| hashes.values().next()) else {
                return false;
            };
            let is_it = PasswordHash::new(hash).is_ok_and(|hash| {
                let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
                verified.is_ok()
            });
            is_it && known.is_some()
        });
        checked.await.unwrap_or(false)
    }
}
