//! The figures in words, tables and as a quota.

use std::fmt::Write as _;

use super::amount::Amount;
use super::{CPU, Figure, LIMITS, MEMORY, NodeSize, Quota, REQUESTS, RESOURCES, Sizing};
use crate::config::Group;
use crate::config::quantity::Quantity;

/// A cache that takes more of a node than this, in hundredths, is felt by what the node is for.
const TOO_MUCH: i128 = 5;

/// The numbers of nodes that a table is printed for where none is asked for.
const USUAL: [usize; 4] = [1, 10, 100, 500];

/// What the pods take: of one node, and of a quota for `nodes`, or for some usual numbers of them.
pub fn report(sizing: &Sizing<'_>, size: &NodeSize, nodes: Option<usize>) -> String {
    let mut text = on_each_node(sizing, size);
    let rows = nodes.map_or(USUAL.to_vec(), |nodes| vec![nodes]);
    let quotas: Vec<(usize, Quota)> = rows
        .into_iter()
        .map(|nodes| (nodes, sizing.quota(nodes)))
        .collect();
    text.push_str(
        "\nIn the namespace, with the daemon's pod, and with a fetcher on each node that a change has reached\n\
         (MAX_NODES_AT_ONCE); the last column is what the Go image puller's formula gives, memory limit × images × nodes:\n",
    );
    text.push_str(&table(sizing, &quotas));
    match (nodes, quotas.first()) {
        (Some(nodes), Some((_, quota))) => {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\nA ResourceQuota for {nodes} nodes:\n\n{}",
                hard(quota)
            );
        }
        _ => text.push_str("\n--nodes N prints a ResourceQuota for N nodes\n"),
    }
    text
}

fn on_each_node(sizing: &Sizing<'_>, size: &NodeSize) -> String {
    let mut text = "\nOn each node 1 pod:\n".to_owned();
    let mut rows = vec![
        ["", "requests", "limits", "of a node"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for resource in RESOURCES {
        let requests = sizing.holder.requests[resource];
        let whole = of(size, resource);
        rows.push(vec![
            resource.to_owned(),
            in_a_pod(requests),
            in_a_pod(sizing.holder.limits[resource]),
            format!("{} of {whole}", percent(requests.amount, whole)),
        ]);
    }
    text.push_str(&aligned(&rows));
    for resource in RESOURCES {
        let Some((request, limit)) = sizing.group().map(|group| settings(group, resource)) else {
            continue;
        };
        if request.is_none() && limit.is_some() {
            let name = name(resource);
            let _ = writeln!(
                text,
                "CACHING_{name}_REQUEST is none, and there is a limit: Kubernetes makes it the request. \
                 CACHING_{name}_REQUEST=0 requests nothing."
            );
        }
    }
    text
}

/// What should be thought over: one line for each resource that takes too much of a node.
pub fn warnings(sizing: &Sizing<'_>, size: &NodeSize) -> Vec<String> {
    let is_too_much = |resource: &&str| {
        let requests = sizing.holder.requests[resource].amount.milli();
        requests.saturating_mul(100) > of(size, resource).milli().saturating_mul(TOO_MUCH)
    };
    RESOURCES
        .into_iter()
        .filter(is_too_much)
        .map(|resource| warning(sizing, size, resource))
        .collect()
}

fn warning(sizing: &Sizing<'_>, size: &NodeSize, resource: &str) -> String {
    let requests = sizing.holder.requests[resource].amount;
    let whole = of(size, resource);
    let name = name(resource);
    let group = sizing.group();
    let images = group.map_or(0, |group| group.images.len());
    let overlay = match group {
        Some(group) if !group.additions.overlay.is_empty() => ", or what POD_TEMPLATE sets",
        _ => "",
    };
    format!(
        "warning: the pod of each node requests {requests} of {resource}, {} of a node with {whole} (--node-{resource}), \
         more than {TOO_MUCH} %: lower CACHING_{name}_REQUEST{overlay}; for {images} images, for example, \
         CACHING_{name}_REQUEST={}",
        percent(requests, whole),
        small_enough(resource, whole, images),
    )
}

/// The largest round request with which so many containers take no more than they should.
fn small_enough(resource: &str, whole: Amount, images: usize) -> Amount {
    let images = i128::try_from(images.max(1)).unwrap_or(i128::MAX);
    let each = whole.milli().saturating_mul(TOO_MUCH) / 100 / images;
    if resource == CPU {
        return Amount::millicores(each);
    }
    let bytes = each / 1000;
    let unit = if bytes >> 20 > 0 { 20 } else { 10 };
    Amount::bytes(bytes >> unit << unit)
}

fn table(sizing: &Sizing<'_>, quotas: &[(usize, Quota)]) -> String {
    let mut head = vec!["nodes".to_owned(), "pods".to_owned()];
    if let Some((_, quota)) = quotas.first() {
        head.extend(quota.figures.iter().map(|(name, _)| name.clone()));
    }
    head.push("original".to_owned());
    let mut rows = vec![head];
    for (nodes, quota) in quotas {
        let mut row = vec![nodes.to_string(), quota.pods.to_string()];
        row.extend(quota.figures.iter().map(|(_, amount)| or_none(*amount)));
        row.push(or_none(sizing.original_formula(*nodes)));
        rows.push(row);
    }
    let mut text = aligned(&rows);
    for kind in [REQUESTS, LIMITS] {
        for resource in RESOURCES {
            let name = format!("{kind}.{resource}");
            let is_missing =
                |(_, quota): &(usize, Quota)| quota.figures.contains(&(name.clone(), None));
            if quotas.iter().any(is_missing) {
                let _ = writeln!(
                    text,
                    "{name}: no quota; with one the pods are refused, since not every container says something of it"
                );
            }
        }
    }
    text
}

fn hard(quota: &Quota) -> String {
    let mut text = format!("hard:\n  pods: \"{}\"\n", quota.pods);
    for (name, amount) in &quota.figures {
        if let Some(amount) = amount {
            let _ = writeln!(text, "  {name}: \"{amount}\"");
        }
    }
    text
}

/// Right-aligned columns, the first one to the left.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(line, "  {cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// In tenths of a hundredth, rounded up: what is just above a bound is not shown as the bound.
pub(crate) fn percent(part: Amount, whole: Amount) -> String {
    let Some(whole) = Some(whole.milli()).filter(|whole| *whole > 0) else {
        return "–".to_owned();
    };
    let scaled = part.milli().saturating_mul(1000);
    let tenths = scaled / whole + i128::from(scaled % whole != 0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn in_a_pod(figure: Figure) -> String {
    if figure.is_whole || figure.amount != Amount::default() {
        figure.amount.to_string()
    } else {
        "none".to_owned()
    }
}

fn or_none(amount: Option<Amount>) -> String {
    amount.map_or("none".to_owned(), |amount| amount.to_string())
}

fn of(size: &NodeSize, resource: &str) -> Amount {
    if resource == MEMORY {
        size.memory
    } else {
        size.cpu
    }
}

fn name(resource: &str) -> &'static str {
    if resource == MEMORY { "MEMORY" } else { "CPU" }
}

fn settings<'a>(group: &'a Group, resource: &str) -> (&'a Option<Quantity>, &'a Option<Quantity>) {
    let resources = &group.resources;
    if resource == MEMORY {
        (&resources.memory_request, &resources.memory_limit)
    } else {
        (&resources.cpu_request, &resources.cpu_limit)
    }
}
