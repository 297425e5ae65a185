//! Changes: of bytes, which mostly test repair and filters, and of objects, which get past those.

use crate::contents::NUMBERS;
use crate::file::{FORMS, File, Object};
use crate::random::Random;

/// Changes of one case.
const CHANGES_MAX: usize = 8;

/// What a piece of a file is mistaken for.
const TOKENS: [&str; 28] = [
    "obj",
    "endobj",
    "stream\n",
    "\nendstream",
    "xref\n",
    "trailer",
    "startxref\n0",
    "%%EOF",
    "<<",
    ">>",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "R",
    "null",
    "true",
    "/Type",
    "/Kids",
    "/Length 99999999",
    "BT",
    "ET",
    "q ",
    "Q ",
    " Do ",
    "BI ID EI",
];

/// Names that other parts of a file use: a dictionary with one of them is read as something else.
const NAMES: [&str; 40] = [
    "Page",
    "Pages",
    "Catalog",
    "Font",
    "Type0",
    "Type3",
    "TrueType",
    "CIDFontType2",
    "Image",
    "Form",
    "Link",
    "Widget",
    "FlateDecode",
    "LZWDecode",
    "DCTDecode",
    "JPXDecode",
    "JBIG2Decode",
    "ASCII85Decode",
    "CCITTFaxDecode",
    "RunLengthDecode",
    "Identity-H",
    "UniGB-UTF16-H",
    "WinAnsiEncoding",
    "DeviceCMYK",
    "Indexed",
    "Kids",
    "First",
    "Next",
    "Parent",
    "Contents",
    "Resources",
    "Filter",
    "DecodeParms",
    "ToUnicode",
    "Encoding",
    "W",
    "K",
    "MCID",
    "Length",
    "Prev",
];

/// Changes bytes here and there.
pub(crate) fn bytes(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(CHANGES_MAX) {
        if data.is_empty() {
            return;
        }
        let at = random.below(data.len());
        let length = 1 + random.below(64).min(data.len() - at - 1);
        match random.below(9) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.next() as u8,
            2 => drop(data.drain(at..at + length)),
            3 => {
                let piece = data[at..at + length].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, piece);
            }
            4 => insert(data, at, random.one_of(&TOKENS).as_bytes()),
            5 => insert(data, at, random.one_of(&NUMBERS).as_bytes()),
            6 => number(data, random),
            7 if random.once_in(4) => data.truncate(at),
            _ => {
                let to = random.below(data.len());
                data.swap(at, to);
            }
        }
    }
}

/// Changes objects; where they are found is told rightly afterwards.
pub(crate) fn objects(file: &mut File, random: &mut Random) {
    file.form = *random.one_of(&FORMS);
    for _ in 0..=random.below(CHANGES_MAX) {
        let count = file.objects.len();
        let at = random.below(count);
        if random.once_in(12) {
            let other = file.objects[random.below(count)].clone();
            file.objects[at] = other;
            continue;
        }
        let object = &mut file.objects[at];
        match &mut object.stream {
            Some(data) if random.once_in(2) => stream(data, random),
            _ => value(&mut object.value, count, random),
        }
    }
}

/// Changes a dictionary or another value.
fn value(value: &mut Vec<u8>, count: usize, random: &mut Random) {
    match random.below(8) {
        0 | 1 => reference(value, count, random),
        2 | 3 => number(value, random),
        4 => name(value, random),
        5 => {
            // One more entry, which may be a second one of its name.
            let (key, to) = (random.one_of(&NAMES), 1 + random.below(count));
            let number = random.one_of(&NUMBERS);
            let entry = match random.below(5) {
                0 => format!("/{key} {to} 0 R"),
                1 => format!("/{key} {number}"),
                2 => format!("/{key}/{}", random.one_of(&NAMES)),
                3 => format!("/{key}[{to} 0 R {number} {to} 0 R]"),
                _ => format!("/{key}<</{} {to} 0 R>>", random.one_of(&NAMES)),
            };
            let at = value.len().saturating_sub(2);
            insert(value, at, entry.as_bytes());
        }
        6 => {
            let depth = 1 + random.below(300);
            let (open, close) = *random.one_of(&[("[", "]"), ("<</K", ">>"), ("(", ")")]);
            *value = [
                open.repeat(depth).as_bytes(),
                value,
                close.repeat(depth).as_bytes(),
            ]
            .concat();
        }
        _ => bytes(value, random),
    }
}

/// Changes the data of a stream; contents by their words, others as bytes.
fn stream(data: &mut Vec<u8>, random: &mut Random) {
    let pieces: Vec<&[u8]> = data.split(|byte| *byte == b' ').collect();
    let is_content = pieces.len() > 4 && data.is_ascii();
    if !is_content || random.once_in(4) {
        bytes(data, random);
        return;
    }
    let mut pieces: Vec<Vec<u8>> = pieces.into_iter().map(<[u8]>::to_vec).collect();
    for _ in 0..=random.below(CHANGES_MAX) {
        let (at, other) = (random.below(pieces.len()), random.below(pieces.len()));
        match random.below(5) {
            0 => pieces[at] = random.one_of(&NUMBERS).as_bytes().to_vec(),
            1 => pieces.swap(at, other),
            2 => pieces[at] = pieces[other].clone(),
            3 => {
                let length = random.below(30).min(pieces.len() - at);
                let piece = pieces[at..at + length].to_vec();
                for _ in 0..random.below(20) {
                    pieces.splice(other..other, piece.clone());
                }
            }
            _ => pieces[at] = random.one_of(&TOKENS).as_bytes().to_vec(),
        }
    }
    *data = pieces.join(&b' ');
}

fn insert(data: &mut Vec<u8>, at: usize, piece: &[u8]) {
    data.splice(at..at, piece.iter().copied());
}

/// Puts another number in the place of one.
fn number(data: &mut Vec<u8>, random: &mut Random) {
    let is_of = |byte: &u8| byte.is_ascii_digit() || b"+-.".contains(byte);
    replace_run(data, random, is_of, |random| {
        random.one_of(&NUMBERS).as_bytes().to_vec()
    });
}

/// Puts another name in the place of one.
fn name(data: &mut Vec<u8>, random: &mut Random) {
    let is_of = |byte: &u8| byte.is_ascii_alphabetic();
    replace_run(data, random, is_of, |random| {
        random.one_of(&NAMES).as_bytes().to_vec()
    });
}

/// Replaces the first run of such bytes behind some place.
fn replace_run(
    data: &mut Vec<u8>,
    random: &mut Random,
    is_of: impl Fn(&u8) -> bool,
    other: impl Fn(&mut Random) -> Vec<u8>,
) {
    let from = random.below(data.len());
    let Some(start) = data[from..].iter().position(&is_of) else {
        return;
    };
    let start = from + start;
    let length = data[start..].iter().take_while(|byte| is_of(byte)).count();
    data.splice(start..start + length, other(random));
}

/// Lets a reference lead elsewhere: to another object, itself, or none.
fn reference(data: &mut Vec<u8>, count: usize, random: &mut Random) {
    let references: Vec<usize> = data
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == b" 0 R")
        .map(|(at, _)| at)
        .collect();
    if references.is_empty() {
        return;
    }
    let end = *random.one_of(&references);
    let digits = data[..end]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let other = (1 + random.below(count + 2)).to_string();
    data.splice(end - digits..end, other.into_bytes());
}

#[test]
fn changes_are_the_same_again_and_change() {
    let seeds = crate::seeds::by_hand();
    let changed = |case| {
        let mut random = Random::of_case(1, case);
        let mut file = seeds[random.below(seeds.len())].1.clone();
        let before = file.bytes();
        objects(&mut file, &mut random);
        let mut data = file.bytes();
        let is_changed = data != before;
        bytes(&mut data, &mut random);
        (data, is_changed)
    };
    assert!((0..50).all(|case| changed(case) == changed(case)));
    assert!((0..50).filter(|case| changed(*case).1).count() > 40);
    let mut object = Object {
        value: b"<</A 7 0 R>>".to_vec(),
        stream: None,
    };
    reference(&mut object.value, 1, &mut Random::of_case(1, 1));
    assert_ne!(object.value, b"<</A 7 0 R>>");
}
