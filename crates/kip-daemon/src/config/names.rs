//! Names and labels as Kubernetes accepts them.
//!
//! Rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/> and
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.

/// Longest DNS label, and longest value or name part of a label.
pub const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

/// Checks a DNS label (RFC 1123): names of containers and namespaces, and what must fit a label's value.
///
/// # Errors
/// Says which rule is broken.
pub fn dns_label(name: &str) -> Result<(), String> {
    if name.len() > LABEL_MAX {
        return Err(format!(
            "has {} characters, at most {LABEL_MAX} are allowed",
            name.len()
        ));
    }
    label_characters(name)
}

/// The rules of a DNS label but for its length: the parts of a subdomain are limited only together.
fn label_characters(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(wrong) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        return Err(format!("has {wrong:?}; only a-z, 0-9 and '-' are allowed"));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err("must begin and end with a letter or digit".to_owned());
    }
    Ok(())
}

/// Checks a DNS subdomain: names of most objects, and the prefix of a label's key.
///
/// # Errors
/// Says which rule is broken.
pub fn dns_subdomain(name: &str) -> Result<(), String> {
    if name.len() > SUBDOMAIN_MAX {
        return Err(format!(
            "has {} characters, at most {SUBDOMAIN_MAX} are allowed",
            name.len()
        ));
    }
    for part in name.split('.') {
        label_characters(part).map_err(|wrong| {
            if name.contains('.') {
                format!("part {part:?} {wrong}")
            } else {
                wrong
            }
        })?;
    }
    Ok(())
}

/// Checks the key of a label or an annotation: `[prefix/]name`.
///
/// # Errors
/// Says which rule is broken.
pub fn qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            dns_subdomain(prefix).map_err(|wrong| format!("prefix {prefix:?} {wrong}"))?;
            name
        }
    };
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    label_text(name)
}

/// Checks the value of a label; it may be empty.
///
/// # Errors
/// Says which rule is broken.
pub fn label_value(value: &str) -> Result<(), String> {
    if value.is_empty() {
        Ok(())
    } else {
        label_text(value)
    }
}

fn label_text(text: &str) -> Result<(), String> {
    if text.len() > LABEL_MAX {
        return Err(format!(
            "has {} characters, at most {LABEL_MAX} are allowed",
            text.len()
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(wrong) = text.chars().find(|c| !allowed(*c)) {
        return Err(format!(
            "has {wrong:?}; only letters, digits, '-', '_' and '.' are allowed"
        ));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !edge(text.chars().next()) || !edge(text.chars().last()) {
        return Err("must begin and end with a letter or digit".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_kubernetes() {
        let long = "a".repeat(64);
        for (name, label, subdomain) in [
            ("a", true, true),
            ("a-1", true, true),
            ("1a", true, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("a.b", false, true),
            ("a..b", false, false),
            (".a", false, false),
            ("ä", false, false),
            (long.as_str(), false, true),
        ] {
            assert_eq!(dns_label(name).is_ok(), label, "label {name:?}");
            assert_eq!(dns_subdomain(name).is_ok(), subdomain, "subdomain {name:?}");
        }
        assert!(dns_subdomain(&"a".repeat(254)).is_err());
        assert!(dns_subdomain(&format!("{}ä{}", "a".repeat(62), "b".repeat(9))).is_err());
    }

    #[test]
    fn keys_and_values_of_labels() {
        for key in ["a", "A_b.c-D", "example.com/role", "kubernetes.io/os"] {
            assert_eq!(qualified_name(key), Ok(()), "{key}");
        }
        for key in ["", "/a", "a/", "a/b/c", "Example.com/a", "a b", "-a"] {
            assert!(qualified_name(key).is_err(), "{key}");
        }
        assert_eq!(label_value(""), Ok(()));
        assert!(label_value("a b").is_err());
        assert!(label_value(&"a".repeat(64)).is_err());
    }
}
