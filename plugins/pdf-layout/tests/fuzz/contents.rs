//! Content streams and stream data for [`crate::seeds`].

use std::fmt::Write as _;

/// Headings, paragraphs, a list, code, a drawn line.
pub(crate) fn article() -> Vec<u8> {
    let mut content =
        "BT /F2 18 Tf 50 720 Td (A title of some length) Tj ET BT /F1 10 Tf 12 TL 50 690 Td "
            .to_owned();
    for n in 0..12 {
        let written = write!(
            content,
            "(Words in line {n} of a para-) ' [(gr) 20 (aph) -500 (and more)] TJ T* "
        );
        written.expect("a string takes everything");
    }
    content.push_str(
        "ET BT /F2 12 Tf 50 380 Td (1.2 A section) Tj ET BT /F1 10 Tf 60 360 Td (\\225 first item) Tj \
         0 -12 Td (\\225 second item) Tj /F3 9 Tf 0 -30 Td (let x = 1;) Tj 0 -10 Td (  x += 1;) Tj \
         3 Tr 0 -20 Td (unseen) Tj 0 Tr 5 Ts /F1 5 Tf (2) Tj ET 50 200 m 200 200 l S",
    );
    content.into_bytes()
}

/// A page with a running head and its number.
pub(crate) fn numbered_page(number: usize) -> Vec<u8> {
    format!(
        "BT /F1 8 Tf 50 770 Td (A running head) Tj 500 0 Td (Page {number}) Tj ET BT /F1 10 Tf 14 TL \
         50 700 Td (What page {number} says is its own) ' (and goes on for a line or two) ' ET \
         BT /F1 8 Tf 300 20 Td ({number}) Tj ET"
    )
    .into_bytes()
}

/// A table with all its lines, one with some, one with none, one with shaded rows.
pub(crate) fn tables() -> Vec<u8> {
    let mut content = String::new();
    for table in 0..4 {
        let top = 740 - 180 * table;
        for row in 0..5 {
            let y = top - 20 * row;
            let lines = match table {
                0 => format!("50 {y} 400 20 re S 150 {y} m 150 {} l S ", y + 20),
                1 if row % 4 == 0 => format!("50 {y} m 450 {y} l S "),
                3 if row % 2 == 0 => format!(".9 g 50 {y} 400 20 re f 0 g "),
                _ => String::new(),
            };
            content.push_str(&lines);
            for column in 0..4 {
                let x = 55 + 100 * column;
                let cell = format!("BT /F1 9 Tf {x} {} Td (r{row} c{column} | x) Tj ET ", y + 5);
                content.push_str(&cell);
            }
        }
    }
    content.into_bytes()
}

/// Numbers at and beyond every bound, in every operator that takes some.
pub(crate) fn numbers() -> Vec<u8> {
    let mut content = String::new();
    for number in NUMBERS {
        let all = format!(
            "q {number} 0 0 {number} {number} 0 cm {number} w BT /F1 {number} Tf {number} Tc {number} Tw \
             {number} Tz {number} TL {number} Ts {number} Tr {number} {number} Td (ab) Tj [(a) {number} (b)] TJ \
             1 0 {number} 1 {number} 9 Tm (cd) Tj {number} {number} (ef) \" ET \
             {number} {number} m 9 {number} l 1 2 {number} 4 5 6 c h S {number} 9 {number} {number} re B \
             {number} {number} {number} rg {number} G /Span<</MCID {number}>>BDC (g) ' EMC Q "
        );
        content.push_str(&all);
    }
    content.into_bytes()
}

/// Numbers that readers get wrong.
pub(crate) const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "1",
    "-1",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "99999999999999999999999999",
    "1e38",
    "1e400",
    "-1e400",
    "0.0000000000000000001",
    "340282350000000000000000000000000000000.",
    "--5",
    "+-1",
    ".",
    "-",
    "1.2.3",
    "NaN",
];

/// Data for each of the filters of the seed, in its order: real where a few bytes are.
pub(crate) fn filtered() -> [Vec<u8>; 11] {
    let plain: Vec<u8> = (0..1_600_u32).map(|n| (n * 31 % 255) as u8).collect();
    let hex: String = plain.iter().map(|byte| format!("{byte:02X}")).collect();
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0\x43\0".to_vec();
    let jpeg = [
        &jpeg[..],
        &[1; 64],
        b"\xff\xc0\0\x0b\x08\0\x28\0\x28\x01\x01\x11\0\xff\xc4\0\x14\0\x01",
        &[0; 15],
        b"\x03\xff\xc4\0\x14\x10\x01",
        &[0; 16],
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0",
        &[0; 40],
        b"\xff\xd9",
    ]
    .concat();
    let jpx = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\x2djp2h\0\0\0\x16ihdr\0\0\0\x28\0\0\0\x28\
        \0\x03\x07\x07\0\0\0\0\0\x0fcolr\x01\0\0\0\0\0\x10\0\0\0\0jp2c\xff\x4f\xff\x51\0\x2f\0\0\0\0\0\x28\0\0\0\x28"
        .to_vec();
    let jbig2 = b"\0\0\0\0\x30\0\x01\0\0\0\x13\0\0\0\x28\0\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x26\0\x01\0\0\0\x20".to_vec();
    [
        stored(&plain),
        b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01".to_vec(),
        (hex + ">").into_bytes(),
        b"9jqo^BlbD-BleB1DJ+*+F(f,q/0JhKF<GL>Cj@.4Gp$d7F!,L7@<6@)/0JDEF<G%<+EV:2F!,zz~>".to_vec(),
        [&[127][..], &plain[..128], &[129, 7, 255, 8, 128]].concat(),
        vec![0x26, 0xa0, 0x5a, 0x3f, 0, 0x10, 0x01, 0, 0x10, 0x01],
        jpeg,
        jpx,
        jbig2,
        plain.clone(),
        plain,
    ]
}

/// As zlib stores what it does not compress.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("one block");
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let head = [0x78, 0x01, 0x01];
    let check = (b << 16 | a).to_be_bytes();
    [
        &head[..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        data,
        &check,
    ]
    .concat()
}
