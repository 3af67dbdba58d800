//! Which credentials are for an image, and in which order they are tried.

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;
use std::slice;

use super::credential::Credential;
use super::pattern::{Key, Pattern, Target};
use super::secret::PullSecret;
use crate::reference::Reference;

/// The key of Docker Hub's credentials, as `docker login` writes it (`https://index.docker.io/v1/`).
const HUB_KEY: &[u8] = b"index.docker.io";

/// The credentials of several pull secrets, ready to be looked up as [kubelet does it][config].
///
/// # Which ones match
/// A key is `[http[s]://]HOST[:PORT][/PATH]`; a path that begins with `/v1/` or `/v2/` loses that.
/// - The host has as many parts between dots as the image's, and each matches: `*` stands for any part or piece of
///   one, never for a dot. Upper and lower case differ.
/// - The port is the same. No port is not 443.
/// - The image's repository begins with the path, if only with a piece of a part: `quay.io/foo` is for
///   `quay.io/foobar/app` too.
///
/// If none matches and the image is of Docker Hub, those with the key `index.docker.io` do. Kubelet takes each registry
/// for Docker Hub whose name has neither `.` nor `:`, `localhost` among them.
///
/// # In which order
/// All that match are tried, one after the other: longer keys of the same beginning first (the keys run backwards in
/// the order of bytes), under one key in the order of the secrets.
///
/// ```
/// use kip_image::{Keyring, PullSecret, Reference, SecretType};
///
/// let data = br#"{"auths": {
///     "quay.io": {"username": "all", "password": "x"},
///     "https://quay.io/org": {"username": "org", "password": "x"},
///     "*.quay.io": {"username": "mirror", "password": "x"}
/// }}"#;
/// let keyring = Keyring::new([PullSecret::parse(SecretType::DockerConfigJson, data)?]);
/// let image = Reference::parse("quay.io/org/app:1").unwrap();
/// let users: Vec<_> = keyring.lookup(&image).map(|found| found.credential().username()).collect();
/// assert_eq!(users, ["org", "all"]);
/// # Ok::<(), kip_image::SecretError>(())
/// ```
///
/// [config]: https://kubernetes.io/docs/concepts/containers/images/#config-json
#[derive(Clone, Default)]
pub struct Keyring {
    /// In the order in which they are tried.
    rules: Box<[Rule]>,
    /// The place of the rule for Docker Hub.
    hub: Option<usize>,
}

/// The credentials under one key.
#[derive(Clone)]
struct Rule {
    key: Key,
    /// None where nothing matches; the credentials may be Docker Hub's all the same.
    pattern: Option<Pattern>,
    owned: Vec<Owned>,
}

#[derive(Clone)]
struct Owned {
    secret: usize,
    credential: Credential,
}

impl Keyring {
    /// Makes one of pull secrets, in the order in which the pod names them. They are of [the pod's own
    /// namespace][pod].
    ///
    /// [The API server][admission] writes those of a ServiceAccount into a pod that names none itself. Kubelet goes on
    /// without a secret that is not there, and says `FailedToRetrieveImagePullSecret` in an [Event][event]; a secret
    /// that it cannot read ends the pull.
    ///
    /// [pod]: https://kubernetes.io/docs/concepts/containers/images/#referring-to-an-imagepullsecrets-on-a-pod
    /// [event]: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/#create-a-pod-that-uses-your-secret
    /// [admission]: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#add-imagepullsecrets-to-a-service-account
    pub fn new(secrets: impl IntoIterator<Item = PullSecret>) -> Self {
        let mut found: Vec<(Key, Owned)> = Vec::new();
        for (secret, content) in secrets.into_iter().enumerate() {
            for (key, credential) in content.into_entries() {
                if let Some(key) = Key::parse(&key) {
                    found.push((key, Owned { secret, credential }));
                }
            }
        }
        // Stable: under one key the order of the secrets stays.
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        let mut rules: Vec<Rule> = Vec::new();
        for (key, owned) in found {
            match rules.last_mut() {
                Some(rule) if rule.key == key => rule.owned.push(owned),
                _ => rules.push(Rule {
                    pattern: key.pattern(),
                    key,
                    owned: vec![owned],
                }),
            }
        }
        Self {
            hub: rules.iter().position(|rule| rule.key.as_bytes() == HUB_KEY),
            rules: rules.into(),
        }
    }

    /// Whether it has no credentials.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The credentials for an image, in the order in which kubelet tries them. None: it pulls without.
    ///
    /// Nothing is allocated.
    pub fn lookup<'k, 'i>(&'k self, image: &'i Reference) -> Matches<'k, 'i> {
        self.matches(Target::of(image), image.name())
    }

    /// The same for the name of an image, `registry/repository`, as kubelet's function takes it: what is not
    /// normalised is not either here, and any text will do.
    pub fn lookup_name<'k, 'i>(&'k self, name: &'i str) -> Matches<'k, 'i> {
        self.matches(Target::parse(name), name)
    }

    fn matches<'k, 'i>(&'k self, target: Option<Target<'i>>, name: &str) -> Matches<'k, 'i> {
        Matches {
            target,
            rules: self.rules.iter(),
            hub: self.hub.filter(|_| is_hub(name)).map(|at| &self.rules[at]),
            current: None,
        }
    }
}

/// Whether kubelet takes the name of an image for one of Docker Hub.
fn is_hub(name: &str) -> bool {
    match name.split_once('/') {
        Some((registry, _)) => {
            matches!(registry, "docker.io" | "index.docker.io")
                || !registry.is_empty() && !registry.contains(['.', ':'])
        }
        None => !name.is_empty(),
    }
}

/// The credentials for an image: see [`Keyring::lookup`].
#[derive(Clone)]
pub struct Matches<'k, 'i> {
    /// None if no rule can match.
    target: Option<Target<'i>>,
    rules: slice::Iter<'k, Rule>,
    /// What is there for Docker Hub, until something is found.
    hub: Option<&'k Rule>,
    current: Option<(&'k Rule, slice::Iter<'k, Owned>)>,
}

/// A credential that is for an image, and where it is from.
#[derive(Clone, Copy)]
pub struct Match<'k> {
    rule: &'k Rule,
    owned: &'k Owned,
}

impl<'k> Match<'k> {
    /// The credential.
    pub fn credential(self) -> &'k Credential {
        &self.owned.credential
    }

    /// Which of the keyring's secrets it is from, counted from 0.
    pub fn secret(self) -> usize {
        self.owned.secret
    }

    /// The key that matched: host, port and path.
    pub fn key(self) -> Cow<'k, str> {
        self.rule.key.show()
    }
}

impl<'k> Iterator for Matches<'k, '_> {
    type Item = Match<'k>;

    fn next(&mut self) -> Option<Match<'k>> {
        loop {
            if let Some((rule, rest)) = &mut self.current
                && let Some(owned) = rest.next()
            {
                return Some(Match { rule, owned });
            }
            let target = self.target.as_ref();
            let fits = |rule: &&Rule| {
                let both = rule.pattern.as_ref().zip(target);
                both.is_some_and(|(pattern, target)| pattern.matches(target))
            };
            let rule = match self.rules.find(fits) {
                Some(rule) => {
                    self.hub = None;
                    rule
                }
                None => self.hub.take()?,
            };
            self.current = Some((rule, rule.owned.iter()));
        }
    }
}

impl FusedIterator for Matches<'_, '_> {}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = |rule: &Rule| rule.owned.len();
        f.debug_map()
            .entries(
                self.rules
                    .iter()
                    .map(|rule| (rule.key.show(), credentials(rule))),
            )
            .finish()
    }
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("key", &self.key())
            .field("secret", &self.secret())
            .field("credential", self.credential())
            .finish()
    }
}

impl fmt::Debug for Matches<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
