//! Where things stand, summed up.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{Controller, Memory, Role};
use crate::report::KeptOff;
use crate::status::Status;
use crate::status_page::StatusPage;
use crate::trouble::Trouble;

impl Controller {
    /// For metrics and Events, and for the main controller where this one keeps a part.
    pub(super) fn sum_up(&mut self, memory: &mut Memory) {
        memory.status_due = None;
        self.sum_up_what_is_known(memory);
        let mut troubles = BTreeMap::new();
        if let Some(config) = self.source.in_force()
            && let Some(applied) = &memory.applied
        {
            let (desired, cluster) = (&applied.desired, &memory.cluster);
            let parts: Vec<_> = memory
                .apart()
                .map(|(report, _)| report.status.clone())
                .collect();
            let kept_off = KeptOff {
                nodes: memory.kept_off(config),
                uncounted: memory.uncounted_nodes(),
            };
            let (status, total) =
                memory
                    .reporter
                    .report(config, desired, cluster, &memory.known, &parts, &kept_off);
            memory.missing.note(&status, Instant::now());
            troubles = memory.troubles(&status.troubles, status.empty_nodes);
            self.metrics.troubles(&troubles);
            self.metrics.rollout(memory.figures_of_all());
            self.metrics.kept_off(&kept_off.nodes);
            memory.status = status;
            memory.total = Status {
                troubles: troubles.clone(),
                ..total
            };
            self.ask_for_what_is_new(memory);
            self.show_page(memory);
        }
        self.report(troubles, memory);
    }
}

impl Controller {
    /// All of it, as `/status` has it: the main controller's.
    fn show_page(&self, memory: &Memory) {
        let (Role::Main(_), Some(config)) = (&self.role, self.source.in_force()) else {
            return;
        };
        let page = StatusPage::new(config, &memory.total, &memory.known);
        // Texts and numbers can always be written.
        let text = serde_json::to_string(&page).unwrap_or_default();
        self.health.show(text);
    }
}

impl Memory {
    /// With those of the parts.
    fn troubles(
        &self,
        of_pods: &BTreeMap<Trouble, usize>,
        empty_nodes: usize,
    ) -> BTreeMap<Trouble, usize> {
        let mut troubles = of_pods.clone();
        let fetch = self.rolling.unfetched.as_ref();
        let fetch = fetch.and_then(|(_, trouble)| *trouble);
        let own = [(self.missing.trouble(), empty_nodes), (fetch, 1)];
        let own = own.into_iter().filter_map(|(it, nodes)| Some((it?, nodes)));
        let parts = self.reports.values().flat_map(|it| &it.troubles);
        for (trouble, nodes) in own.chain(parts.map(|(it, nodes)| (*it, *nodes))) {
            *troubles.entry(trouble).or_default() += nodes;
        }
        troubles
    }
}
