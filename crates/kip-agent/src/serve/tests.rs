use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::pieces::Piece;
use crate::protocol::{HEADER, Listed, StoreKind};

/// A store that counts how often something is opened.
struct Counting(Rc<Cell<usize>>);

impl Store for Counting {
    fn kind(&self) -> StoreKind {
        StoreKind::Docker
    }

    fn pieces(&self, part: &Part) -> io::Result<Option<Pieces>> {
        self.0.set(self.0.get() + 1);
        let Part::TarSplit { chain_id } = part else {
            return Ok(None);
        };
        let texts = [chain_id.clone(), "cdef".to_owned(), "gh".to_owned()];
        let pieces = texts.map(|text| Ok(Piece::Bytes(text.into_bytes())));
        let lost = Err(io::Error::other("lost"));
        Ok(Some(Box::new(pieces.into_iter().chain([lost]))))
    }
}

#[test]
fn what_is_read_in_a_row_is_opened_once() {
    let opened = Rc::new(Cell::new(0));
    let stores: [Box<dyn Store>; 1] = [Box::new(Counting(opened.clone()))];
    let mut last = Last::default();
    let mut check = |chain_id: &str, offset, length, expected: &str, times| {
        let part = Part::TarSplit {
            chain_id: chain_id.to_owned(),
        };
        let mut stream = last.take(&stores, &part, offset).unwrap().unwrap();
        let mut text = String::new();
        match stream.by_ref().take(length).read_to_string(&mut text) {
            Ok(_) => last.keep(part, stream),
            Err(error) => text = error.to_string(),
        }
        assert_eq!((text.as_str(), opened.get()), (expected, times));
    };
    check("ab", 0, 3, "abc", 1);
    check("ab", 3, 1, "d", 1);
    // Another connection has read what is between.
    check("ab", 5, 2, "fg", 1);
    check("ab", 1, 2, "bc", 2);
    check("AB", 3, 2, "de", 3);
    check("AB", 5, 4, "lost", 3);
    // What has failed is not gone on with.
    check("AB", 6, 2, "gh", 4);
    check("AB", 8, 0, "", 4);
}

/// A store that is slow, or damaged as a whole, or in one image; it has the one that is wanted by its kind's name.
struct Odd {
    is_damaged: bool,
    pause: Duration,
}

const FINE: Odd = Odd {
    is_damaged: false,
    pause: Duration::ZERO,
};

impl Odd {
    fn look(&self, looking: &mut Looking<'_>) -> io::Result<()> {
        if self.is_damaged {
            return Err(io::Error::other("a damaged store"));
        }
        std::thread::sleep(self.pause);
        looking.working()?;
        looking.note("b:1", Err::<(), _>(io::Error::other("damaged")))?;
        Ok(())
    }
}

impl Store for Odd {
    fn kind(&self) -> StoreKind {
        StoreKind::Containerd
    }

    fn list(&self, looking: &mut Looking<'_>) -> io::Result<Vec<Listed>> {
        self.look(looking)?;
        Ok(vec![Listed {
            names: vec!["a:1".to_owned()],
            digest: None,
            id: None,
            size: None,
            store: self.kind(),
            blobs: None,
        }])
    }

    fn find(&self, wanted: &Wanted, looking: &mut Looking<'_>) -> io::Result<Option<Image>> {
        self.look(looking)?;
        let is_it = wanted.name.as_deref() == Some("a:1");
        Ok(is_it.then(|| Image {
            names: vec!["a:1".to_owned()],
            store: self.kind(),
            manifest: None,
            index: None,
            config: crate::documents::document(b"{}", "", None),
            layers: Vec::new(),
        }))
    }

    fn pieces(&self, _: &Part) -> io::Result<Option<Pieces>> {
        self.look(&mut Looking::new(&mut || Ok(())))?;
        Ok(Some(Box::new(std::iter::empty())))
    }
}

/// The kinds and bytes of the frames with which these stores answer.
fn ask(stores: Vec<Odd>, request: &Request) -> Vec<(Kind, String)> {
    let boxed = stores.into_iter().map(|it| Box::new(it) as _);
    let stores: Vec<Box<dyn Store>> = boxed.collect();
    let mut out = Vec::new();
    let line = serde_json::to_vec(request).unwrap();
    serve(&stores, &mut line.as_slice(), &mut out).unwrap();
    let mut frames = Vec::new();
    let mut rest = out.as_slice();
    while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
        let header = Header::parse(*header).unwrap();
        let (bytes, after) = after.split_at(header.wire_size as usize);
        frames.push((header.kind, String::from_utf8(bytes.to_vec()).unwrap()));
        rest = after;
    }
    frames
}

fn named(name: &str) -> Request {
    let wanted = Wanted {
        digest: None,
        name: Some(name.to_owned()),
    };
    Request::Find { wanted }
}

fn damaged() -> Odd {
    Odd {
        is_damaged: true,
        ..FINE
    }
}

#[test]
fn what_is_damaged_hides_no_other_image_and_is_told() {
    let answer = ask(vec![damaged(), FINE], &Request::List {});
    let listing: Listing = serde_json::from_str(&answer[0].1).unwrap();
    assert_eq!(listing.images.len(), 1);
    assert_eq!(listing.problems, ["a damaged store", "b:1: damaged"]);
    let answer = ask(vec![damaged(), FINE], &named("a:1"));
    assert_eq!(answer[0].0, Kind::Answer);
    let image: Image = serde_json::from_str(&answer[0].1).unwrap();
    assert_eq!(image.names, ["a:1"]);
    let answer = ask(vec![damaged(), FINE], &named("c:1"));
    let expected =
        "the node has no image c:1; this could not be read: a damaged store; b:1: damaged";
    assert_eq!(answer, [(Kind::Error, expected.to_owned())]);
    let read = Request::Read {
        part: Part::Blob {
            digest: String::new(),
        },
        offset: 0,
        length: 1,
        compress: false,
    };
    assert_eq!(ask(vec![damaged(), FINE], &read)[0].0, Kind::End);
    let answer = ask(vec![damaged()], &read);
    assert_eq!(answer, [(Kind::Error, "a damaged store".to_owned())]);
}

#[test]
fn of_many_problems_some_are_told() {
    let wanted = Wanted {
        digest: None,
        name: Some("a".to_owned()),
    };
    let problems: Vec<_> = (0..8).map(|at| at.to_string()).collect();
    let error = not_found(&wanted, &problems).to_string();
    let expected = "the node has no image a; this could not be read: 0; 1; 2; 3; 4; and 3 more";
    assert_eq!(error, expected);
    let error = not_found(&wanted, &[]).to_string();
    assert_eq!(error, "the node has no image a");
}

#[test]
fn that_there_is_work_going_on_is_said_while_it_lasts() {
    let slow = || Odd {
        pause: Duration::from_millis(1100),
        ..FINE
    };
    for (request, end) in [
        (Request::List {}, Kind::Answer),
        (named("c:1"), Kind::Error),
    ] {
        let answer = ask(vec![slow()], &request);
        let kinds: Vec<_> = answer.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Working, end]);
    }
}

#[test]
fn a_ping_is_answered_with_the_version() {
    let answer = ask(vec![FINE], &Request::Ping {});
    assert_eq!(answer, [(Kind::Answer, VERSION.to_string())]);
}
