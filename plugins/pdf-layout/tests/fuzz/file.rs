//! PDF files put together from objects, in each of the ways in which the format stores them.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// How objects are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By a table at the end.
    Table,
    /// By a stream at the end.
    Stream,
    /// As [`Form::Stream`], with most objects in object streams.
    Packed,
    /// Not at all: the reader has to look for them.
    Lost,
}

pub(crate) const FORMS: [Form; 4] = [Form::Table, Form::Stream, Form::Packed, Form::Lost];

/// Objects of one object stream.
const PACKED_TOGETHER: usize = 10;

/// An object: a value, or a dictionary and a stream.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) value: Vec<u8>,
    pub(crate) stream: Option<Vec<u8>>,
}

/// A file. The object at `n` has the number `n + 1`; the first is the catalog.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) objects: Vec<Object>,
    pub(crate) form: Form,
    /// Whether streams are encrypted, with the empty password.
    pub(crate) is_encrypted: bool,
    /// Further entries of the trailer.
    pub(crate) trailer: String,
}

impl File {
    /// An empty file.
    pub(crate) fn new() -> Self {
        Self {
            objects: Vec::new(),
            form: Form::Table,
            is_encrypted: false,
            trailer: String::new(),
        }
    }

    /// Adds a value; returns its number.
    pub(crate) fn add(&mut self, value: impl Into<Vec<u8>>) -> usize {
        self.objects.push(Object {
            value: value.into(),
            stream: None,
        });
        self.objects.len()
    }

    /// Adds a stream with the entries of its dictionary but for its length; returns its number.
    pub(crate) fn add_stream(&mut self, entries: &str, data: impl Into<Vec<u8>>) -> usize {
        self.objects.push(Object {
            value: format!("<<{entries}>>").into_bytes(),
            stream: Some(data.into()),
        });
        self.objects.len()
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
        let mut places = vec![(0, 0); self.objects.len() + 1];
        let mut packed = Vec::new();
        for (at, object) in self.objects.iter().enumerate() {
            if self.form == Form::Packed && object.stream.is_none() {
                packed.push(at);
                continue;
            }
            places[at + 1] = (out.len(), usize::MAX);
            self.write_object(at + 1, object, &mut out);
        }
        for group in packed.chunks(PACKED_TOGETHER) {
            let number = places.len();
            let (mut head, mut body) = (String::new(), Vec::new());
            for (index, at) in group.iter().enumerate() {
                let written = write!(head, "{} {} ", at + 1, body.len());
                written.expect("a string takes everything");
                body.extend_from_slice(&self.objects[*at].value);
                body.push(b'\n');
                places[at + 1] = (number, index);
            }
            let entries = format!("<</Type/ObjStm/N {}/First {}>>", group.len(), head.len());
            places.push((out.len(), usize::MAX));
            let object = Object {
                value: entries.into_bytes(),
                stream: Some([head.as_bytes(), &body].concat()),
            };
            self.write_object(number, &object, &mut out);
        }
        self.write_end(&places, &mut out);
        out
    }

    fn write_object(&self, number: usize, object: &Object, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        match &object.stream {
            None => out.extend_from_slice(&object.value),
            Some(data) => {
                let encrypted = self.is_encrypted.then(|| encrypt(number, data));
                let data = encrypted.as_ref().unwrap_or(data);
                let entries = object.value.strip_suffix(b">>").unwrap_or(&object.value);
                out.extend_from_slice(entries);
                out.extend_from_slice(format!("/Length {}>>\nstream\n", data.len()).as_bytes());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\nendstream");
            }
        }
        out.extend_from_slice(b"\nendobj\n");
    }

    fn write_end(&self, places: &[(usize, usize)], out: &mut Vec<u8>) {
        let start = out.len();
        let mut entries = format!("/Root 1 0 R/Size {}{}", places.len(), self.trailer);
        if self.is_encrypted {
            entries.push_str(&encryption());
        }
        match self.form {
            Form::Lost => {
                out.extend_from_slice(format!("trailer\n<<{entries}>>\n").as_bytes());
                return;
            }
            Form::Table => {
                let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", places.len());
                for (at, _) in &places[1..] {
                    let written = writeln!(table, "{at:010} 00000 n ");
                    written.expect("a string takes everything");
                }
                out.extend_from_slice(table.as_bytes());
                out.extend_from_slice(format!("trailer\n<<{entries}>>\n").as_bytes());
            }
            Form::Stream | Form::Packed => {
                let mut rows = vec![0, 0, 0, 0, 0, 0];
                for (at, index) in &places[1..] {
                    let kind = if *index == usize::MAX { 1 } else { 2 };
                    let at = u32::try_from(*at).expect("a small file");
                    rows.push(kind);
                    rows.extend_from_slice(&at.to_be_bytes());
                    rows.push(if kind == 1 { 0 } else { *index as u8 });
                }
                let size = places.len();
                let head = format!("{size} 0 obj\n<</Type/XRef/W[1 4 1]{entries}");
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(format!("/Length {}>>\nstream\n", rows.len()).as_bytes());
                out.extend_from_slice(&rows);
                out.extend_from_slice(b"\nendstream\nendobj\n");
            }
        }
        out.extend_from_slice(format!("startxref\n{start}\n%%EOF\n").as_bytes());
    }
}

/// What the format pads passwords with.
const PAD: [u8; 32] = [
    0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
    0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
];
const ID: &[u8] = b"0123456789abcdef";
const OWNER: [u8; 32] = [b'o'; 32];
const PERMISSIONS: i32 = -4;

/// The key of 40 bits of the empty password.
fn key() -> Vec<u8> {
    let mut hash = Md5::new();
    hash.update(PAD);
    hash.update(OWNER);
    hash.update(PERMISSIONS.to_le_bytes());
    hash.update(ID);
    hash.finalize()[..5].to_vec()
}

fn encrypt(number: usize, data: &[u8]) -> Vec<u8> {
    let mut hash = Md5::new();
    hash.update(key());
    hash.update(&(number as u32).to_le_bytes()[..3]);
    hash.update([0, 0]);
    rc4(&hash.finalize()[..10], data)
}

fn encryption() -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let user = hex(&rc4(&key(), &PAD));
    let (owner, id) = (hex(&OWNER), hex(ID));
    format!(
        "/ID[<{id}><{id}>]/Encrypt<</Filter/Standard/V 1/R 2/P {PERMISSIONS}/O<{owner}>/U<{user}>>>"
    )
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0_usize;
    for i in 0..256 {
        j = (j + usize::from(state[i]) + usize::from(key[i % key.len()])) % 256;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0_usize, 0_usize);
    let stream = data.iter().map(|byte| {
        i = (i + 1) % 256;
        j = (j + usize::from(state[i])) % 256;
        state.swap(i, j);
        byte ^ state[(usize::from(state[i]) + usize::from(state[j])) % 256]
    });
    stream.collect()
}
