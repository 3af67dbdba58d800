//! Reads a bolt database that another program has open.
//!
//! The program that has it open holds its lock, so it is read without one. That is right as long as nobody has committed in
//! between: bolt never changes a page in place, and the pages of a state are only used again by the second transaction after it.
//! So what was read counts if the newest state is still the one that was begun with ([`Database::read`]).
//!
//! The format is that of `go.etcd.io/bbolt`: pages of one size; two pages with the state, the newer valid one counts; buckets are
//! B+ trees of pages, small ones lie in the value that names them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pieces::of_path;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const PAGE_HEADER: usize = 16;
const ELEMENT: usize = 16;
const META: usize = 64;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const IS_BUCKET: u32 = 1;
/// Pages of a tree below each other: with two keys in each there could be 2^20 of them.
const MAX_DEPTH: usize = 20;
/// A page with what flows over its end: the longest value that is read.
const MAX_PAGE: usize = 16 << 20;

/// A database's file.
pub struct Database {
    path: PathBuf,
    file: File,
}

/// One state of it.
struct State {
    page_size: usize,
    root: u64,
    transaction: u64,
}

/// A folder of keys in a state of the database.
pub struct Bucket<'a> {
    database: &'a Database,
    page_size: usize,
    root: Root,
}

#[derive(Clone)]
enum Root {
    Page(u64),
    /// A page that lies in the value of the bucket's name.
    Inline(Vec<u8>),
}

/// What is under a key.
enum Value {
    Bytes(Vec<u8>),
    Bucket(Root),
}

impl Database {
    /// Opens it.
    ///
    /// # Errors
    /// When there is no file, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path).map_err(|error| of_path(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Reads from the top bucket of one state, again where somebody has committed meanwhile.
    ///
    /// # Errors
    /// `read`'s; when the database is damaged, or is written to without a pause.
    pub fn read<T>(&self, read: impl Fn(&Bucket<'_>) -> io::Result<T>) -> io::Result<T> {
        let mut outcome = None;
        for _ in 0..50 {
            let state = self.state()?;
            let bucket = Bucket {
                database: self,
                page_size: state.page_size,
                root: Root::Page(state.root),
            };
            let found = read(&bucket);
            if self.state()?.transaction == state.transaction {
                outcome = Some(found);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let busy = || {
            Err(io::Error::other(
                "it was written to each time that it was read",
            ))
        };
        outcome
            .unwrap_or_else(busy)
            .map_err(|error| of_path(&self.path, error))
    }

    /// The newest state that is whole.
    fn state(&self) -> io::Result<State> {
        let first = self.meta(0);
        let page_size = match &first {
            Ok(state) => state.page_size,
            // The first page was being written. Bolt's pages are those of the operating system.
            Err(_) => rustix::param::page_size(),
        };
        let second = self.meta(page_size as u64);
        match (first, second) {
            (Ok(first), Ok(second)) if second.transaction > first.transaction => Ok(second),
            (Ok(first), _) => Ok(first),
            (Err(_), Ok(second)) => Ok(second),
            (Err(error), Err(_)) => Err(of_path(&self.path, error)),
        }
    }

    fn meta(&self, at: u64) -> io::Result<State> {
        let mut bytes = [0; META];
        self.file
            .read_exact_at(&mut bytes, at + PAGE_HEADER as u64)?;
        if u32_at(&bytes, 0)? != MAGIC || u32_at(&bytes, 4)? != VERSION {
            return Err(damaged("it is no bolt database of version 2"));
        }
        if fnv(&bytes[..56]) != u64_at(&bytes, 56)? {
            return Err(damaged("the check of its state is wrong"));
        }
        let page_size = u32_at(&bytes, 8)? as usize;
        if !page_size.is_power_of_two() || !(512..=1 << 20).contains(&page_size) {
            return Err(damaged("the size of its pages is wrong"));
        }
        Ok(State {
            page_size,
            root: u64_at(&bytes, 16)?,
            transaction: u64_at(&bytes, 48)?,
        })
    }

    /// A page with what flows over its end.
    fn page(&self, page_size: usize, number: u64) -> io::Result<Vec<u8>> {
        let at = number
            .checked_mul(page_size as u64)
            .ok_or_else(|| damaged("a page's number"))?;
        let mut page = vec![0; page_size];
        self.file.read_exact_at(&mut page, at)?;
        if u64_at(&page, 0)? != number {
            return Err(damaged("a page has another page's number"));
        }
        let more = u32_at(&page, 12)? as usize;
        let size = more
            .checked_add(1)
            .and_then(|pages| pages.checked_mul(page_size));
        let size = size
            .filter(|size| *size <= MAX_PAGE)
            .ok_or_else(|| damaged("a page is too long"))?;
        page.resize(size, 0);
        self.file
            .read_exact_at(&mut page[page_size..], at + page_size as u64)?;
        Ok(page)
    }
}

impl Bucket<'_> {
    /// The value under the key, if there is one.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(match self.find(key)? {
            Some(Value::Bytes(bytes)) => Some(bytes),
            Some(Value::Bucket(_)) | None => None,
        })
    }

    /// The bucket under the key, if there is one.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn bucket(&self, key: &[u8]) -> io::Result<Option<Self>> {
        Ok(match self.find(key)? {
            Some(Value::Bucket(root)) => Some(self.at(root)),
            Some(Value::Bytes(_)) | None => None,
        })
    }

    /// The bucket below these keys, if there is one.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn path(&self, keys: &[&[u8]]) -> io::Result<Option<Self>> {
        let mut bucket = self.at(self.root.clone());
        for key in keys {
            match bucket.bucket(key)? {
                Some(below) => bucket = below,
                None => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// The buckets that are directly in this one, with their keys.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn buckets(&self) -> io::Result<Vec<(Vec<u8>, Self)>> {
        let mut found = Vec::new();
        self.walk(&self.top()?, 0, &mut |key, value| {
            if let Value::Bucket(root) = value {
                found.push((key.to_vec(), self.at(root)));
            }
        })?;
        Ok(found)
    }

    fn at(&self, root: Root) -> Self {
        Self {
            database: self.database,
            page_size: self.page_size,
            root,
        }
    }

    fn top(&self) -> io::Result<Vec<u8>> {
        match &self.root {
            Root::Page(number) => self.database.page(self.page_size, *number),
            Root::Inline(page) => Ok(page.clone()),
        }
    }

    fn find(&self, key: &[u8]) -> io::Result<Option<Value>> {
        let mut page = self.top()?;
        for _ in 0..MAX_DEPTH {
            let count = usize::from(u16_at(&page, 10)?);
            if u16_at(&page, 8)? & LEAF != 0 {
                for at in 0..count {
                    let (found, value) = leaf(&page, at)?;
                    if found == key {
                        return Ok(Some(value));
                    }
                }
                return Ok(None);
            }
            // The last one whose first key is not after this one.
            let mut below = None;
            for at in 0..count {
                let (first, number) = branch(&page, at)?;
                if first > key && below.is_some() {
                    break;
                }
                below = Some(number);
            }
            let number = below.ok_or_else(|| damaged("a branch without pages"))?;
            page = self.database.page(self.page_size, number)?;
        }
        Err(damaged("its tree is too deep"))
    }

    fn walk(
        &self,
        page: &[u8],
        depth: usize,
        each: &mut impl FnMut(&[u8], Value),
    ) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(damaged("its tree is too deep"));
        }
        let flags = u16_at(page, 8)?;
        for at in 0..usize::from(u16_at(page, 10)?) {
            if flags & LEAF != 0 {
                let (key, value) = leaf(page, at)?;
                each(key, value);
            } else if flags & BRANCH != 0 {
                let (_, number) = branch(page, at)?;
                let below = self.database.page(self.page_size, number)?;
                self.walk(&below, depth + 1, each)?;
            } else {
                return Err(damaged("a page of another kind in a tree"));
            }
        }
        Ok(())
    }
}

/// The first key below an element of a branch, and the number of its page.
fn branch(page: &[u8], at: usize) -> io::Result<(&[u8], u64)> {
    let element = PAGE_HEADER + at * ELEMENT;
    let key = element + u32_at(page, element)? as usize;
    let size = u32_at(page, element + 4)? as usize;
    Ok((slice(page, key, size)?, u64_at(page, element + 8)?))
}

fn leaf(page: &[u8], at: usize) -> io::Result<(&[u8], Value)> {
    let element = PAGE_HEADER + at * ELEMENT;
    let key = element + u32_at(page, element + 4)? as usize;
    let key_size = u32_at(page, element + 8)? as usize;
    let value = slice(page, key + key_size, u32_at(page, element + 12)? as usize)?;
    let key = slice(page, key, key_size)?;
    if u32_at(page, element)? & IS_BUCKET == 0 {
        return Ok((key, Value::Bytes(value.to_vec())));
    }
    let root = match u64_at(value, 0)? {
        0 => Root::Inline(slice(value, 16, value.len().saturating_sub(16))?.to_vec()),
        number => Root::Page(number),
    };
    Ok((key, Value::Bucket(root)))
}

fn slice(bytes: &[u8], at: usize, size: usize) -> io::Result<&[u8]> {
    let end = at.checked_add(size);
    let found = end.and_then(|end| bytes.get(at..end));
    found.ok_or_else(|| damaged("an element is outside of its page"))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let found = slice(bytes, at, N)?.try_into();
    found.map_err(|_| damaged("a number is outside of its page"))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    array(bytes, at).map(u64::from_ne_bytes)
}

/// FNV-1a, the check of a state.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
