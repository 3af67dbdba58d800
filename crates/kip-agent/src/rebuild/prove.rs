//! Finds the form whose tar has the digest that is wanted.
//!
//! Forms with the same order of entries are made side by side, in one reading of the files: those that have said the same so far
//! share one digest, and part where their headers differ. So forms that are no different for this layer cost nothing, and a time
//! that only a mark near the end has costs what comes after that mark.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::entries::Kind;
use super::form::{Form, Order, Time};
use super::table::{DEFAULT, FORMS};
use super::walk::Walk;
use super::{Folders, tar};
use crate::pieces::{Joined, Piece};
use crate::protocol::{Profile, Rebuilt};

/// How many tars at most are made side by side.
const SIDE_BY_SIDE: usize = 64;
/// How many bytes a reading may hash; at least [`FEW`] tars are made nevertheless.
const BUDGET: u64 = 32 << 30;
const FEW: u64 = 12;
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

/// Forms, each with times for what has none on the disk, that have given the same bytes so far.
struct Group {
    hash: Sha256,
    size: u64,
    members: Vec<(&'static Form, Vec<i64>)>,
}

/// What a walk in one order finds.
#[derive(PartialEq, Eq)]
struct Survey {
    paths: u32,
    bytes: u64,
}

/// See [`super::prove`].
pub(super) fn prove(
    folders: &Folders,
    diff_id: &str,
    created: &[i64],
    working: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Rebuilt> {
    let mut pulse = Pulse {
        working,
        last: Instant::now(),
    };
    let times = times(created);
    let mut surveys: Vec<(Order, Survey)> = Vec::new();
    let mut tried = 0;
    let mut fallback = None;
    for tier in [0, 1] {
        let mut rounds: Vec<(usize, Vec<&'static Form>)> = Vec::new();
        for form in FORMS.iter().filter(|form| form.tier == tier) {
            if !surveys.iter().any(|(order, _)| *order == form.order) {
                surveys.push((form.order, survey(folders, form.order, &mut pulse)?));
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
            let most = (BUDGET / survey.bytes.max(1)).max(FEW);
            let most = usize::try_from(most).map_or(SIDE_BY_SIDE, |most| most.min(SIDE_BY_SIDE));
            let found = round(folders, *order, &forms, &times, most, &mut pulse)?;
            tried += found.len();
            for mut rebuilt in found {
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
    let fallback = fallback.map(|rebuilt| Rebuilt { tried, ..rebuilt });
    fallback.ok_or_else(|| io::Error::other("no form of the layer's tar was made"))
}

fn default_profile() -> Profile {
    Profile {
        name: DEFAULT.name.to_owned(),
        whiteout_time: 0,
    }
}

/// Candidates, the likeliest first: what current builders write, when the history says that a layer was made, and the seconds that
/// it took from there.
fn times(created: &[i64]) -> Vec<i64> {
    let mut times = vec![0];
    for step in [0, 1, -1, 2, 3, 4, 5] {
        for time in created {
            let time = time.saturating_add(step);
            if !times.contains(&time) {
                times.push(time);
            }
        }
    }
    times
}

fn survey(folders: &Folders, order: Order, pulse: &mut Pulse<'_>) -> io::Result<Survey> {
    let mut paths = crc32fast::Hasher::new();
    let mut bytes = 0;
    for entry in Walk::new(&folders.top, order) {
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

/// Makes all tars of these forms in one reading, at most so many, and gives one result for each that is different.
fn round(
    folders: &Folders,
    order: Order,
    forms: &[&'static Form],
    times: &[i64],
    most: usize,
    pulse: &mut Pulse<'_>,
) -> io::Result<Vec<Rebuilt>> {
    let members = forms.iter().map(|form| {
        let is_timed = form.marks.time == Time::Given
            || form.root.is_some_and(|(_, time)| time == Time::Given);
        (*form, if is_timed { times.to_vec() } else { vec![0] })
    });
    let mut groups = vec![Group {
        hash: Sha256::new(),
        size: 0,
        members: members.collect(),
    }];
    for entry in Walk::new(&folders.top, order) {
        let entry = entry?;
        part(&mut groups, most, |form, time| {
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
    let sizes: Vec<u64> = groups.iter().map(|group| group.size).collect();
    // All members of a group have the same size.
    let ends = |size: u64| move |form: &Form| tar::end(form, size);
    let mut found = Vec::new();
    for (group, size) in groups.into_iter().zip(sizes) {
        let mut ended = vec![group];
        let end = ends(size);
        part(&mut ended, most, |form, _| {
            Some(vec![0; usize::try_from(end(form)).unwrap_or_default()])
        });
        found.extend(ended.into_iter().filter_map(finish));
    }
    Ok(found)
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

/// Adds to each group what its members say next, and parts those that differ. `say` gives `None` where it needs a time.
///
/// Where there would be too many groups, those that come last are given up: the likelier ones come first.
fn part(
    groups: &mut Vec<Group>,
    most: usize,
    say: impl Fn(&'static Form, Option<i64>) -> Option<Vec<u8>>,
) {
    let mut new = Vec::new();
    let mut count = groups.len();
    for group in groups.iter_mut() {
        let mut parts: Vec<(Vec<u8>, Vec<(&'static Form, Vec<i64>)>)> = Vec::new();
        let mut add = |said: Vec<u8>, form: &'static Form, times: Vec<i64>| {
            let at = parts.iter().position(|(bytes, _)| *bytes == said);
            let at = at.unwrap_or_else(|| {
                parts.push((said, Vec::new()));
                parts.len() - 1
            });
            let members = &mut parts[at].1;
            match members.last_mut() {
                Some((last, known)) if std::ptr::eq(*last, form) => known.extend(times),
                _ => members.push((form, times)),
            }
        };
        for (form, times) in std::mem::take(&mut group.members) {
            if let Some(said) = say(form, None) {
                add(said, form, times);
                continue;
            }
            for time in times {
                if let Some(said) = say(form, Some(time)) {
                    add(said, form, vec![time]);
                }
            }
        }
        let (hash, size) = (group.hash.clone(), group.size);
        for (index, (said, members)) in parts.into_iter().enumerate() {
            let mut hash = hash.clone();
            hash.update(&said);
            let part = Group {
                hash,
                size: size + said.len() as u64,
                members,
            };
            if index == 0 {
                *group = part;
            } else if count < most {
                count += 1;
                new.push(part);
            }
        }
    }
    groups.extend(new);
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
            group.hash.update(&buffer[..size]);
            group.size += size as u64;
        }
        pulse.beat()?;
    }
}
