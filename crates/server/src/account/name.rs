//! What a name and a password may be.

use crate::problem::Problem;

const NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=32;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

/// Names are ASCII so that no two look alike.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !NAME_LENGTH.contains(&name.len()) || !letters {
        return Err(Problem::invalid("name: 3 to 32 characters of a-z, 0-9, _ and -"));
    }
    Ok(())
}

/// Length only: rules about characters make passwords worse (NIST SP 800-63B section 3.1.1).
pub fn check_password(password: &str) -> Result<(), Problem> {
    if !PASSWORD_LENGTH.contains(&password.chars().count()) {
        return Err(Problem::invalid("password: 8 to 256 characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_have_bounds() {
        assert!(check_name("ann_3-x").is_ok());
        for name in ["ab", "Ann", "an n", "änn", &"a".repeat(33)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_password("pässwörd").is_ok());
        assert!(check_password("seven77").is_err());
        assert!(check_password(&"x".repeat(257)).is_err());
    }
}
