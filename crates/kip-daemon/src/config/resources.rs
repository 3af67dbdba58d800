//! Requests and limits of a sleeping container.

use super::problem::{Findings, Problem};
use super::quantity::Quantity;
use crate::settings::Settings;

/// What each sleeping container asks for and may use; `None` where the setting is `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// `CACHING_MEMORY_REQUEST`
    pub memory_request: Option<Quantity>,
    /// `CACHING_MEMORY_LIMIT`
    pub memory_limit: Option<Quantity>,
    /// `CACHING_CPU_REQUEST`
    pub cpu_request: Option<Quantity>,
    /// `CACHING_CPU_LIMIT`
    pub cpu_limit: Option<Quantity>,
}

/// A memory of fewer bytes is a slip of the pen: `20m` is a fiftieth of a byte.
const SMALLEST_MEMORY: i128 = 1024 * 1_000_000_000;

pub(super) fn parse(settings: &Settings, findings: &mut Findings) -> Resources {
    let mut read = |variable, text: &Option<String>| findings.take(one(variable, text.as_deref()));
    let resources = Resources {
        memory_request: read("CACHING_MEMORY_REQUEST", &settings.caching_memory_request),
        memory_limit: read("CACHING_MEMORY_LIMIT", &settings.caching_memory_limit),
        cpu_request: read("CACHING_CPU_REQUEST", &settings.caching_cpu_request),
        cpu_limit: read("CACHING_CPU_LIMIT", &settings.caching_cpu_limit),
    };
    for (request_name, limit_name, is_set, request, limit) in [
        (
            "CACHING_MEMORY_REQUEST",
            "CACHING_MEMORY_LIMIT",
            settings.caching_memory_request.is_some(),
            &resources.memory_request,
            &resources.memory_limit,
        ),
        (
            "CACHING_CPU_REQUEST",
            "CACHING_CPU_LIMIT",
            settings.caching_cpu_request.is_some(),
            &resources.cpu_request,
            &resources.cpu_limit,
        ),
    ] {
        if let (Some(request), Some(limit)) = (request, limit)
            && request.nano() > limit.nano()
        {
            // The setting that was made is the one to mend, not the default of the other one.
            findings.add(if is_set {
                let wrong = format!("is more than {limit_name}={limit}");
                Problem::new(request_name, request.as_str(), wrong)
            } else {
                let wrong = format!("is less than the default {request_name}={request}");
                Problem::new(limit_name, limit.as_str(), wrong)
            });
        }
    }
    resources
}

fn one(variable: &'static str, text: Option<&str>) -> Result<Option<Quantity>, Problem> {
    let text = match text {
        Some(text) => text,
        None => crate::settings::variable(variable).map_or("", |variable| variable.default),
    };
    if text == "none" {
        return Ok(None);
    }
    let quantity = Quantity::parse(text).map_err(|wrong| Problem::new(variable, text, wrong))?;
    let is_memory = variable.starts_with("CACHING_MEMORY");
    if is_memory && quantity.nano() < SMALLEST_MEMORY && quantity.nano() != 0 {
        let wrong = "is less than 1Ki of memory (m means a thousandth of a byte, Mi a mebibyte)";
        return Err(Problem::new(variable, text, wrong));
    }
    Ok(Some(quantity))
}
