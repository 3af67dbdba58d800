//! Finds the form whose tar has the digest that is wanted.
//!
//! Forms with the same order of entries are made side by side, in one reading of the files: those that have said the same so far
//! share one digest, and part where their headers differ. So forms that are no different for this layer cost nothing, and a time
//! that only a mark near the end has costs what comes after that mark.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::entries::Kind;
use super::form::{Form, Order, Time};
use super::table::{self, FORMS, LAST_TIER};
use super::tar;
use super::walk::Walk;
use crate::pieces::{Joined, Piece};
use crate::protocol::{Profile, Rebuilt};

/// How much a search may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many tars at most are made side by side.
    pub(super) side_by_side: usize,
    /// How many at least, however large the layer is.
    pub(super) few: usize,
    /// After how many hashed bytes a search is given up. What is tried first is tried nevertheless.
    pub(super) bytes: u64,
}

/// Some tens of seconds of a processor.
pub(super) const LIMITS: Limits = Limits {
    side_by_side: 64,
    few: 8,
    bytes: 16 << 30,
};

impl Limits {
    /// How many tars of such a layer are made side by side, after so many bytes.
    fn most(&self, spent: u64, size: u64) -> usize {
        let affordable = self.bytes.saturating_sub(spent) / size.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        affordable.clamp(self.few, self.side_by_side)
    }
}

/// How many times of an image's history are tried.
const MOMENTS: usize = 64;
/// How long a search may be silent.
const SILENCE: Duration = Duration::from_millis(500);

/// Calls `working` now and then.
struct Pulse<'a> {
    working: &'a mut dyn FnMut() -> io::Result<()>,
    /// Never at first: what is started is said at once.
    last: Option<Instant>,
}

impl Pulse<'_> {
    fn beat(&mut self) -> io::Result<()> {
        if self.last.is_none_or(|last| last.elapsed() >= SILENCE) {
            (self.working)()?;
            self.last = Some(Instant::now());
        }
        Ok(())
    }
}

/// Forms, each with times for what has none on the disk.
type Members = Vec<(&'static Form, Vec<i64>)>;

/// What has given the same bytes so far.
struct Group {
    hash: Sha256,
    size: u64,
    members: Members,
}

impl Group {
    fn say(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }
}

/// What a walk in one order finds.
#[derive(PartialEq, Eq)]
struct Survey {
    paths: u32,
    bytes: u64,
    /// Whether there are attributes that the first form leaves out.
    has_more: bool,
}

/// See [`super::prove`].
pub(super) fn prove(
    top: &Path,
    diff_id: &str,
    created: &[i64],
    limits: Limits,
    working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    let mut pulse = Pulse {
        working,
        last: None,
    };
    let mut surveys: Vec<(Order, Survey)> = Vec::new();
    // By digest: a form of a later tier may be no different from one of an earlier.
    let mut tried: Vec<String> = Vec::new();
    let mut spent = 0_u64;
    let mut fallback = None;
    for tier in 0..=LAST_TIER {
        let forms = FORMS.iter().filter(|form| form.tier == tier);
        for (at, forms) in by_order(top, forms, &mut surveys, &mut pulse)? {
            let (order, survey) = &surveys[at];
            let with_times = |form: &&'static Form| (*form, times(form, created));
            let mut members: Members = forms.iter().map(with_times).collect();
            while !members.is_empty() && (spent < limits.bytes || tried.is_empty()) {
                let most = limits.most(spent, survey.bytes);
                let round = Round {
                    top,
                    order: *order,
                    most,
                };
                let (found, left) = round.run(members, &mut pulse)?;
                members = left;
                for rebuilt in &found {
                    spent = spent.saturating_add(rebuilt.size);
                    if !tried.contains(&rebuilt.digest) {
                        tried.push(rebuilt.digest.clone());
                    }
                }
                for rebuilt in found {
                    if rebuilt.digest == diff_id {
                        return Ok(Rebuilt {
                            is_proven: true,
                            tried: tried.len(),
                            ..rebuilt
                        });
                    }
                    // The default form is the first of all.
                    fallback.get_or_insert(rebuilt);
                }
            }
        }
    }
    // All orders have the same files.
    if let Some((order, Survey { has_more: true, .. })) = surveys.first() {
        let round = Round {
            top,
            order: *order,
            most: 1,
        };
        let members = vec![(table::fallback(true), vec![0])];
        fallback = round.run(members, &mut pulse)?.0.pop();
    }
    let fallback = fallback.ok_or_else(|| io::Error::other("no tar of the layer was made"))?;
    if !tried.contains(&fallback.digest) {
        tried.push(fallback.digest.clone());
    }
    Ok(Rebuilt {
        // So it is where the image was made of such a tar.
        is_proven: fallback.digest == diff_id,
        tried: tried.len(),
        ..fallback
    })
}

/// The forms by their order; orders that are no different for this layer are one. They are named by their place in the surveys.
fn by_order(
    top: &Path,
    forms: impl Iterator<Item = &'static Form>,
    surveys: &mut Vec<(Order, Survey)>,
    pulse: &mut Pulse<'_>,
) -> io::Result<Vec<(usize, Vec<&'static Form>)>> {
    let mut found: Vec<(usize, Vec<&'static Form>)> = Vec::new();
    for form in forms {
        let known = surveys.iter().position(|(order, _)| *order == form.order);
        let own = if let Some(own) = known {
            own
        } else {
            surveys.push((form.order, survey(top, form.order, pulse)?));
            surveys.len() - 1
        };
        let same = |(_, survey): &(Order, Survey)| *survey == surveys[own].1;
        let at = surveys.iter().position(same).unwrap_or(own);
        match found.iter_mut().find(|(other, _)| *other == at) {
            Some((_, forms)) => forms.push(form),
            None => found.push((at, vec![form])),
        }
    }
    Ok(found)
}

/// Candidates for what has no time on the disk, the likeliest first: what current builders write, when the history says that a layer
/// was made, and for marks the seconds that it may have taken from there.
fn times(form: &Form, created: &[i64]) -> Vec<i64> {
    let is_root_given = form.root.is_some_and(|(_, time)| time == Time::Given);
    let steps: &[i64] = match form.marks.time {
        // The root's time changes the whole tar: each candidate costs as much as a form.
        _ if is_root_given => &[0],
        Time::Given => &[0, 1, -1, 2, 3, 4, 5],
        Time::Near | Time::Epoch => return vec![0],
    };
    let mut times = vec![0];
    // In the order in which they came: the likeliest first.
    let created = &created[..created.len().min(MOMENTS)];
    for step in steps {
        for time in created {
            let time = time.saturating_add(*step);
            if !times.contains(&time) {
                times.push(time);
            }
        }
    }
    times
}

fn survey(top: &Path, order: Order, pulse: &mut Pulse<'_>) -> io::Result<Survey> {
    let mut paths = crc32fast::Hasher::new();
    let mut bytes = 0;
    let mut has_more = false;
    for entry in Walk::new(top, order) {
        let entry = entry?;
        has_more |= entry.has_more();
        paths.update(&entry.path);
        paths.update(if entry.kind == Kind::Opaque {
            b"/\0"
        } else {
            b"\0"
        });
        bytes += 512 + tar::body(&entry).map_or(0, |(content, _)| content.size());
        pulse.beat()?;
    }
    let paths = paths.finalize();
    Ok(Survey {
        paths,
        bytes,
        has_more,
    })
}

/// One reading of the files.
struct Round<'a> {
    top: &'a Path,
    order: Order,
    /// How many tars are made at most.
    most: usize,
}

impl Round<'_> {
    /// Makes the tars, and gives one result for each that is different, and what there was no room for.
    fn run(&self, members: Members, pulse: &mut Pulse<'_>) -> io::Result<(Vec<Rebuilt>, Members)> {
        let mut left = Members::new();
        let mut groups = vec![Group {
            hash: Sha256::new(),
            size: 0,
            members,
        }];
        for entry in Walk::new(self.top, self.order) {
            let entry = entry?;
            self.part(&mut groups, &mut left, |form, _, time| {
                if time.is_none() && tar::needs_time(form, &entry) {
                    return None;
                }
                Some(tar::head(form, &entry, time.unwrap_or_default()))
            });
            if let Some((content, zeros)) = tar::body(&entry) {
                feed(&mut groups, content, pulse)?;
                feed(&mut groups, zeros, pulse)?;
            }
            pulse.beat()?;
        }
        self.part(&mut groups, &mut left, |form, size, _| {
            let zeros = usize::try_from(tar::end(form, size)).unwrap_or_default();
            Some(vec![0; zeros])
        });
        Ok((groups.into_iter().filter_map(finish).collect(), left))
    }

    /// Adds to each group what its members say next, and parts those that differ. `say` is given a form and the bytes so far, and gives
    /// `None` where it needs a time.
    fn part(
        &self,
        groups: &mut Vec<Group>,
        left: &mut Members,
        say: impl Fn(&'static Form, u64, Option<i64>) -> Option<Vec<u8>>,
    ) {
        let mut new = Vec::new();
        for group in groups.iter_mut() {
            let mut parts = Parts::default();
            for (form, times) in std::mem::take(&mut group.members) {
                if let Some(said) = say(form, group.size, None) {
                    parts.add(said, form, times);
                    continue;
                }
                for time in times {
                    if let Some(said) = say(form, group.size, Some(time)) {
                        parts.add(said, form, vec![time]);
                    }
                }
            }
            // The first one, with most of what is likely, takes the group's place.
            let mut parts = parts.parts;
            for (said, members) in parts.drain(1..) {
                let part = Group {
                    hash: group.hash.clone(),
                    size: group.size,
                    members,
                };
                new.push((said, part));
            }
            for (said, members) in parts {
                group.members = members;
                group.say(&said);
            }
        }
        for (said, mut part) in new {
            if groups.len() < self.most {
                part.say(&said);
                groups.push(part);
            } else {
                for (form, times) in part.members {
                    join(left, form, times);
                }
            }
        }
    }
}

/// What members of a group say next, in the order in which it was first said.
#[derive(Default)]
struct Parts {
    parts: Vec<(Vec<u8>, Members)>,
    places: HashMap<Vec<u8>, usize>,
}

impl Parts {
    fn add(&mut self, said: Vec<u8>, form: &'static Form, times: Vec<i64>) {
        let at = if let Some(at) = self.places.get(&said) {
            *at
        } else {
            self.parts.push((said.clone(), Members::new()));
            self.places.insert(said, self.parts.len() - 1);
            self.parts.len() - 1
        };
        join(&mut self.parts[at].1, form, times);
    }
}

/// Adds the form to the members: to itself, where it was the last one.
fn join(members: &mut Members, form: &'static Form, times: Vec<i64>) {
    match members.last_mut() {
        Some((last, known)) if std::ptr::eq(*last, form) => known.extend(times),
        _ => members.push((form, times)),
    }
}

fn finish(group: Group) -> Option<Rebuilt> {
    let (form, times) = group.members.first()?;
    let mut digest = String::from("sha256:");
    for byte in group.hash.finalize() {
        write!(digest, "{byte:02x}").ok()?;
    }
    Some(Rebuilt {
        profile: Profile {
            name: form.name.to_owned(),
            whiteout_time: times.first().copied().unwrap_or_default(),
        },
        digest,
        size: group.size,
        is_proven: false,
        tried: 0,
        left_out: 0,
        examples: Vec::new(),
    })
}

fn feed(groups: &mut [Group], piece: Piece, pulse: &mut Pulse<'_>) -> io::Result<()> {
    let mut reader = Joined::from_offset(std::iter::once(Ok(piece)), 0);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let size = reader.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        for group in &mut *groups {
            group.say(&buffer[..size]);
        }
        pulse.beat()?;
    }
}
