//! The containers of a pod and the images that they run.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kip_agent::protocol::Wanted;
use kube::ResourceExt as _;

use super::TargetImage;
use crate::failure::{Status, failure};

/// The container that is meant where none is named, as kubectl has it.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// A container, whatever its kind.
struct Container<'a> {
    name: &'a str,
    /// As the pod has it.
    image: &'a str,
    command: &'a [String],
    args: &'a [String],
    /// What the kubelet says of it.
    status: Option<&'a ContainerStatus>,
    is_main: bool,
}

/// The image of this container, of the only one, or of all.
pub(super) fn images(pod: &Pod, wanted: Option<&str>, all: bool) -> Result<Vec<TargetImage>> {
    let containers = containers(pod);
    let mut images: Vec<TargetImage> = Vec::new();
    if !all {
        let container = choose(pod, &containers, wanted)?;
        return Ok(vec![image(pod, container)?]);
    }
    for container in &containers {
        let image = image(pod, container)?;
        match images
            .iter_mut()
            .find(|known| known.wanted.digest == image.wanted.digest)
        {
            Some(known) => known.containers.extend(image.containers),
            None => images.push(image),
        }
    }
    Ok(images)
}

fn choose<'a, 'b>(
    pod: &Pod,
    containers: &'b [Container<'a>],
    wanted: Option<&str>,
) -> Result<&'b Container<'a>> {
    let default = pod.annotations().get(DEFAULT).map(String::as_str);
    let default = default.filter(|name| containers.iter().any(|it| it.name == *name));
    let names = || -> String {
        let names: Vec<_> = containers.iter().map(|it| it.name).collect();
        names.join(", ")
    };
    if let Some(wanted) = wanted.or(default) {
        let found = containers.iter().find(|it| it.name == wanted);
        return found.ok_or_else(|| {
            let text = format!(
                "pod {} has no container '{wanted}'; it has: {}",
                pod.name_any(),
                names()
            );
            failure(Status::NotFound, text)
        });
    }
    let mut main = containers.iter().filter(|it| it.is_main);
    if let (Some(only), None) = (main.next(), main.next()) {
        return Ok(only);
    }
    let text = format!(
        "pod {} has several containers; name one with -c, or take --all-containers: {}",
        pod.name_any(),
        names()
    );
    Err(failure(Status::NotFound, text))
}

fn containers(pod: &Pod) -> Vec<Container<'_>> {
    let (Some(spec), status) = (&pod.spec, pod.status.as_ref()) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let statuses = status.and_then(|it| it.container_statuses.as_deref());
    for it in &spec.containers {
        let run = (it.command.as_deref(), it.args.as_deref());
        all.push(one(&it.name, it.image.as_deref(), run, statuses, true));
    }
    let statuses = status.and_then(|it| it.init_container_statuses.as_deref());
    for it in spec.init_containers.iter().flatten() {
        let run = (it.command.as_deref(), it.args.as_deref());
        all.push(one(&it.name, it.image.as_deref(), run, statuses, false));
    }
    let statuses = status.and_then(|it| it.ephemeral_container_statuses.as_deref());
    for it in spec.ephemeral_containers.iter().flatten() {
        let run = (it.command.as_deref(), it.args.as_deref());
        all.push(one(&it.name, it.image.as_deref(), run, statuses, false));
    }
    all
}

fn one<'a>(
    name: &'a str,
    image: Option<&'a str>,
    (command, args): (Option<&'a [String]>, Option<&'a [String]>),
    statuses: Option<&'a [ContainerStatus]>,
    is_main: bool,
) -> Container<'a> {
    let mut statuses = statuses.unwrap_or_default().iter();
    Container {
        name,
        image: image.unwrap_or_default(),
        command: command.unwrap_or_default(),
        args: args.unwrap_or_default(),
        status: statuses.find(|status| status.name == name),
        is_main,
    }
}

/// As whom the first process runs, `USER:GROUP`.
fn user(status: &ContainerStatus) -> Option<String> {
    let user = status.user.as_ref()?.linux.as_ref()?;
    Some(format!("{}:{}", user.uid, user.gid))
}

fn image(pod: &Pod, container: &Container<'_>) -> Result<TargetImage> {
    let id = container
        .status
        .map(|status| status.image_id.as_str())
        .unwrap_or_default();
    let digest = digest_of_id(id).ok_or_else(|| {
        let what = if id.is_empty() {
            "has not been made yet, so that its node may not have its image".to_owned()
        } else {
            format!("has the image ID '{id}', which has no digest")
        };
        let text = format!(
            "container {} of pod {} {what}",
            container.name,
            pod.name_any()
        );
        failure(Status::NotFound, text)
    })?;
    Ok(TargetImage {
        containers: vec![container.name.to_owned()],
        name: container.image.to_owned(),
        other_name: kip_image::Reference::parse(id)
            .is_ok()
            .then(|| id.to_owned()),
        wanted: Wanted {
            digest: Some(digest),
            name: None,
        },
        command: container.command.to_vec(),
        args: container.args.to_vec(),
        user: container.status.and_then(user),
    })
}

/// The digest in what kubelets call an image's ID: `docker.io/library/a@sha256:…`, `sha256:…`, `docker-pullable://a@sha256:…`,
/// `docker://sha256:…`, and CRI-O's bare 64 digits.
pub fn digest_of_id(id: &str) -> Option<String> {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    let digest = id.rsplit_once('@').map_or(id, |(_, digest)| digest);
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| format!("sha256:{hex}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(digit: &str) -> String {
        digit.repeat(64)
    }

    fn pod() -> Pod {
        let status = |name: &str, id: &str| json!({"name": name, "image": "x", "imageID": id, "ready": true, "restartCount": 0});
        serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {
                "containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "side:1"}],
                "initContainers": [{"name": "i", "image": "app:1"}],
                "ephemeralContainers": [{"name": "e", "image": "debug"}],
            },
            "status": {
                "containerStatuses": [status("a", &format!("r/app@sha256:{}", hex("a"))), status("b", "")],
                "initContainerStatuses": [status("i", &format!("sha256:{}", hex("a")))],
                "ephemeralContainerStatuses": [status("e", &format!("docker-pullable://d@sha256:{}", hex("e")))],
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_form_of_an_image_id_has_its_digest() {
        let wanted = Some(format!("sha256:{}", hex("1")));
        for id in [
            "",
            "sha256:",
            "r/a@sha256:",
            "docker://sha256:",
            "docker-pullable://r/a:1@sha256:",
        ] {
            assert_eq!(digest_of_id(&format!("{id}{}", hex("1"))), wanted, "{id}");
        }
        assert_eq!(digest_of_id(""), None);
        assert_eq!(digest_of_id("r/a:latest"), None);
    }

    #[test]
    fn a_container_of_any_kind_is_found_by_name_and_its_running_digest_counts() {
        let found = images(&pod(), Some("e"), false).unwrap();
        assert_eq!(found[0].wanted.digest, Some(format!("sha256:{}", hex("e"))));
        assert_eq!(found[0].name, "debug");
        let error = images(&pod(), None, false).unwrap_err().to_string();
        assert!(
            error.contains("-c") && error.contains("a, b, i, e"),
            "{error}"
        );
        let error = images(&pod(), Some("b"), false).unwrap_err().to_string();
        assert!(
            error.contains("container b of pod p has not been made yet"),
            "{error}"
        );
        let error = images(&pod(), Some("z"), false).unwrap_err().to_string();
        assert!(error.contains("'z'"), "{error}");
    }

    #[test]
    fn the_default_container_is_the_one_that_the_annotation_names() {
        let mut pod = pod();
        pod.annotations_mut()
            .insert(DEFAULT.to_owned(), "a".to_owned());
        assert_eq!(images(&pod, None, false).unwrap()[0].containers, ["a"]);
    }

    #[test]
    fn of_all_containers_each_image_is_taken_once() {
        let mut pod = pod();
        pod.spec.as_mut().unwrap().containers.truncate(1);
        let found = images(&pod, None, true).unwrap();
        let containers: Vec<_> = found.iter().map(|it| it.containers.join("+")).collect();
        assert_eq!(containers, ["a+i", "e"]);
    }
}
