//! What is done with a case, and what has to hold of what comes out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kbhost_pdf_layout::geometry::Rect;
use kbhost_pdf_layout::layout;
use kbhost_pdf_layout::layout::block::{PageBlocks, Role};
use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::markdown::{self, Piece};
use kbhost_pdf_layout::page::Page;
use kbhost_pdf_layout::read::{self, EncodedPicture, PictureFormat, PictureSink, Reader};

use crate::file::File;
use crate::pages::{self, Kind};
use crate::random::Random;
use crate::rig::{Bounds, Cases, Covered, Verdict};
use crate::{mutate, rig, seeds};

/// Bytes of Markdown for a glyph: a character may be escaped or stand in a cell, and a cell that spans
/// is followed by empty ones.
const BYTES_PER_GLYPH_MAX: usize = 200;
/// Bytes of a page whatever its glyphs: notes, pictures, links.
const BYTES_PER_PAGE_MAX: usize = 200_000;

/// A case may take this long in a release; an unoptimised build is slower by a factor.
const CPU_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 5 });
const BOUNDS: Bounds = Bounds {
    cpu_max: CPU_MAX,
    // The tests of other crates and other people's builds may have the processors.
    wall_max: Duration::from_secs(240),
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file is opened and read, page by page.
    Parse,
    /// A page of glyphs is laid out.
    Layout,
    /// A file becomes Markdown.
    Whole,
}

impl Target {
    /// As it is called where a case is repeated.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Layout => "layout",
            Self::Whole => "whole",
        }
    }

    /// Runs cases. Files on disk are seeds too if `with_disk`.
    pub(crate) fn run(self, cases: Cases, with_disk: bool) -> Covered {
        let seeds = Arc::new(Seeds::new(with_disk));
        rig::run(self.name(), cases, BOUNDS, move |seed, case| match self {
            Self::Parse => parse(seeds.bytes(seed, case)),
            Self::Layout => lay_out(seed, case),
            Self::Whole => whole(seeds.bytes(seed, case)),
        })
    }
}

/// What files are made from.
pub(crate) struct Seeds {
    by_hand: Vec<(&'static str, File)>,
    on_disk: Vec<PathBuf>,
}

impl Seeds {
    pub(crate) fn new(with_disk: bool) -> Self {
        Self {
            by_hand: seeds::by_hand(),
            on_disk: if with_disk {
                seeds::from_disk()
            } else {
                Vec::new()
            },
        }
    }

    /// The file of a case. The first cases are the seeds by hand as they are.
    pub(crate) fn bytes(&self, seed: u64, case: u64) -> Vec<u8> {
        let first = usize::try_from(case)
            .ok()
            .and_then(|case| self.by_hand.get(case));
        if let Some((_, file)) = first {
            return file.bytes();
        }
        let mut random = Random::of_case(seed, case);
        if !self.on_disk.is_empty() && random.once_in(3) {
            let mut data = std::fs::read(random.one_of(&self.on_disk)).unwrap_or_default();
            mutate::bytes(&mut data, &mut random);
            return data;
        }
        let mut file = random.one_of(&self.by_hand).1.clone();
        if !random.once_in(4) {
            mutate::objects(&mut file, &mut random);
        }
        let mut data = file.bytes();
        if random.once_in(3) {
            mutate::bytes(&mut data, &mut random);
        }
        data
    }
}

/// Bounds that small files reach, so that a case ends soon.
fn limits() -> Limits {
    Limits {
        pages: 200,
        operators_per_page: 20_000,
        glyphs_per_page: 5_000,
        glyphs: 20_000,
        nesting: 12,
        rules_per_page: 2_000,
        annotations_per_page: 50,
        bookmarks: 100,
        names: 100,
        elements: 500,
        fonts: 30,
        picture_pixels: 1_000_000,
        pixels: 4_000_000,
        pictures: 20,
        picture_bytes: 4 << 20,
        held_bytes: 4 << 20,
        markdown_bytes: 1 << 20,
    }
}

fn parse(data: Vec<u8>) -> Verdict {
    let Ok(pdf) = read::open(data, None) else {
        return Ok("refused");
    };
    let limits = limits();
    let mut reader = Reader::new(&pdf, limits);
    let count = reader.page_count().min(limits.pages);
    let mut pictures = Pictures::default();
    let mut glyphs = 0;
    for number in 1..=count {
        let page = reader.page(number, &mut pictures);
        glyphs += page.glyphs.len();
        page_is_bounded(&page, &limits)?;
        holds(
            page.glyphs
                .iter()
                .all(|glyph| usize::from(glyph.font) < reader.fonts().len()),
            "a glyph has no font",
        )?;
    }
    holds(
        reader.fonts().len() <= usize::from(limits.fonts),
        "too many fonts",
    )?;
    pictures.are_bounded(&limits)?;
    let bookmarks = reader.bookmarks();
    holds(
        bookmarks.len() <= limits.bookmarks as usize,
        "too many bookmarks",
    )?;
    holds(
        bookmarks.iter().all(|bookmark| {
            bookmark
                .page
                .is_none_or(|page| (1..=reader.page_count()).contains(&page))
        }),
        "a bookmark leads to no page",
    )?;
    drop((reader.metadata(), reader.structure()));
    Ok(if glyphs > 0 {
        "with text"
    } else {
        "without text"
    })
}

/// Counts pictures, and looks whether each is one.
#[derive(Default)]
struct Pictures {
    count: usize,
    bytes: usize,
    are_odd: bool,
}

impl PictureSink for Pictures {
    fn put(&mut self, _: u32, picture: &EncodedPicture) -> bool {
        let begins: &[u8] = match picture.format {
            PictureFormat::Jpeg => b"\xff\xd8",
            PictureFormat::Png => b"\x89PNG\r\n",
        };
        let has_pixels = picture.width > 0 && picture.height > 0;
        self.are_odd |= !picture.bytes.starts_with(begins) || !has_pixels;
        self.count += 1;
        self.bytes += picture.bytes.len();
        true
    }
}

impl Pictures {
    fn are_bounded(&self, limits: &Limits) -> Result<(), String> {
        holds(!self.are_odd, "a picture is none")?;
        holds(
            self.count <= limits.pictures as usize,
            "too many pictures are kept",
        )?;
        holds(
            self.bytes as u64 <= limits.picture_bytes,
            "pictures are too large together",
        )
    }
}

/// What the reader promises of a page.
fn page_is_bounded(page: &Page, limits: &Limits) -> Result<(), String> {
    let finite = |rect: &Rect| {
        [rect.x0, rect.y0, rect.x1, rect.y1]
            .iter()
            .all(|n| n.is_finite())
    };
    let glyphs = page.glyphs.iter();
    let numbers = glyphs.flat_map(|glyph| [glyph.x0, glyph.x1, glyph.baseline, glyph.size]);
    holds(numbers.clone().all(f32::is_finite), "a glyph is nowhere")?;
    holds(
        page.glyphs.iter().all(|glyph| glyph.size > 0.0),
        "a glyph without size",
    )?;
    holds(page.width > 0.0 && page.height > 0.0, "a page without size")?;
    let rules = page.rules.iter().map(|rule| &rule.rect);
    let fills = page.fills.iter().map(|fill| &fill.rect);
    let pictures = page.pictures.iter().map(|picture| &picture.rect);
    let links = page.links.iter().map(|link| &link.rect);
    let notes = page.notes.iter().map(|note| &note.rect);
    let mut all = rules.chain(fills).chain(pictures).chain(links).chain(notes);
    holds(all.all(finite), "a box is not finite")?;
    // A code may stand for several characters, and the last one may go over.
    let glyphs_max = limits.glyphs_per_page as usize + 16;
    holds(page.glyphs.len() <= glyphs_max, "too many glyphs")?;
    let drawn = page.rules.len() + page.fills.len();
    holds(
        drawn <= limits.rules_per_page as usize + 4,
        "too many rules",
    )?;
    let annotations = page.links.len() + page.notes.len();
    holds(
        annotations <= limits.annotations_per_page as usize,
        "too many annotations",
    )?;
    holds(
        page.pictures.len() <= limits.pictures as usize,
        "too many pictures",
    )
}

fn lay_out(seed: u64, case: u64) -> Verdict {
    let mut random = Random::of_case(seed, case);
    let kind = *random.one_of(&pages::KINDS);
    let size = match (kind, cfg!(debug_assertions)) {
        (Kind::Many, false) if random.once_in(10) => Limits::default().glyphs_per_page as usize,
        (Kind::Many, _) => 3_000,
        _ => 1 + random.below(600),
    };
    let page = pages::page(kind, size, &mut random);
    let fonts = pages::fonts();
    let make = || {
        let mut pages = vec![layout::page(&page, &fonts)];
        layout::document(&mut pages, &[], None);
        pages
    };
    let pages = make();
    let text = checked_text(&pages, page.glyphs.len())?;
    holds(
        same(&pages, &make()) && text == text_of(&make()),
        "not the same again",
    )?;
    if matches!(kind, Kind::Set | Kind::Strewn) {
        each_comes_out(&page, &pages, &text)?;
    }
    Ok(match kind {
        Kind::Set => "like print",
        Kind::Strewn => "strewn",
        Kind::Extreme => "extreme",
        Kind::Many => "many",
    })
}

/// Numbers that are none are not the same as themselves; what is shown of them is.
fn same(a: &[PageBlocks], b: &[PageBlocks]) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

/// Every letter of the page is in the Markdown as often, but for what is marked as furniture.
fn each_comes_out(page: &Page, pages: &[PageBlocks], text: &str) -> Result<(), String> {
    let mut missing = std::collections::BTreeMap::new();
    for glyph in page
        .glyphs
        .iter()
        .filter(|glyph| pages::is_followed(glyph.char))
    {
        *missing.entry(glyph.char).or_insert(0_i64) += 1;
    }
    let blocks = pages.iter().flat_map(|page| &page.blocks);
    let furniture = blocks
        .filter_map(|block| block.text())
        .filter(|text| text.role == Role::Furniture)
        .map(|text| text.plain());
    let furniture: String = furniture.collect();
    let shown = text.chars().chain(furniture.chars());
    for c in shown.filter(|c| pages::is_followed(*c)) {
        *missing.entry(c).or_insert(0) -= 1;
    }
    missing.retain(|_, count| *count != 0);
    holds(
        missing.is_empty(),
        &format!("lost, or there twice: {missing:?}"),
    )
}

fn whole(data: Vec<u8>) -> Verdict {
    let make = || {
        let pdf = read::open(data.clone(), None).ok()?;
        let mut pictures = Pictures::default();
        Some(kbhost_pdf_layout::document(&pdf, limits(), &mut pictures))
    };
    let Some(document) = make() else {
        return Ok("refused");
    };
    let Ok(document) = document else {
        return Ok("too large");
    };
    let pages = document.pages;
    // What it may come to is bounded by the glyphs that are allowed, whatever there were.
    let text = checked_text(&pages, limits().glyphs as usize)?;
    let again = make()
        .and_then(Result::ok)
        .map(|again| text_of(&again.pages));
    holds(again.as_ref() == Some(&text), "not the same again")?;
    Ok(if text.trim().is_empty() {
        "without text"
    } else {
        "with text"
    })
}

fn text_of(pages: &[PageBlocks]) -> String {
    let mut all = String::new();
    for piece in pages.iter().flat_map(markdown::page) {
        match piece {
            Piece::Text(text) => all.push_str(&text),
            Piece::Picture { alternative, .. } => all.push_str(&format!("![{alternative}](x)")),
        }
    }
    all
}

/// The Markdown, of which the bounds hold.
fn checked_text(pages: &[PageBlocks], glyphs: usize) -> Result<String, String> {
    let text = text_of(pages);
    let max = glyphs * BYTES_PER_GLYPH_MAX + pages.len() * BYTES_PER_PAGE_MAX;
    holds(
        text.len() <= max,
        &format!("{} bytes for {glyphs} glyphs", text.len()),
    )?;
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    holds(control.is_none(), &format!("{control:?} in the Markdown"))?;
    Ok(text)
}

fn holds(is_so: bool, else_what: &str) -> Result<(), String> {
    match is_so {
        true => Ok(()),
        false => Err(else_what.to_owned()),
    }
}

/// The negative control: what the targets look for is found when it is planted.
#[test]
fn what_does_not_hold_is_told() {
    let fonts = pages::fonts();
    let mut random = Random::of_case(1, 1);
    let page = pages::page(Kind::Set, 300, &mut random);
    let laid = |page: &Page| vec![layout::page(page, &fonts)];
    let pages = laid(&page);
    let text = checked_text(&pages, page.glyphs.len()).expect("it holds");
    each_comes_out(&page, &pages, &text).expect("it holds");
    let mut less = page.clone();
    let at = less
        .glyphs
        .iter()
        .position(|glyph| pages::is_followed(glyph.char));
    less.glyphs.remove(at.expect("there are letters"));
    let lost = each_comes_out(&page, &laid(&less), &text_of(&laid(&less)));
    assert!(lost.is_err_and(|told| told.starts_with("lost")));
    let twice = text.clone() + &text;
    assert!(each_comes_out(&page, &pages, &twice).is_err());
    assert!(
        checked_text(&pages, 0).is_ok(),
        "a page may have that without a glyph"
    );
    let many: Vec<PageBlocks> = Vec::new();
    assert!(checked_text(&many, 0).is_ok());
    let mut nowhere = page.clone();
    nowhere.glyphs[0].x0 = f32::NAN;
    assert!(page_is_bounded(&nowhere, &limits()).is_err());
    let tight = Limits {
        glyphs_per_page: 10,
        ..limits()
    };
    assert!(page_is_bounded(&page, &limits()).is_ok() && page_is_bounded(&page, &tight).is_err());
}
