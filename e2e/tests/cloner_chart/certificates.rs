//! Who makes the certificate, and that nothing of the chart undoes what they write.

use serde_json::{Value, json};

use super::helm::{NAMESPACE, names, objects, only};

fn with_cert_manager(issuer: Value) -> Vec<Value> {
    objects(&json!({"certificates": {"certManager": {"enabled": true, "issuerRef": issuer}}}))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = |object: &&Value| object["kind"] == kind;
    objects.iter().filter(of_kind).collect()
}

/// An upgrade takes away what an older manifest had; what none ever had stays.
#[test]
fn the_secrets_have_no_data_and_the_configuration_no_authority() {
    for values in [
        json!({}),
        json!({"certificates": {"certManager": {"enabled": true}}}),
    ] {
        let objects = objects(&values);
        for secret in of_kind(&objects, "Secret") {
            assert!(
                secret["data"].is_null() && secret["stringData"].is_null(),
                "{secret}"
            );
        }
        let configuration = only(&objects, "MutatingWebhookConfiguration").to_string();
        assert!(!configuration.contains("caBundle"), "{configuration}");
    }
}

#[test]
fn by_default_the_program_makes_it_and_the_names_are_those_of_its_own_defaults() {
    let objects = objects(&json!({}));
    let secrets = of_kind(&objects, "Secret");
    let secrets: Vec<_> = secrets.iter().map(|it| &it["metadata"]["name"]).collect();
    assert_eq!(
        secrets,
        ["image-cloner-proofs", "image-cloner-certificates"]
    );
    let container = &only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().expect("env");
    for name in [
        "SERVICE_NAME",
        "WEBHOOK_CONFIGURATION",
        "PROOF_SECRET",
        "CERTIFICATE_SECRET",
    ] {
        let default = image_cloner::settings::variable(name)
            .expect("a variable")
            .default;
        let expected = json!({"name": name, "value": default});
        assert!(env.contains(&expected), "{name}: {env:?}");
    }
    let annotations = &only(&objects, "MutatingWebhookConfiguration")["metadata"]["annotations"];
    assert!(annotations.is_null(), "{annotations}");
}

#[test]
fn cert_manager_makes_it_by_an_authority_of_the_charts_own() {
    let objects = with_cert_manager(json!({}));
    let named = names(&objects);
    for expected in [
        "Certificate image-cloner",
        "Certificate image-cloner-ca",
        "Issuer image-cloner",
        "Issuer image-cloner-selfsigned",
    ] {
        assert!(named.iter().any(|name| name == expected), "{named:?}");
    }
    let certificates = of_kind(&objects, "Certificate");
    let [authority, leaf] = certificates[..] else {
        panic!("{certificates:?}")
    };
    assert_eq!(authority["spec"]["isCA"], true);
    let secret = &authority["spec"]["secretName"];
    let issuers = of_kind(&objects, "Issuer");
    assert!(
        issuers
            .iter()
            .any(|it| it["spec"]["ca"]["secretName"] == *secret)
    );
    assert_eq!(leaf["spec"]["secretName"], "image-cloner-tls");
    assert_eq!(
        leaf["spec"]["issuerRef"],
        json!({"name": "image-cloner", "kind": "Issuer"})
    );
    assert_eq!(
        leaf["spec"]["dnsNames"],
        json!([
            format!("image-cloner.{NAMESPACE}.svc"),
            format!("image-cloner.{NAMESPACE}.svc.cluster.local")
        ])
    );
    let configuration = only(&objects, "MutatingWebhookConfiguration");
    assert_eq!(
        configuration["metadata"]["annotations"],
        json!({"cert-manager.io/inject-ca-from": format!("{NAMESPACE}/image-cloner")})
    );
}

#[test]
fn an_issuer_that_is_there_is_taken() {
    let issuer = json!({"name": "company", "kind": "ClusterIssuer"});
    let objects = with_cert_manager(issuer.clone());
    assert!(of_kind(&objects, "Issuer").is_empty());
    assert_eq!(only(&objects, "Certificate")["spec"]["issuerRef"], issuer);
}

#[test]
fn the_program_shows_what_cert_manager_makes_and_may_not_make_its_own() {
    let objects = with_cert_manager(json!({}));
    assert_eq!(
        only(&objects, "Secret")["metadata"]["name"],
        "image-cloner-proofs"
    );
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["args"],
        json!([
            "serve",
            "--port=8443",
            "--metrics-port=8080",
            "--tls-cert-file=/tls/tls.crt",
            "--tls-private-key-file=/tls/tls.key",
        ])
    );
    let volumes = pod["volumes"].as_array().expect("volumes");
    let tls = json!({"name": "tls", "secret": {"secretName": "image-cloner-tls"}});
    assert!(volumes.contains(&tls), "{volumes:?}");
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let tls = json!({"name": "tls", "mountPath": "/tls", "readOnly": true});
    assert!(mounts.contains(&tls), "{mounts:?}");
    assert!(!container["env"].to_string().contains("CERTIFICATE_SECRET"));
    for role in ["Role", "ClusterRole"] {
        let rules = only(&objects, role)["rules"].to_string();
        for absent in ["image-cloner-certificates", "mutatingwebhookconfigurations"] {
            assert!(!rules.contains(absent), "{rules}");
        }
    }
}
