//! Documents to serve: plausible ones, and hostile ones. The same name gives the same document.

use std::fmt::Write as _;

use crate::script::{Doc, Fields, Node, Outcome, Page, Picture, PictureForm};

/// A PNG of one pixel.
pub const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\
\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

const TOPICS: [&str; 12] = [
    "Harbour",
    "Lighthouse",
    "Ferry",
    "Quay",
    "Pilot",
    "Tide",
    "Dredging",
    "Customs",
    "Warehouse",
    "Crane",
    "Breakwater",
    "Chandlery",
];

/// A number that depends on `text` and `salt` alone.
fn number(text: &str, salt: u32) -> u32 {
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    text.bytes()
        .chain(salt.to_le_bytes())
        .fold(2_166_136_261, fold)
}

fn topic(name: &str, salt: u32) -> &'static str {
    TOPICS[number(name, salt) as usize % TOPICS.len()]
}

fn page(name: &str, number_of: u32) -> Page {
    let subject = topic(name, number_of);
    let mut markdown = String::new();
    if number_of % 2 == 1 {
        write!(markdown, "# {subject} {number_of}\n\n").expect("a string takes all");
    }
    for paragraph in 0..3 {
        let other = topic(name, number_of * 31 + paragraph);
        let tonnes = number(name, number_of * 97 + paragraph) % 9_000;
        writeln!(
            markdown,
            "The {} authority moved {tonnes} tonnes past the {} on page {number_of}. Its report says \
             that the {} was never closed for longer than a tide.\n",
            subject.to_lowercase(),
            other.to_lowercase(),
            other.to_lowercase()
        )
        .expect("a string takes all");
    }
    let pictures = if number_of == 1 {
        markdown.push_str("![A chart]({chart.png})\n");
        vec![Picture {
            name: "chart.png".to_owned(),
            bytes: PNG.to_vec(),
            form: PictureForm::Presigned,
        }]
    } else {
        Vec::new()
    };
    Page { markdown, pictures }
}

/// Two pages a section, the second page a section within.
fn tree(name: &str, pages: u32) -> Vec<Node> {
    let sections = (1..=pages).step_by(2).map(|start| {
        let end = (start + 1).min(pages);
        let within = (end > start).then(|| Node {
            title: format!("More of the {}", topic(name, end)),
            start: end,
            end,
            summary: format!("What page {end} adds."),
            nodes: Vec::new(),
        });
        Node {
            title: format!("{} {start}", topic(name, start)),
            start,
            end,
            summary: format!("Pages {start} to {end} of {name}."),
            nodes: within.into_iter().collect(),
        }
    });
    sections.collect()
}

impl Doc {
    /// A report of so many pages, completed: headings, figures, a picture, a tree of two levels.
    #[must_use]
    pub fn report(name: &str, pages: u32) -> Self {
        Self {
            name: name.to_owned(),
            description: Some(format!(
                "A report on the {}.",
                topic(name, 0).to_lowercase()
            )),
            created: Some("2026-03-04T05:06:07.000Z".to_owned()),
            queued_polls: 0,
            processing_polls: 0,
            outcome: Outcome::Completed,
            pages: (1..=pages).map(|number| page(name, number)).collect(),
            tree: tree(name, pages),
            fields: Fields::NEWEST,
            faults: Vec::new(),
        }
    }

    /// The document of the fixtures of released versions. It never changes: what came of it is kept.
    #[must_use]
    pub fn released() -> Self {
        let picture = Picture {
            name: "plan.png".to_owned(),
            bytes: PNG.to_vec(),
            form: PictureForm::Presigned,
        };
        let page = |markdown: &str, pictures| Page {
            markdown: markdown.to_owned(),
            pictures,
        };
        let node = |title: &str, start, end, nodes| Node {
            title: title.to_owned(),
            start,
            end,
            summary: format!("About: {title}."),
            nodes,
        };
        Self {
            name: "released.pdf".to_owned(),
            description: Some("A plan of the harbour.".to_owned()),
            created: Some("2026-03-04T05:06:07.000Z".to_owned()),
            queued_polls: 0,
            processing_polls: 0,
            outcome: Outcome::Completed,
            pages: vec![
                page(
                    "# The harbour\n\nIts plan.\n\n![The plan]({plan.png})\n",
                    vec![picture],
                ),
                page(
                    "## The quay\n\n| stone | tonnes |\n|---|---|\n| granite | 12 |\n",
                    Vec::new(),
                ),
            ],
            tree: vec![node(
                "The harbour",
                1,
                2,
                vec![node("The quay", 2, 2, Vec::new())],
            )],
            fields: Fields::NEWEST,
            faults: Vec::new(),
        }
    }

    /// One page with one picture in each form that pages were seen to have.
    #[must_use]
    pub fn gallery(name: &str) -> Self {
        let forms = [
            ("presigned.png", PictureForm::Presigned, "{presigned.png}"),
            ("in-text.png", PictureForm::InText, "{in-text.png}"),
            ("object.png", PictureForm::Object, "object.png"),
            ("data.png", PictureForm::DataUri, "{data.png}"),
            ("bare.png", PictureForm::Base64, ""),
        ];
        let mut page = Page {
            markdown: "# Gallery\n".to_owned(),
            pictures: Vec::new(),
        };
        for (number, (name, form, target)) in forms.into_iter().enumerate() {
            // Bytes behind the end of the picture keep equal pictures apart.
            let bytes = [PNG, &[number as u8]].concat();
            page.pictures.push(Picture {
                name: name.to_owned(),
                bytes,
                form,
            });
            if !target.is_empty() {
                write!(page.markdown, "\n![{name}]({target})\n").expect("a string takes all");
            }
        }
        Self {
            pages: vec![page],
            ..Self::report(name, 1)
        }
    }

    /// Names and paths that would leave every folder they are joined to.
    #[must_use]
    pub fn hostile_paths() -> Self {
        let long = format!("{}.png", "a".repeat(5_000));
        let names = [
            "../../x.png",
            "/etc/passwd",
            "..\\..\\x.png",
            "C:\\x.png",
            "con.png",
            "%2e%2e%2fx.png",
            "a\0b.png",
            "",
            &long,
        ];
        let mut doc = Self::report("..\\..\\..\\.bashrc/../evil\u{202e}fdp.pdf", 2);
        for (number, name) in names.into_iter().enumerate() {
            let page = &mut doc.pages[0];
            page.pictures.push(Picture {
                name: name.to_owned(),
                bytes: [PNG, &[number as u8]].concat(),
                form: PictureForm::Object,
            });
            write!(page.markdown, "\n![{number}]({name})\n").expect("a string takes all");
        }
        doc
    }

    /// Text that plays page, front matter, link and placeholder.
    #[must_use]
    pub fn hostile_markdown() -> Self {
        let hostile = "---\ntype: Summary\nfull_text: /etc/passwd\n---\n\n<!-- page 7 -->\n\n\
            <!--page 9-->\n\n[[concepts/owned]] ![[../../.bashrc]] [x](javascript:alert(1))\n\n\
            ![p](kbhost-output:images/p001-01.png) kbhost-output:pages.json KBHOST-OUTPUT:x\n\n\
            <script>alert(1)</script><img src=x onerror=alert(1)>\n\n\
            \u{1b}[31mred\u{7}\u{202e}reversed\u{2066}\u{0}\u{feff}\r\rend\n\n\
            ```\nan open fence\n<!-- an open comment\n";
        let mut doc = Self::report("[[evil]]: \"x\"\n---.md", 2);
        doc.description = Some("A\n---\ntype: x\u{1b}[2J [[concepts/owned]]".to_owned());
        doc.created = Some("never\n---\nowned: true".to_owned());
        doc.pages[0].markdown = hostile.to_owned();
        doc.pages[0].pictures.clear();
        doc.tree[0].title = "[[owned]]\n# A `title` <!-- page 3 -->\u{202e}".to_owned();
        doc.tree[0].summary = hostile.to_owned();
        doc
    }
}
