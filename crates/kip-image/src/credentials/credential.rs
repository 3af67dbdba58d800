//! A credential, which never shows what it holds unless it is asked.

use std::fmt;

/// What a client shows to a registry.
///
/// `Debug` shows none of it, and there is no `Display`.
///
/// ```
/// use kip_image::Credential;
///
/// let credential = Credential::new("robot", "hunter2");
/// assert_eq!((credential.username(), credential.password()), ("robot", "hunter2"));
/// assert_eq!(format!("{credential:?}"), "Credential { username: \"…\", password: \"…\", identity_token: None }");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credential {
    username: Box<str>,
    password: Box<str>,
    identity_token: Option<Box<str>>,
}

impl Credential {
    /// A user name and a password, either of which may be empty.
    pub fn new(username: impl Into<Box<str>>, password: impl Into<Box<str>>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            identity_token: None,
        }
    }

    /// The same, with an identity token.
    #[must_use]
    pub fn with_identity_token(self, token: impl Into<Box<str>>) -> Self {
        Self {
            identity_token: Some(token.into()),
            ..self
        }
    }

    /// The user name; empty if there is none.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password; empty if there is none.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The token that Docker keeps in place of a password where a registry gives one (an OAuth refresh token).
    ///
    /// Kubelet does not read it: with `username` and `password` empty, what it has is an anonymous pull. A client
    /// that uses it can do more than the nodes can.
    pub fn identity_token(&self) -> Option<&str> {
        self.identity_token.as_deref()
    }

    /// Whether there is neither user name nor password nor token, as in `"auths": {"quay.io": {}}`, which `docker
    /// login` leaves behind when a credential helper keeps the rest. Kubelet uses such an entry like any other.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.password.is_empty() && self.identity_token.is_none()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| if text.is_empty() { "" } else { "…" };
        f.debug_struct("Credential")
            .field("username", &shown(&self.username))
            .field("password", &shown(&self.password))
            .field("identity_token", &self.identity_token.as_deref().map(shown))
            .finish()
    }
}
