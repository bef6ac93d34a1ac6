//! User names, and passwords in their two forms: plain (never stored) and hashed (never shown).

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use zxcvbn::{Score, zxcvbn};

/// A user name of acceptable form. Two names that differ only in case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Username(String);

impl Username {
    /// # Errors
    ///
    /// How to mend the name.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        let ends = |c: char| c.is_ascii_alphanumeric();
        let inner = |c: char| c.is_ascii_alphanumeric() || ".-_@+".contains(c);
        if name.is_empty() {
            Err("must not be empty")
        } else if name.len() > MAX_USERNAME_CHARS {
            Err("must be at most 64 characters long")
        } else if !name.chars().all(inner) {
            Err("may hold only the letters a to z, digits, and . _ - @ +")
        } else if !name.starts_with(ends) || !name.ends_with(ends) {
            Err("must begin and end with a letter or a digit")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// As it was typed.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared by.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A password as somebody typed it.
#[derive(Clone)]
pub(crate) struct PlainPassword(SecretString);

impl PlainPassword {
    /// A password to check against a stored one. Its strength is not judged: it may be older than
    /// the rules.
    ///
    /// # Errors
    ///
    /// How to mend it.
    pub(crate) fn presented(password: String) -> Result<Self, &'static str> {
        let password = SecretString::from(password);
        if password.expose_secret().is_empty() {
            Err("must not be empty")
        } else if password.expose_secret().len() > MAX_PASSWORD_BYTES {
            Err("must be at most 256 characters long")
        } else {
            Ok(Self(password))
        }
    }

    /// A password that is to be set, judged by NIST SP 800-63B section 3.1.1.2: by its length and by
    /// how easily it is guessed, never by the kinds of characters in it.
    ///
    /// # Errors
    ///
    /// How to mend it.
    pub(crate) fn chosen(password: String, username: &str) -> Result<Self, String> {
        let password = Self::presented(password)?;
        let plain = password.expose();
        let count = plain.chars().count();
        if count < MIN_PASSWORD_CHARS {
            return Err("must be at least 8 characters long".into());
        }
        if count > MAX_PASSWORD_CHARS {
            return Err("must be at most 256 characters long".into());
        }
        // The estimator's cost grows with length, and what is long is judged by its beginning.
        let judged: String = plain.chars().take(JUDGED_CHARS).collect();
        let estimate = zxcvbn(&judged, &[username, "evergreen"]);
        if estimate.score() < Score::Two {
            let why = estimate
                .feedback()
                .and_then(zxcvbn::feedback::Feedback::warning)
                .map_or_else(String::new, |warning| format!(" ({warning})"));
            return Err(format!(
                "is too easily guessed{why}; choose a longer one, such as four unrelated words"
            ));
        }
        Ok(password)
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainPassword([redacted])")
    }
}

/// A password's hash in PHC string format: the only form that storage takes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn from_phc(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

const MAX_USERNAME_CHARS: usize = 64;
const MIN_PASSWORD_CHARS: usize = 8;
const MAX_PASSWORD_CHARS: usize = 256;
/// A character takes at most four bytes of UTF-8.
const MAX_PASSWORD_BYTES: usize = MAX_PASSWORD_CHARS * 4;
const JUDGED_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_compared_without_case_and_shown_as_typed() {
        let name = Username::parse("Ada.Lovelace").unwrap();
        assert_eq!(name.as_str(), "Ada.Lovelace");
        assert_eq!(name.key(), Username::parse("ada.LOVELACE").unwrap().key());
    }

    #[test]
    fn bad_names_say_how_to_mend_them() {
        for (name, mend) in [
            ("", "empty"),
            (&*"a".repeat(65), "64"),
            ("a b", "only"),
            ("a\0b", "only"),
            ("ädä", "only"),
            (".a", "begin"),
            ("a-", "end"),
        ] {
            let said = Username::parse(name).unwrap_err();
            assert!(said.contains(mend), "{name:?}: {said}");
        }
    }

    #[test]
    fn a_chosen_password_is_judged_by_length_and_guessability_alone() {
        let judge = |password: &str| PlainPassword::chosen(password.into(), "ada");
        assert!(judge("").unwrap_err().contains("empty"));
        assert!(judge("short-1").unwrap_err().contains("at least 8"));
        assert!(judge(&"long ".repeat(60)).unwrap_err().contains("at most 256"));
        assert!(judge(&"x".repeat(10 << 20)).unwrap_err().contains("at most 256"));
        assert!(judge("password").unwrap_err().contains("guessed"));
        assert!(judge("ada12345").unwrap_err().contains("guessed"));
        assert!(judge("correct horse battery staple").is_ok());
        assert!(judge("evergreen-demo-1").is_ok());
        assert!(judge("пароль-из-слов-сосна").is_ok());
    }

    #[test]
    fn debug_shows_neither_form() {
        let plain = PlainPassword::presented("hunter22".into()).unwrap();
        let hash = PasswordHash::from_phc("$argon2id$secret".into());
        assert!(!format!("{plain:?}{hash:?}").contains("hunter"));
        assert!(!format!("{plain:?}{hash:?}").contains("argon2"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Username::parse(&text);
            let _ = PlainPassword::chosen(text, "ada");
        }
    }
}
