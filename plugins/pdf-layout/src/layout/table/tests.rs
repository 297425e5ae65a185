//! Tables of small pages made by hand: what is one, what is none, and what becomes of it.

use super::*;
use crate::layout::block::{Block, BlockKind, Cell, PageBlocks, Role, TextBlock};
use crate::layout::sample;
use crate::layout::text::{Style, Word};
use crate::page::Rule;

/// Font size of all text here; a space is a quarter of an em wide.
const EM: f32 = 10.0;

/// How wide a word is: as in most fonts, not all characters are of one width.
fn width(text: &str) -> f32 {
    let widths = text.chars().map(|c| match c {
        'i' | 'l' | 't' | 'f' => 0.3,
        'm' | 'w' => 0.8,
        _ => 0.5,
    });
    EM * widths.sum::<f32>()
}

/// A line of words, the first at `x`; where a text has two spaces or more they are as many ems.
fn line(x: f32, baseline: f32, text: &str, order: &mut u32) -> Line {
    let mut words = Vec::new();
    let mut at = x;
    for part in text.split(' ') {
        if part.is_empty() {
            at += EM;
            continue;
        }
        words.push(word(at, baseline, part, *order));
        *order += 1 + u32::try_from(part.chars().count()).unwrap();
        at += width(part) + 0.25 * EM;
    }
    Line::of_words(words, Turn::None).unwrap()
}

fn word(x: f32, baseline: f32, text: &str, order: u32) -> Word {
    let mut word = sample::word(text, x, baseline, EM, Style::default());
    word.rect.x1 = x + width(text);
    word.order = order;
    word
}

/// Lines of cells: each row at its baseline, each cell at its x.
fn cells(xs: &[f32], rows: &[(f32, &[&str])]) -> Vec<Line> {
    let mut order = 0;
    let mut lines = Vec::new();
    for (baseline, row) in rows {
        for (x, text) in xs.iter().zip(*row).filter(|(_, text)| !text.is_empty()) {
            lines.push(line(*x, *baseline, text, &mut order));
        }
    }
    lines
}

fn across(y: f32, x0: f32, x1: f32) -> Rule {
    Rule {
        rect: Rect::of_corners(x0, y - 0.25, x1, y + 0.25),
        is_horizontal: true,
    }
}

fn down(x: f32, y0: f32, y1: f32) -> Rule {
    Rule {
        rect: Rect::of_corners(x - 0.25, y0, x + 0.25, y1),
        is_horizontal: false,
    }
}

fn page(rules: Vec<Rule>) -> Page {
    Page {
        number: 1,
        width: 600.0,
        height: 800.0,
        rules,
        ..Page::default()
    }
}

/// The tables of a page as text, rows by `/`, cells by `|`, and the lines that are left.
fn taken(page: &Page, mut lines: Vec<Line>) -> (Vec<String>, Vec<String>) {
    let tables = take(page, &mut lines);
    let tables = tables.iter().map(|table| shown(&table.table)).collect();
    (tables, lines.iter().map(Line::text).collect())
}

fn shown(table: &Table) -> String {
    let rows = table.rows.iter().map(|row| {
        let cells = row.iter().map(|cell| {
            let lines: Vec<String> = cell.lines.iter().map(Line::text).collect();
            lines.join(" ")
        });
        cells.collect::<Vec<_>>().join("|")
    });
    rows.collect::<Vec<_>>().join(" / ")
}

/// Nothing here is a table: every line stays.
fn check_none(rules: Vec<Rule>, lines: Vec<Line>) {
    let all: Vec<String> = lines.iter().map(Line::text).collect();
    let (tables, mut left) = taken(&page(rules), lines);
    assert!(tables.is_empty(), "{tables:?}");
    left.sort();
    let mut all = all;
    all.sort();
    assert_eq!(left, all);
}

fn grid(xs: &[f32], ys: &[f32]) -> Vec<Rule> {
    let (left, right) = (xs[0], xs[xs.len() - 1]);
    let (top, bottom) = (ys[0], ys[ys.len() - 1]);
    let rows = ys.iter().map(|y| across(*y, left, right));
    rows.chain(xs.iter().map(|x| down(*x, top, bottom)))
        .collect()
}

const PROSE: &str = "a sentence that goes on and on over the whole width of its column of text";

#[test]
fn drawn_cells_are_a_table_and_a_line_that_crosses_a_border_is_cut() {
    let page = page(grid(&[100.0, 148.0, 300.0], &[100.0, 120.0, 140.0, 160.0]));
    let mut order = 0;
    let lines = vec![
        line(50.0, 80.0, "above", &mut order),
        line(102.0, 114.0, "Name Value of it", &mut order),
        line(102.0, 134.0, "alpha", &mut order),
        line(152.0, 130.0, "one", &mut order),
        line(152.0, 138.0, "two", &mut order),
        line(102.0, 154.0, "beta", &mut order),
    ];
    // The second word begins right of the border.
    let (tables, left) = taken(&page, lines);
    assert_eq!(tables, ["Name Value of it| / alpha|one two / beta|"]);
    assert_eq!(left, ["above"]);
}

#[test]
fn text_that_runs_over_its_cell_goes_back_to_it() {
    let page = page(grid(&[100.0, 200.0, 300.0], &[100.0, 115.0, 130.0]));
    let mut order = 0;
    let lines = vec![
        line(102.0, 110.0, "Name", &mut order),
        line(202.0, 110.0, "long", &mut order),
        line(202.0, 121.0, "head", &mut order),
        line(102.0, 125.0, "alpha", &mut order),
        line(202.0, 125.0, "seven", &mut order),
    ];
    let (tables, _) = taken(&page, lines);
    assert_eq!(tables, ["Name|long head / alpha|seven"]);
}

#[test]
fn rows_within_drawn_rows_are_told_by_their_numbers() {
    let ys = [100.0, 120.0, 170.0, 190.0, 210.0];
    let page = page(grid(&[100.0, 200.0, 300.0], &ys));
    let rows: [(f32, &[&str]); 6] = [
        (112.0, &["Land", "Zahl"]),
        (132.0, &["Malta", "18"]),
        (146.0, &["Zypern", "45"]),
        (160.0, &["Polen", "121"]),
        (182.0, &["rest of", "9"]),
        (202.0, &["all", "193"]),
    ];
    let (tables, _) = taken(&page, cells(&[104.0, 204.0], &rows));
    assert_eq!(
        tables,
        ["Land|Zahl / Malta|18 / Zypern|45 / Polen|121 / rest of|9 / all|193"]
    );
}

#[test]
fn text_of_another_size_stands_beside_a_row_of_few_cells_only() {
    let rows_of = |count: u16| {
        let mut lines: Vec<Line> = (0..count)
            .map(|n| line(30.0 * f32::from(n), 100.0, "ab", &mut 0))
            .collect();
        lines.push(line(30.0 * f32::from(count), 103.8, "ab", &mut 0));
        let canvas = Canvas::of(&page(Vec::new()), Turn::None);
        columns::text_rows(&canvas, &lines, |_| true).len()
    };
    assert_eq!(rows_of(5), 1);
    assert_eq!(rows_of(90), 2);
}

#[test]
fn a_drawing_has_more_tables_than_are_looked_for() {
    let mut down_lines = Vec::new();
    let mut across_lines = Vec::new();
    for n in 0..250_u16 {
        let at = 40.0 * f32::from(n);
        for step in [0.0, 10.0, 20.0] {
            across_lines.push(segment::Segment {
                at: at + step,
                from: at,
                to: at + 20.0,
            });
        }
        for step in [0.0, 20.0] {
            down_lines.push(segment::Segment {
                at: at + step,
                from: at,
                to: at + 20.0,
            });
        }
    }
    assert_eq!(lattice::grids(&across_lines, &down_lines).len(), 200);
}

#[test]
fn frames_and_charts_are_no_tables() {
    let mut order = 0;
    let framed =
        (0..4_u8).map(|n| line(105.0, 112.0 + 12.0 * f32::from(n), "some text", &mut order));
    check_none(grid(&[100.0, 300.0], &[100.0, 160.0]), framed.collect());
    let marks = cells(
        &[80.0],
        &[(105.0, &["30"]), (145.0, &["20"]), (205.0, &["10"])],
    );
    let ys = [100.0, 120.0, 140.0, 160.0, 180.0, 200.0];
    check_none(grid(&[100.0, 150.0, 200.0, 250.0, 300.0], &ys), marks);
}

#[test]
fn squared_paper_is_no_table() {
    let places: Vec<f32> = (0..450_u16).map(|n| 5.0 * f32::from(n)).collect();
    let words = cells(
        &[7.0, 12.0, 17.0],
        &[(9.0, &["a", "b", "c"]), (14.0, &["d", "e", "f"])],
    );
    check_none(grid(&places, &places), words);
}

#[test]
fn rules_above_and_below_make_a_table() {
    let rules = [100.0, 120.0, 170.0].map(|y| across(y, 100.0, 400.0));
    let rows: [(f32, &[&str]); 4] = [
        (112.0, &["Tool", "Runs", "Time"]),
        (134.0, &["first one", "17", "3.2"]),
        (148.0, &["second", "4", "11.9"]),
        (162.0, &["third", "", "0.4"]),
    ];
    let mut lines = cells(&[104.0, 250.0, 340.0], &rows);
    lines.push(line(104.0, 190.0, "Source: a note", &mut 1_000));
    let (tables, left) = taken(&page(rules.to_vec()), lines);
    assert_eq!(
        tables,
        ["Tool|Runs|Time / first one|17|3.2 / second|4|11.9 / third||0.4"]
    );
    assert_eq!(left, ["Source: a note"]);
}

#[test]
fn a_head_of_several_lines_is_one_row_and_what_spans_is_another() {
    let mut rules = [100.0, 140.0, 170.0]
        .map(|y| across(y, 100.0, 400.0))
        .to_vec();
    rules.push(across(118.0, 230.0, 400.0));
    let rows: [(f32, &[&str]); 5] = [
        (112.0, &["", "Measurements of both", ""]),
        (126.0, &["Tool", "Runs of", "Time"]),
        (137.0, &["", "each", ""]),
        (152.0, &["first one", "17", "3.2"]),
        (164.0, &["second", "4", "11.9"]),
    ];
    let lines = cells(&[104.0, 250.0, 320.0], &rows);
    let (tables, _) = taken(&page(rules), lines);
    assert_eq!(
        tables,
        ["|Measurements of both| / Tool|Runs of each|Time / first one|17|3.2 / second|4|11.9"]
    );
}

#[test]
fn sentences_and_code_between_rules_are_no_table() {
    let rules = || [100.0, 170.0].map(|y| across(y, 100.0, 450.0)).to_vec();
    let mut order = 0;
    let prose = (0..4_u8).map(|n| line(104.0, 115.0 + 14.0 * f32::from(n), PROSE, &mut order));
    check_none(rules(), prose.collect());
    let rows: [(f32, &[&str]); 3] = [
        (112.0, &["let first", "= 17;"]),
        (126.0, &["let second", "= 18;"]),
        (140.0, &["let third", "= 19;"]),
    ];
    let mut code = cells(&[104.0, 250.0], &rows);
    for word in code.iter_mut().flat_map(|line| &mut line.words) {
        word.style.is_mono = true;
    }
    check_none(rules(), code);
}

#[test]
fn gaps_above_each_other_and_numbers_make_a_table() {
    let rows: [(f32, &[&str]); 4] = [
        (112.0, &["Tool", "Runs", "Time"]),
        (126.0, &["first one", "17", "3.2"]),
        (140.0, &["second", "4", "11.9"]),
        (154.0, &["third", "8", "0.4"]),
    ];
    let mut lines = cells(&[104.0, 250.0, 340.0], &rows);
    let mut order = 1_000;
    lines.insert(0, line(100.0, 90.0, PROSE, &mut order));
    lines.push(line(100.0, 180.0, PROSE, &mut order));
    let (tables, left) = taken(&page(Vec::new()), lines);
    assert_eq!(
        tables,
        ["Tool|Runs|Time / first one|17|3.2 / second|4|11.9 / third|8|0.4"]
    );
    assert_eq!(left, [PROSE, PROSE]);
}

#[test]
fn lists_contents_and_columns_of_text_are_no_tables() {
    let list: [(f32, &[&str]); 4] = [
        (112.0, &["1.", "the first of them"]),
        (130.0, &["2.", "the second of them"]),
        (148.0, &["3.", "the third of them"]),
        (166.0, &["4.", "the last of them"]),
    ];
    check_none(Vec::new(), cells(&[100.0, 130.0], &list));
    let contents: [(f32, &[&str]); 4] = [
        (112.0, &["Introduction", "1"]),
        (130.0, &["What is known", "7"]),
        (148.0, &["What is not", "12"]),
        (166.0, &["Conclusions", "30"]),
    ];
    check_none(Vec::new(), cells(&[100.0, 500.0], &contents));
    let columns: Vec<Line> = [60.0, 330.0]
        .into_iter()
        .zip([0, 5_000])
        .flat_map(|(x, mut order)| {
            (0..12_u8)
                .map(|n| {
                    line(
                        x,
                        100.0 + 12.0 * f32::from(n),
                        "words that fill the column they stand in",
                        &mut order,
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    check_none(Vec::new(), columns);
}

#[test]
fn lines_of_a_cell_belong_to_the_row_that_more_space_ends() {
    let rows: [(f32, &[&str]); 6] = [
        (100.0, &["Option", "What it does"]),
        (120.0, &["one", "does a thing that"]),
        (131.0, &["", "takes two lines"]),
        (151.0, &["two", "nothing"]),
        (171.0, &["three", "much, and says"]),
        (182.0, &["", "so"]),
    ];
    let (tables, _) = taken(&page(Vec::new()), cells(&[100.0, 200.0], &rows));
    assert_eq!(
        tables,
        [
            "Option|What it does / one|does a thing that takes two lines / two|nothing / three|much, and says so"
        ]
    );
}

#[test]
fn a_turned_table_is_read_the_way_it_is_turned() {
    // The page is 600 wide: x of the page is 600 less y of the text.
    let mut lines = cells(
        &[102.0, 202.0],
        &[(112.0, &["Name", "Value"]), (132.0, &["alpha", "one"])],
    );
    for line in &mut lines {
        line.turn = Turn::Quarter;
    }
    let mut rules: Vec<Rule> = [100.0, 120.0, 140.0]
        .map(|y| down(600.0 - y, 100.0, 300.0))
        .to_vec();
    rules.extend([100.0, 200.0, 300.0].map(|x| across(x, 460.0, 500.0)));
    let (tables, left) = taken(&page(rules), lines);
    assert_eq!(tables, ["Name|Value / alpha|one"]);
    assert!(left.is_empty(), "{left:?}");
}

fn page_with(number: u32, blocks: Vec<Block>) -> PageBlocks {
    PageBlocks {
        number,
        width: 600.0,
        height: 800.0,
        blocks,
        ..PageBlocks::default()
    }
}

fn table_of(edges: &[f32], rows: &[&[&str]]) -> Block {
    let mut order = 0;
    let rows = rows.iter().map(|row| {
        let cells = row.iter().map(|text| Cell {
            lines: vec![line(0.0, 0.0, text, &mut order)],
        });
        cells.collect()
    });
    Block {
        rect: Rect::of_corners(100.0, 100.0, 300.0, 700.0),
        kind: BlockKind::Table(Table {
            rows: rows.collect(),
            edges: edges.to_vec(),
            continues_last: false,
        }),
    }
}

fn text_at(y: f32, text: &str) -> Block {
    Block {
        rect: Rect::of_corners(100.0, y, 300.0, y + 10.0),
        kind: BlockKind::Text(TextBlock {
            lines: vec![line(100.0, y, text, &mut 0)],
            role: Role::Paragraph,
            continues: false,
        }),
    }
}

fn tables_of(pages: &[PageBlocks]) -> Vec<String> {
    let blocks = pages.iter().flat_map(|page| &page.blocks);
    let tables = blocks.filter_map(|block| match &block.kind {
        BlockKind::Table(table) => Some(shown(table)),
        _ => None,
    });
    tables.collect()
}

#[test]
fn a_table_goes_on_over_pages_without_its_head_again() {
    let edges = [100.0, 180.0, 300.0];
    let mut pages = [
        page_with(
            1,
            vec![
                table_of(&edges, &[&["A", "B"], &["1", "2"]]),
                text_at(780.0, "1"),
            ],
        ),
        page_with(
            2,
            vec![
                text_at(20.0, "Title"),
                table_of(&edges, &[&["A", "B"], &["3", "4"]]),
            ],
        ),
        page_with(
            3,
            vec![
                table_of(&edges, &[&["5", "6"]]),
                text_at(400.0, "After it."),
            ],
        ),
        page_with(4, vec![table_of(&edges, &[&["A", "B"], &["7", "8"]])]),
    ];
    join(&mut pages);
    assert_eq!(tables_of(&pages), ["A|B / 1|2 / 3|4 / 5|6", "A|B / 7|8"]);
}

#[test]
fn tables_with_other_columns_are_other_tables() {
    let mut pages = [
        page_with(
            1,
            vec![table_of(
                &[100.0, 180.0, 300.0],
                &[&["A", "B"], &["1", "2"]],
            )],
        ),
        page_with(
            2,
            vec![table_of(
                &[100.0, 240.0, 300.0],
                &[&["A", "B"], &["3", "4"]],
            )],
        ),
    ];
    join(&mut pages);
    assert_eq!(tables_of(&pages).len(), 2);
}

#[test]
fn a_very_long_table_begins_again_with_its_head() {
    let edges = [100.0, 180.0, 300.0];
    let part = |n: u32| {
        let rows: Vec<&[&str]> = vec![&["x", "y"]; 90];
        page_with(n, vec![table_of(&edges, &rows)])
    };
    let mut pages = [
        page_with(1, vec![table_of(&edges, &[&["A", "B"], &["1", "2"]])]),
        part(2),
        part(3),
        part(4),
    ];
    join(&mut pages);
    let tables = tables_of(&pages);
    assert_eq!(tables.len(), 2);
    assert!(tables[1].starts_with("A|B / x|y"), "{}", tables[1]);
}
