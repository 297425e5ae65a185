//! PDF files of a few objects, written by tests.

use hayro_syntax::Pdf;

/// A file of these objects, numbered from 1; the first is the catalog.
pub(super) fn file<O: AsRef<[u8]>>(objects: &[O], trailer: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n", number + 1).into_bytes());
        file.extend(object.as_ref());
        file.extend(b"\nendobj\n");
    }
    let xref = file.len();
    let size = objects.len() + 1;
    file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").into_bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").into_bytes());
    }
    let end = format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{xref}\n%%EOF\n");
    file.extend(end.into_bytes());
    file
}

/// An opened [`file`].
pub(super) fn pdf<O: AsRef<[u8]>>(objects: &[O], trailer: &str) -> Pdf {
    Pdf::new(file(objects, trailer)).expect("the fixture opens")
}

/// A catalog, a tree of two pages of 600 by 800 points (objects 3 and 4, the second turned by a
/// quarter), then the given objects from number 5.
pub(super) fn two_pages<O: AsRef<[u8]>>(catalog: &str, page: &str, more: &[O]) -> Pdf {
    let mut objects = vec![
        format!("<</Type/Catalog/Pages 2 0 R{catalog}>>").into_bytes(),
        b"<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2/MediaBox[0 0 600 800]>>".to_vec(),
        format!("<</Type/Page/Parent 2 0 R{page}>>").into_bytes(),
        b"<</Type/Page/Parent 2 0 R/Rotate 90>>".to_vec(),
    ];
    objects.extend(more.iter().map(|object| object.as_ref().to_vec()));
    pdf(&objects, "")
}

/// A stream object with its length.
pub(super) fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<<{dict}/Length {}>>\nstream\n", data.len()).into_bytes();
    object.extend(data);
    object.extend(b"\nendstream");
    object
}
