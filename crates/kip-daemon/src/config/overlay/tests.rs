use super::*;
use crate::config::images;

fn read(text: &str) -> Result<Overlay, Vec<String>> {
    let mut findings = Findings::default();
    let images = images::parse(Some("one=nginx;two=busybox"), &mut findings);
    let overlay = parse(Some(text), Some(&images), &mut findings);
    let wrong = |problem: &Problem| problem.wrong.clone();
    findings
        .finish(overlay)
        .map_err(|problems| problems.0.iter().map(wrong).collect())
}

/// The only thing that is wrong with it.
fn wrong(text: &str) -> String {
    let found = read(text).expect_err(text);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn nothing_is_an_overlay_that_changes_nothing() {
    for text in ["{}", "null", "---\n{}", "{metadata: {}, spec: {}}"] {
        assert!(read(text).unwrap().is_empty(), "{text}");
    }
    assert!(parse(None, None, &mut Findings::default()).is_empty());
}

#[test]
fn what_a_user_may_set_is_taken_in_json_and_yaml() {
    let json = r#"{
        "metadata": {"labels": {"team": "a", "old": null}, "annotations": {"example.com/Note": "b"}},
        "spec": {
            "containers": [{"name": "two", "env": [{"name": "A", "value": "b"}], "resources": {"limits": {"cpu": null}}}],
            "initContainers": [{"name": "copy-sleep", "securityContext": {"runAsUser": 7}}],
            "volumes": [{"name": "more", "emptyDir": {}}],
            "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet", "hostUsers": false,
            "nodeSelector": {"kubernetes.io/os": "linux", "disk": null},
            "securityContext": {"fsGroup": null, "seLinuxOptions": {"type": "spc_t"}},
            "imagePullSecrets": [{"name": "more"}], "terminationGracePeriodSeconds": null}}"#;
    let read_json = read(json).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    assert!(!read_json.is_empty());
    let yaml = serde_saphyr::to_string(&Value::Object(read_json.document().clone())).unwrap();
    assert_ne!(yaml.trim(), json.trim());
    assert_eq!(read(&yaml), Ok(read_json));
}

/// Overlays that are refused, and how the message begins: with the place.
const REFUSED: &[(&str, &str)] = &[
    ("[]", "is not a map"),
    ("{metadata: null}", "metadata is needed"),
    ("{spec: null}", "spec is needed"),
    ("{metadata: {labels: null}}", "metadata.labels is needed"),
    (
        "{metadata: {annotations: null}}",
        "metadata.annotations is needed",
    ),
    ("{metadata: {name: a}}", "metadata.name cannot be set"),
    (
        "{metadata: {finalizers: [a/b]}}",
        "metadata.finalizers cannot be set",
    ),
    (
        "{metadata: {labels: {app.kubernetes.io/instance: a}}}",
        "metadata.labels[app.kubernetes.io/instance] is the daemon's own",
    ),
    (
        "{metadata: {labels: {app.kubernetes.io/component: null}}}",
        "metadata.labels[app.kubernetes.io/component] is the daemon's own",
    ),
    (
        "{metadata: {labels: {controller-revision-hash: a}}}",
        "metadata.labels[controller-revision-hash] is set by Kubernetes",
    ),
    (
        "{metadata: {labels: {a: b c}}}",
        "metadata.labels[a] has ' '",
    ),
    (
        "{metadata: {annotations: {kubernetes-image-puller/content-hash: null}}}",
        "metadata.annotations[kubernetes-image-puller/content-hash] begins with",
    ),
    ("{spec: {nodeName: a}}", "spec.nodeName cannot be set"),
    (
        "{spec: {restartPolicy: Never}}",
        "spec.restartPolicy cannot be set",
    ),
    (
        "{spec: {activeDeadlineSeconds: 5}}",
        "spec.activeDeadlineSeconds cannot be set",
    ),
    (
        "{spec: {schedulingGates: [{name: a}]}}",
        "spec.schedulingGates cannot be set",
    ),
    (
        "{spec: {ephemeralContainers: [{name: a}]}}",
        "spec.ephemeralContainers cannot be set",
    ),
    ("{spec: {hostPID: true}}", "spec.hostPID cannot be set"),
    ("{spec: {hostIPC: true}}", "spec.hostIPC cannot be set"),
    ("{spec: {os: {name: windows}}}", "spec.os cannot be set"),
    (
        "{spec: {serviceAccount: a}}",
        "spec.serviceAccount is out of use",
    ),
    (
        "{spec: {serviceAccountName: A}}",
        "spec.serviceAccountName has 'A'",
    ),
    (
        "{spec: {priorityClassName: A}}",
        "spec.priorityClassName has 'A'",
    ),
    (
        "{spec: {runtimeClassName: A}}",
        "spec.runtimeClassName has 'A'",
    ),
    (
        "{spec: {nodeSelector: {kubernetes.io/os: null}}}",
        "spec.nodeSelector[kubernetes.io/os] must stay linux",
    ),
    (
        "{spec: {nodeSelector: null}}",
        "spec.nodeSelector[kubernetes.io/os] must stay linux",
    ),
    (
        "{spec: {nodeSelector: {a b: c}}}",
        "spec.nodeSelector: the key",
    ),
    (
        "{spec: {tolerations: [{operator: Equal}]}}",
        "spec.tolerations: one has no key",
    ),
    (
        "{spec: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}}}",
        "spec.affinity: nodeAffinity",
    ),
    ("{spec: {containers: null}}", "spec.containers is needed"),
    (
        "{spec: {initContainers: null}}",
        "spec.initContainers is needed",
    ),
    ("{spec: {volumes: null}}", "spec.volumes is needed"),
    (
        "{spec: {containers: [{image: a}]}}",
        "spec.containers[0] has no name",
    ),
    (
        "{spec: {containers: [{name: one}, {name: one}]}}",
        "spec.containers[one] comes twice",
    ),
    (
        "{spec: {containers: [{name: three}]}}",
        "spec.containers[three] is none of IMAGES",
    ),
    (
        "{spec: {containers: [{name: copy-sleep}]}}",
        "spec.containers[copy-sleep] is none of",
    ),
    (
        "{spec: {initContainers: [{name: one}]}}",
        "spec.initContainers[one] is none of",
    ),
    (
        "{spec: {containers: [{name: one, image: a}]}}",
        "spec.containers[one].image cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, image: null}]}}",
        "spec.containers[one].image cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, command: [a]}]}}",
        "spec.containers[one].command cannot",
    ),
    (
        "{spec: {containers: [{name: one, args: [a]}]}}",
        "spec.containers[one].args cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, imagePullPolicy: Always}]}}",
        "spec.containers[one].imagePullPolicy cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, lifecycle: {postStart: {exec: {command: [a]}}}}]}}",
        "spec.containers[one].lifecycle cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, livenessProbe: {exec: {command: [a]}}}]}}",
        "spec.containers[one].livenessProbe cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, readinessProbe: {exec: {command: [a]}}}]}}",
        "spec.containers[one].readinessProbe cannot be set",
    ),
    (
        "{spec: {containers: [{name: one, startupProbe: {exec: {command: [a]}}}]}}",
        "spec.containers[one].startupProbe cannot be set",
    ),
    (
        "{spec: {initContainers: [{name: copy-sleep, image: a}]}}",
        "spec.initContainers[copy-sleep].image cannot be set",
    ),
    (
        "{spec: {initContainers: [{name: copy-sleep, command: null}]}}",
        "spec.initContainers[copy-sleep].command cannot be set",
    ),
    (
        "{spec: {initContainers: [{name: copy-sleep, restartPolicy: Always}]}}",
        "spec.initContainers[copy-sleep].restartPolicy cannot be set",
    ),
    (
        "{spec: {volumes: [{name: kip, emptyDir: {}}]}}",
        "spec.volumes[kip] cannot be changed",
    ),
    (
        "{spec: {volumes: [{emptyDir: {}}]}}",
        "spec.volumes[0] has no name",
    ),
    (
        "{spec: {containers: [{name: one, volumeMounts: null}]}}",
        "spec.containers[one].volumeMounts is needed",
    ),
    (
        "{spec: {containers: [{name: one, volumeMounts: [{name: kip, mountPath: /a}]}]}}",
        "spec.containers[one].volumeMounts mounts kip",
    ),
    (
        "{spec: {containers: [{name: one, env: [{name: A}, {name: A}]}]}}",
        "spec.containers[one].env[A] comes twice",
    ),
    (
        "{spec: {imagePullSecrets: [{}]}}",
        "spec.imagePullSecrets[0] has no name",
    ),
    ("{spce: {}}", "unknown field: spce"),
    (
        "{spec: {hostNetwrk: true}}",
        "unknown field: spec.hostNetwrk",
    ),
    (
        "{spec: {hostNetwrk: null}}",
        "unknown field: spec.hostNetwrk",
    ),
    (
        "{spec: {containers: [{name: one, $patch: delete}]}}",
        "unknown field: spec.containers.0.$patch",
    ),
    (
        "{spec: {hostNetwork: 'yes'}}",
        "spec.hostNetwork: invalid type",
    ),
    (
        "{spec: {containers: {name: one}}}",
        "spec.containers: invalid type",
    ),
];

#[test]
fn what_must_stay_is_refused_with_its_path() {
    for (text, path) in REFUSED {
        let found = wrong(text);
        assert!(found.starts_with(path), "{text}: {found}");
    }
}

#[test]
fn no_way_of_writing_a_path_hides_the_sleep_program() {
    for path in [
        "/kip",
        "/kip/",
        "//kip",
        "/./kip/",
        "/kip/sleep",
        "/a/../kip",
        "/../kip",
        "kip",
        "/",
        "",
        "/a/..",
    ] {
        assert!(hides_sleep(path), "{path}");
        if !path.is_empty() {
            let mount = format!("{{name: more, mountPath: {path:?}}}");
            let text =
                format!("{{spec: {{containers: [{{name: one, volumeMounts: [{mount}]}}]}}}}");
            assert!(wrong(&text).contains("would hide /kip/"), "{text}");
        }
    }
    for path in ["/kipper", "/a/kip", "/kip/../a", "/kip2"] {
        assert!(!hides_sleep(path), "{path}");
    }
}

#[test]
fn names_are_not_looked_up_in_a_list_that_is_wrong_itself() {
    let mut findings = Findings::default();
    parse(
        Some("{spec: {containers: [{name: x}]}}"),
        None,
        &mut findings,
    );
    assert!(findings.is_empty());
}
