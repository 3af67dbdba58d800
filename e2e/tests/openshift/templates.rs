//! The templates of deploy/openshift.

use kip_e2e::lab::cluster::repository;
use kip_e2e::template::{Error, Template};
use serde_json::Value;

pub(super) const SERVICE_ACCOUNT: &str = "serviceaccount.yaml";
pub(super) const CONFIG_MAP: &str = "configmap.yaml";
pub(super) const APP: &str = "app.yaml";
/// In the order in which the documentation applies them.
pub(super) const TEMPLATES: [&str; 3] = [SERVICE_ACCOUNT, CONFIG_MAP, APP];

/// A file of the repository.
pub(super) fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn template(name: &str) -> Template {
    Template::parse(&read(&format!("deploy/openshift/{name}")))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The List that `oc process -f deploy/openshift/NAME -p …` prints.
pub(super) fn process(name: &str, arguments: &[impl AsRef<str>]) -> Result<Value, Error> {
    template(name).process(arguments)
}

/// The objects of all three, each template given those of the arguments that it has parameters for.
pub(super) fn objects(arguments: &[impl AsRef<str>]) -> Vec<Value> {
    let of = |name: &str| {
        let parameters = template(name).parameters;
        let knows = |argument: &&str| {
            let name = argument.split('=').next().unwrap_or_default();
            parameters.iter().any(|parameter| parameter.name == name)
        };
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).filter(knows).collect();
        process(name, &arguments).unwrap_or_else(|error| panic!("{name}: {error}"))["items"].take()
    };
    let lists = TEMPLATES.map(of);
    lists
        .into_iter()
        .flat_map(|mut items| items.as_array_mut().map(std::mem::take).unwrap_or_default())
        .collect()
}
