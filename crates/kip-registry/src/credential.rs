//! Who a request is from.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kip_image::{Keyring, Match, Reference};

/// So much of a user's name is quoted: some registries take a token there.
const USER_MAX: usize = 32;

/// What a registry is told about who asks. To be anonymous is to have none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// User and password, or what takes their place.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that is exchanged for others at the registry's [token server], `identitytoken` in Docker's files.
    ///
    /// [token server]: https://distribution.github.io/distribution/spec/auth/oauth/
    IdentityToken {
        /// The user, where it is known. It is not sent.
        user: Option<String>,
        /// The token.
        token: String,
    },
}

impl Credential {
    /// User and password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic {
            user: user.into(),
            password: password.into(),
        }
    }

    /// An identity token.
    pub fn identity_token(token: impl Into<String>) -> Self {
        Self::IdentityToken {
            user: None,
            token: token.into(),
        }
    }

    /// Those that pull secrets have for an image, in the order in which to try them.
    pub fn all_for(image: &Reference, keyring: &Keyring) -> Vec<Self> {
        let known = keyring.lookup(image).map(Match::credential);
        // `docker login` leaves an empty entry behind where a helper keeps the rest.
        known.filter(|it| !it.is_empty()).map(Self::from).collect()
    }

    /// What may be told of it: its kind and its user.
    pub(crate) fn label(&self) -> String {
        let user = |user: &str| {
            let quote: String = user.chars().take(USER_MAX).collect();
            let more = if quote.len() < user.len() { "…" } else { "" };
            format!("{quote:?}{more}")
        };
        match self {
            Self::Basic { user: name, .. } => format!("user {}", user(name)),
            Self::IdentityToken {
                user: Some(name), ..
            } => format!("identity token of {}", user(name)),
            Self::IdentityToken { user: None, .. } => "identity token".to_owned(),
        }
    }

    /// All that must never be seen of it, in each form in which it is sent.
    pub(crate) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Basic { user, password } => {
                vec![password.clone(), encode_basic(user, password)]
            }
            Self::IdentityToken { token, .. } => vec![token.clone()],
        }
    }
}

impl From<&kip_image::Credential> for Credential {
    /// That of a pull secret. Where it has an identity token, that is what its issuer meant to be used.
    fn from(known: &kip_image::Credential) -> Self {
        let user = known.username();
        match known.identity_token() {
            Some(token) => Self::IdentityToken {
                user: Some(user.to_owned()).filter(|user| !user.is_empty()),
                token: token.to_owned(),
            },
            None => Self::basic(user, known.password()),
        }
    }
}

/// What follows `Basic` in a header.
pub(crate) fn encode_basic(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

impl fmt::Debug for Credential {
    /// Without password and token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, …)", self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_secret_gives_what_its_issuer_meant_to_be_used() {
        let plain = kip_image::Credential::new("bob", "secret");
        assert_eq!(Credential::from(&plain), Credential::basic("bob", "secret"));
        let token = kip_image::Credential::new("bob", "").with_identity_token("t");
        let expected = Credential::IdentityToken {
            user: Some("bob".to_owned()),
            token: "t".to_owned(),
        };
        assert_eq!(Credential::from(&token), expected);
        let nobody = kip_image::Credential::new("", "").with_identity_token("t");
        assert_eq!(Credential::from(&nobody), Credential::identity_token("t"));
    }
}
