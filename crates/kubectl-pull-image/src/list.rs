//! The images of a node.

use std::sync::Arc;

use anyhow::Result;
use indicatif::HumanBytes;
use kip_agent::protocol::{Listed, Listing, Request};
use serde_json::json;

use crate::cli::{HelperOptions, Output};
use crate::cluster::Cluster;
use crate::helper::Running;
use crate::interrupt::Interrupt;
use crate::output::in_line;
use crate::target::Target;
use crate::{helping, output};

/// Prints them. A node's own status has fifty at most; these are all.
///
/// # Errors
/// When the node cannot be asked.
pub async fn list(
    cluster: &Cluster,
    node: &str,
    options: &HelperOptions,
    output: Output,
    interrupt: &Interrupt,
) -> Result<()> {
    let target = Target::of_node(node, &cluster.namespace);
    let work = async |running: &Arc<Running>| {
        let mut link = running.connect().await?;
        link.greet().await?;
        link.ask::<Listing>(&Request::List {}).await
    };
    let listing = helping::with_helper(cluster, &target, options, interrupt, work).await?;
    for problem in &listing.problems {
        cluster.voice.warn(&in_line(problem));
    }
    if output == Output::Text {
        return output::write(&table(&listing.images));
    }
    let document = json!({"node": node, "images": listing.images, "problems": listing.problems});
    output::print(&document, output)
}

/// A line for each name.
fn table(images: &[Listed]) -> String {
    let mut rows = vec![["NAME", "IMAGE ID", "SIZE", "LAYERS AS BLOBS"].map(str::to_owned)];
    for image in images {
        let id = image.id.as_deref().unwrap_or("unknown");
        let id = id.strip_prefix("sha256:").unwrap_or(id);
        let size = image
            .size
            .map_or_else(|| "unknown".to_owned(), |size| HumanBytes(size).to_string());
        let blobs = match image.blobs {
            Some((here, all)) => format!("{here} of {all}"),
            // Of an image that is damaged nothing is known.
            None if image.size.is_none() => "unknown".to_owned(),
            None => "none are kept".to_owned(),
        };
        let none = image.names.is_empty().then_some("<none>");
        let names = image.names.iter().map(String::as_str).chain(none);
        for name in names {
            let short = id.get(..12).unwrap_or(id);
            rows.push([in_line(name), short.to_owned(), size.clone(), blobs.clone()]);
        }
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [name, id, size, blobs] = row;
        let [a, b, c] = widths;
        format!("{name:a$}   {id:b$}   {size:c$}   {blobs}\n")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use kip_agent::protocol::StoreKind;

    use super::*;

    #[test]
    fn each_name_has_a_line_and_an_image_without_one_too() {
        let image = |names: &[&str]| Listed {
            names: names.iter().map(|it| (*it).to_owned()).collect(),
            digest: None,
            id: Some(format!("sha256:{}", "ab".repeat(32))),
            size: Some(2048),
            store: StoreKind::Containerd,
            blobs: Some((1, 2)),
        };
        let text = table(&[image(&["a:1", "a:long"]), image(&[])]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], "a:1      abababababab   2.00 KiB   1 of 2");
        assert!(lines[3].starts_with("<none>"));
    }
}
