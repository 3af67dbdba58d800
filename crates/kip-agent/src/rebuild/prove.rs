//! Finds the form whose tar has the digest that is wanted.
//!
//! Forms with the same order of entries are made side by side, in one reading of the files: those that have said the same so far
//! share one digest, and part where their headers differ. So forms that are no different for this layer cost nothing, and a time
//! that only a mark near the end has costs what comes after that mark.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::entries::Kind;
use super::form::{Form, Order, Time};
use super::table::{DEFAULT, FORMS};
use super::tar;
use super::walk::Walk;
use crate::pieces::{Joined, Piece};
use crate::protocol::{Profile, Rebuilt};

/// How many tars at most are made side by side.
const SIDE_BY_SIDE: usize = 64;
/// After how many hashed bytes a search is given up. What is tried first is tried nevertheless.
const BUDGET: u64 = 16 << 30;
/// The fewest tars that are made side by side, however large the layer is.
const FEW: u64 = 8;
/// How long a search may be silent.
const SILENCE: Duration = Duration::from_millis(500);

/// Calls `working` now and then.
struct Pulse<'a> {
    working: &'a mut dyn FnMut() -> io::Result<()>,
    last: Instant,
}

impl Pulse<'_> {
    fn beat(&mut self) -> io::Result<()> {
        if self.last.elapsed() >= SILENCE {
            (self.working)()?;
            self.last = Instant::now();
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
}

/// See [`super::prove`].
pub(super) fn prove(
    top: &Path,
    diff_id: &str,
    created: &[i64],
    working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    let mut pulse = Pulse {
        working,
        last: Instant::now(),
    };
    let mut surveys: Vec<(Order, Survey)> = Vec::new();
    let mut tried = 0;
    let mut spent = 0_u64;
    let mut fallback = None;
    for tier in [0, 1] {
        let mut rounds: Vec<(usize, Vec<&'static Form>)> = Vec::new();
        for form in FORMS.iter().filter(|form| form.tier == tier) {
            if !surveys.iter().any(|(order, _)| *order == form.order) {
                surveys.push((form.order, survey(top, form.order, &mut pulse)?));
            }
            // Orders that are no different for this layer are one.
            let own = surveys.iter().find(|(order, _)| *order == form.order);
            let same = |(_, other): &(Order, Survey)| own.is_some_and(|(_, own)| own == other);
            let at = surveys.iter().position(same).unwrap_or_default();
            match rounds.iter_mut().find(|(other, _)| *other == at) {
                Some((_, forms)) => forms.push(form),
                None => rounds.push((at, vec![form])),
            }
        }
        for (at, forms) in rounds {
            let (order, survey) = &surveys[at];
            let mut members: Members = forms
                .iter()
                .map(|form| (*form, times(form, created)))
                .collect();
            while !members.is_empty() && (spent < BUDGET || tried == 0) {
                let most = ((BUDGET - spent.min(BUDGET)) / survey.bytes.max(1)).max(FEW);
                let most =
                    usize::try_from(most).map_or(SIDE_BY_SIDE, |most| most.min(SIDE_BY_SIDE));
                let round = Round {
                    top,
                    order: *order,
                    most,
                };
                let (found, left) = round.run(members, &mut pulse)?;
                members = left;
                tried += found.len();
                for mut rebuilt in found {
                    spent = spent.saturating_add(rebuilt.size);
                    rebuilt.tried = tried;
                    if rebuilt.digest == diff_id {
                        rebuilt.is_proven = true;
                        return Ok(rebuilt);
                    }
                    if rebuilt.profile == default_profile() {
                        fallback = Some(rebuilt);
                    }
                }
            }
        }
    }
    let fallback = fallback.map(|rebuilt| Rebuilt { tried, ..rebuilt });
    fallback.ok_or_else(|| io::Error::other("no form of the layer's tar was made"))
}

fn default_profile() -> Profile {
    Profile {
        name: DEFAULT.name.to_owned(),
        whiteout_time: 0,
    }
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
    for entry in Walk::new(top, order) {
        let entry = entry?;
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
    Ok(Survey { paths, bytes })
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
            let mut parts: Vec<(Vec<u8>, Members)> = Vec::new();
            for (form, times) in std::mem::take(&mut group.members) {
                if let Some(said) = say(form, group.size, None) {
                    add(&mut parts, said, form, times);
                    continue;
                }
                for time in times {
                    if let Some(said) = say(form, group.size, Some(time)) {
                        add(&mut parts, said, form, vec![time]);
                    }
                }
            }
            // The first one, with most of what is likely, takes the group's place.
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
                left.extend(part.members);
            }
        }
    }
}

/// Adds the form to those that say the same.
fn add(parts: &mut Vec<(Vec<u8>, Members)>, said: Vec<u8>, form: &'static Form, times: Vec<i64>) {
    let at = parts.iter().position(|(bytes, _)| *bytes == said);
    let at = at.unwrap_or_else(|| {
        parts.push((said, Members::new()));
        parts.len() - 1
    });
    let members = &mut parts[at].1;
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
