//! Answers requests, one after the other, over standard input and output.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};
use std::time::{Duration, Instant};

use crate::pieces::Joined;
use crate::protocol::{
    Coding, Header, Image, Kind, Layer, Listing, MAX_FRAME, Part, Rebuilt, Request, VERSION,
    Wanted, read_request, write_plain,
};
use crate::store::{Looking, Pieces, Store};

/// The bytes of a data frame, before compression.
const FRAME: usize = 256 << 10;

/// How many frames are sent plain after one that did not become smaller.
const PATIENCE: u32 = 16;

/// How many problems are told where an image is not found.
const TOLD: usize = 5;

/// zstd's level: the fastest that still halves programs.
const LEVEL: i32 = 1;

/// Answers until the input ends.
///
/// # Errors
/// When one of the streams fails: there is nobody left to tell.
pub fn serve(
    stores: &[Box<dyn Store>],
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut last = Last::default();
    while let Some(request) = read_request(input)? {
        let mut output = Output {
            out,
            last: Instant::now(),
        };
        if let Err(failure) = answer(stores, request, &mut last, &mut output) {
            match failure {
                Failure::Stream(error) => return Err(error),
                Failure::Request(error) => {
                    let text = error.to_string();
                    write_plain(out, Kind::Error, text.as_bytes())?;
                }
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// Why there is no answer.
enum Failure {
    /// The client cannot be reached any more.
    Stream(io::Error),
    /// The client is told.
    Request(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Request(error)
    }
}

/// Where answers go.
struct Output<'a, W> {
    out: &'a mut W,
    last: Instant,
}

impl<W: Write> Output<'_, W> {
    fn frame(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), Failure> {
        write_plain(self.out, kind, bytes).map_err(Failure::Stream)
    }

    fn json(&mut self, answer: &impl serde::Serialize) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(answer).map_err(io::Error::from)?;
        // An answer may be longer than a frame: a node with many images.
        let mut chunks = bytes.chunks(MAX_FRAME).peekable();
        while let Some(chunk) = chunks.next() {
            let kind = if chunks.peek().is_some() {
                Kind::Data
            } else {
                Kind::Answer
            };
            self.frame(kind, chunk)?;
        }
        Ok(())
    }

    /// Says once a second that there is work going on.
    fn working(&mut self) -> io::Result<()> {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            write_plain(self.out, Kind::Working, b"")?;
            self.out.flush()?;
        }
        Ok(())
    }
}

fn answer<W: Write>(
    stores: &[Box<dyn Store>],
    request: Request,
    last: &mut Last,
    output: &mut Output<'_, W>,
) -> Result<(), Failure> {
    match request {
        Request::Ping {} => output.json(&VERSION),
        Request::List {} => {
            let listing = list(stores, output)?;
            output.json(&listing)
        }
        Request::Find { wanted } => {
            let image = find(stores, &wanted, output)?;
            output.json(&image)
        }
        Request::Rebuild { layer, created } => {
            let rebuilt = rebuild(stores, &layer, &created, output)?;
            output.json(&rebuilt)
        }
        Request::Read {
            part,
            offset,
            length,
            compress,
        } => {
            let Some(mut stream) = last.take(stores, &part, offset)? else {
                let what = format!("it is not on the node any more: {part:?}");
                return Err(io::Error::new(io::ErrorKind::NotFound, what).into());
            };
            send(&mut stream.by_ref().take(length), compress, output)?;
            last.keep(part, stream);
            Ok(())
        }
    }
}

fn list<W: Write>(stores: &[Box<dyn Store>], output: &mut Output<'_, W>) -> io::Result<Listing> {
    let working = &mut || output.working();
    let mut looking = Looking::new(working);
    let mut images = Vec::new();
    for store in stores {
        let listed = store.list(&mut looking);
        images.extend(looking.note("", listed)?.unwrap_or_default());
    }
    images.sort();
    Ok(Listing {
        images,
        problems: looking.into_problems(),
    })
}

fn find<W: Write>(
    stores: &[Box<dyn Store>],
    wanted: &Wanted,
    output: &mut Output<'_, W>,
) -> io::Result<Image> {
    let working = &mut || output.working();
    let mut looking = Looking::new(working);
    for store in stores {
        let found = store.find(wanted, &mut looking);
        if let Some(image) = looking.note("", found)?.flatten() {
            return Ok(image);
        }
    }
    Err(not_found(wanted, &looking.into_problems()))
}

/// That the image is not there, and why it may be nevertheless.
fn not_found(wanted: &Wanted, problems: &[String]) -> io::Error {
    let what = wanted.digest.as_ref().or(wanted.name.as_ref());
    let what = what.map_or("what has no name and no digest", String::as_str);
    let mut text = format!("the node has no image {what}");
    if !problems.is_empty() {
        let told = &problems[..problems.len().min(TOLD)];
        text += "; this could not be read: ";
        text += &told.join("; ");
        let more = problems.len() - told.len();
        if more > 0 {
            let _ = write!(text, "; and {more} more");
        }
    }
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn rebuild<W: Write>(
    stores: &[Box<dyn Store>],
    layer: &Layer,
    created: &[i64],
    output: &mut Output<'_, W>,
) -> io::Result<Rebuilt> {
    let found = first(stores, |store| {
        store.rebuild(layer, created, &mut || output.working())
    });
    let gone = || {
        let chain_id = &layer.chain_id;
        let what = format!("the files of the layer {chain_id} are not on the node any more");
        io::Error::new(io::ErrorKind::NotFound, what)
    };
    found?.ok_or_else(gone)
}

/// What the first store gives that has it. One that cannot be read counts where no other has it.
fn first<T>(
    stores: &[Box<dyn Store>],
    mut get: impl FnMut(&dyn Store) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let mut damaged = None;
    for store in stores {
        match get(&**store) {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error) => drop(damaged.get_or_insert(error)),
        }
    }
    damaged.map_or(Ok(None), Err)
}

fn send<W: Write>(
    reader: &mut impl io::Read,
    compress: bool,
    output: &mut Output<'_, W>,
) -> Result<(), Failure> {
    let mut frames = Frames::new(compress)?;
    while let Some((header, bytes)) = frames.next(reader)? {
        let header = header.to_bytes();
        let sent = output
            .out
            .write_all(&header)
            .and_then(|()| output.out.write_all(bytes));
        sent.map_err(Failure::Stream)?;
    }
    output.frame(Kind::End, b"")
}

/// What was read last, where that ended. The next request mostly goes on from there, or from further on, and need not find out again
/// what a tar has before that: each file's header, down from the first one.
#[derive(Default)]
struct Last(Option<(Part, Joined<Pieces>)>);

impl Last {
    /// The part from an offset on, where a store has it.
    fn take(
        &mut self,
        stores: &[Box<dyn Store>],
        part: &Part,
        offset: u64,
    ) -> io::Result<Option<Joined<Pieces>>> {
        if let Some((last, mut stream)) = self.0.take()
            && last == *part
            && stream.go_on(offset)?
        {
            return Ok(Some(stream));
        }
        let pieces = first(stores, |store| store.pieces(part))?;
        Ok(pieces.map(|pieces| Joined::from_offset(pieces, offset)))
    }

    fn keep(&mut self, part: Part, stream: Joined<Pieces>) {
        // To open a blob anew costs nothing; held open, it would take its place on the disk when it is removed.
        if !matches!(part, Part::Blob { .. }) {
            self.0 = Some((part, stream));
        }
    }
}

/// Makes data frames.
struct Frames {
    plain: Vec<u8>,
    packed: Vec<u8>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    /// So many frames are not tried to be compressed.
    resting: u32,
}

impl Frames {
    fn new(compress: bool) -> io::Result<Self> {
        Ok(Self {
            plain: vec![0; FRAME],
            packed: vec![0; FRAME],
            compressor: compress
                .then(|| zstd::bulk::Compressor::new(LEVEL))
                .transpose()?,
            resting: 0,
        })
    }

    /// The next frame's header and bytes; `None` at the end.
    fn next(&mut self, reader: &mut impl io::Read) -> io::Result<Option<(Header, &[u8])>> {
        let size = fill(reader, &mut self.plain)?;
        if size == 0 {
            return Ok(None);
        }
        let plain = &self.plain[..size];
        let packed = match self.compressor.as_mut() {
            Some(compressor) if self.resting == 0 => {
                // What does not fit is not worth it.
                let packed = compressor.compress_to_buffer(plain, &mut self.packed);
                let packed = packed.ok().filter(|packed| *packed < size - size / 8);
                if packed.is_none() {
                    self.resting = PATIENCE;
                }
                packed
            }
            _ => {
                self.resting = self.resting.saturating_sub(1);
                None
            }
        };
        let (coding, bytes) = match packed {
            Some(packed) => (Coding::Zstd, &self.packed[..packed]),
            None => (Coding::Plain, plain),
        };
        let header = Header {
            kind: Kind::Data,
            coding,
            size: in_u32(size)?,
            wire_size: in_u32(bytes.len())?,
            crc: crc32fast::hash(plain),
        };
        Ok(Some((header, bytes)))
    }
}

fn in_u32(size: usize) -> io::Result<u32> {
    u32::try_from(size).map_err(io::Error::other)
}

/// Reads until the buffer is full or the reader is at its end.
fn fill(reader: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
