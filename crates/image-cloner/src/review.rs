//! What the API server asks, and what it is answered: [`AdmissionReview`], of `admission.k8s.io/v1`.
//!
//! Only what is needed is read. The answer's patch is Base64, as the API has it.
//!
//! [`AdmissionReview`]: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::{self, Fields};
use crate::slim;

const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// What the API server asks.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Comes back with the answer.
    pub uid: String,
    /// The kind of the object, as the webhook has it.
    #[serde(deserialize_with = "fields::read")]
    pub kind: GroupKind,
    /// Such as `ephemeralcontainers`.
    #[serde(default)]
    pub sub_resource: Option<String>,
    /// The object's name; empty where the API server is to make one.
    #[serde(default)]
    pub name: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// What is done to it.
    pub operation: Operation,
    /// The object as it is to be, of which only what is looked at is read; `null` for a deletion.
    #[serde(default, deserialize_with = "slim::object")]
    pub object: Value,
    /// The object as it is, for an update; the same of it.
    #[serde(default, deserialize_with = "slim::object")]
    pub old_object: Value,
    /// Whether nothing may come of it.
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// A kind, without its version: the fields that matter are where they are in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupKind {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// As in `kind:`.
    pub kind: String,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// Something else is done with it, such as `exec`.
    Connect,
}

/// Why a body is no review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is not the JSON that it should be.
    #[error("the body is no AdmissionReview")]
    Json(#[from] serde_json::Error),
    /// It is another object.
    #[error(
        "the body is a {kind:?} of {version:?}: an AdmissionReview of admission.k8s.io/v1 was expected"
    )]
    OtherKind {
        /// Its `apiVersion`.
        version: String,
        /// Its `kind`.
        kind: String,
    },
    /// It is a review that asks nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Fields<Request>>,
}

/// What is asked, and the version of the API in which it is to be answered.
#[derive(Debug)]
pub struct Asked {
    version: &'static str,
    /// What is asked.
    pub request: Request,
}

/// Reads a review.
///
/// # Errors
/// When it is none, or asks nothing.
pub fn read(body: &[u8]) -> Result<Asked, ReviewError> {
    let Fields::<Head>(head) = serde_json::from_slice(body)?;
    let version = VERSIONS.into_iter().find(|it| *it == head.api_version);
    let (Some(version), "AdmissionReview") = (version, head.kind.as_str()) else {
        return Err(ReviewError::OtherKind {
            version: head.api_version,
            kind: head.kind,
        });
    };
    let Fields(request) = head.request.ok_or(ReviewError::NoRequest)?;
    Ok(Asked { version, request })
}

/// One change of the object ([RFC 6902](https://www.rfc-editor.org/rfc/rfc6902)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Change {
    /// Something is put in the place of something else.
    Replace {
        /// A JSON pointer.
        path: String,
        /// What is to be there.
        value: Value,
    },
    /// Something is put where nothing is, or at the end of a list.
    Add {
        /// A JSON pointer.
        path: String,
        /// What is to be there.
        value: Value,
    },
}

/// What the API server is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why it is refused; `None` where it is not.
    pub refusal: Option<String>,
    /// What is changed.
    pub changes: Vec<Change>,
    /// What whoever made the request is told.
    pub warnings: Vec<String>,
    /// What the audit log is told, by key: a name as of an annotation, without its prefix.
    pub annotations: BTreeMap<&'static str, String>,
    /// What came of each image, in a word; it is not sent.
    pub outcomes: Vec<&'static str>,
    /// Why the object is left alone as a whole, in a word; it is not sent.
    pub left_alone: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    message: &'a str,
}

impl Asked {
    /// The whole answer, as it is sent.
    pub fn answered(&self, answer: &Answer) -> Vec<u8> {
        let is_changed = answer.refusal.is_none() && !answer.changes.is_empty();
        // Texts and numbers can always be written.
        let patch = || serde_json::to_vec(&answer.changes).unwrap_or_default();
        let wire = Wire {
            api_version: self.version,
            kind: "AdmissionReview",
            response: Response {
                uid: &self.request.uid,
                allowed: answer.refusal.is_none(),
                status: answer
                    .refusal
                    .as_deref()
                    .map(|message| Status { code: 403, message }),
                patch: is_changed.then(|| STANDARD.encode(patch())),
                patch_type: is_changed.then_some("JSONPatch"),
                warnings: &answer.warnings,
                audit_annotations: &answer.annotations,
            },
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(request: &Value) -> Vec<u8> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        serde_json::to_vec(&review).unwrap()
    }

    fn request() -> Value {
        json!({
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "requestKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "name": "app", "namespace": "team", "operation": "UPDATE",
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "object": {"spec": {}}, "oldObject": {"spec": {}}, "dryRun": false,
            "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"},
        })
    }

    fn answered(answer: &Answer) -> Value {
        let asked = read(&body(&request())).unwrap();
        serde_json::from_slice(&asked.answered(answer)).unwrap()
    }

    #[test]
    fn a_review_is_read_and_its_version_is_that_of_the_answer() {
        let asked = read(&body(&request())).unwrap();
        assert_eq!(asked.request.operation, Operation::Update);
        assert_eq!(asked.request.kind.kind, "Deployment");
        assert_eq!(asked.request.dry_run, Some(false));
        let old = String::from_utf8(body(&request())).unwrap();
        let old = old.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
        let asked = read(old.as_bytes()).unwrap();
        let answer: Value = serde_json::from_slice(&asked.answered(&Answer::default())).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1beta1");
    }

    #[test]
    fn what_is_no_review_is_refused_in_plain_words() {
        let version = VERSIONS[0];
        let cases = [
            ("", "no AdmissionReview"),
            ("{", "no AdmissionReview"),
            ("[]", "no AdmissionReview"),
            ("{}", "a \"\" of \"\""),
            (
                r#"["admission.k8s.io/v1","AdmissionReview",null]"#,
                "no AdmissionReview",
            ),
            (r#"{"apiVersion":"v1","kind":"Pod"}"#, "a \"Pod\" of \"v1\""),
        ];
        for (body, words) in cases {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{body}: {error}");
        }
        let none = json!({"apiVersion": version, "kind": "AdmissionReview"});
        let error = read(none.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, ReviewError::NoRequest));
        for field in ["uid", "kind", "operation"] {
            let mut request = request();
            request.as_object_mut().unwrap().remove(field);
            let error = read(&body(&request)).unwrap_err();
            assert!(matches!(error, ReviewError::Json(_)), "{field}");
        }
        let mut list = request();
        list["kind"] = json!(["apps", "Deployment"]);
        for request in [
            list,
            json!(["u", {"kind": "Pod"}, null, "", "", "CREATE", null, null, null]),
        ] {
            let error = read(&body(&request)).unwrap_err();
            assert!(matches!(error, ReviewError::Json(_)), "{request}");
        }
    }

    #[test]
    fn an_answer_lets_it_pass_with_what_is_changed() {
        let plain = answered(&Answer::default());
        let uid = &request()["uid"];
        assert_eq!(plain["response"], json!({"uid": uid, "allowed": true}));
        let answer = Answer {
            changes: vec![Change::Replace {
                path: "/a".to_owned(),
                value: json!("y"),
            }],
            warnings: vec!["mind".to_owned()],
            annotations: BTreeMap::from([("decision", "copied".to_owned())]),
            ..Answer::default()
        };
        let response = &answered(&answer)["response"];
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = STANDARD
            .decode(response["patch"].as_str().unwrap())
            .unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        let expected = json!([{"op": "replace", "path": "/a", "value": "y"}]);
        assert_eq!(patch, expected);
        assert_eq!(response["warnings"], json!(["mind"]));
        assert_eq!(response["auditAnnotations"], json!({"decision": "copied"}));
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let answer = Answer {
            refusal: Some("no copy".to_owned()),
            changes: vec![Change::Replace {
                path: "/a".to_owned(),
                value: json!("y"),
            }],
            ..Answer::default()
        };
        let response = &answered(&answer)["response"];
        assert_eq!(response["allowed"], false);
        assert_eq!(response["status"]["message"], "no copy");
        assert!(response["patch"].is_null() && response["patchType"].is_null());
    }
}
