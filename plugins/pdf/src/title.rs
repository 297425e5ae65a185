//! The title of a document: what a person gave it.

use kbhost_guest::one_line;

/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 500;
/// Titles that programs write when nobody gave one.
const TITLES_OF_PROGRAMS: [&str; 4] = [
    "untitled",
    "microsoft word - ",
    "powerpoint presentation",
    "slide 1",
];
/// A title that ends so is the name of the file it was made from.
const FILE_EXTENSIONS: [&str; 9] = [
    "dvi", "doc", "docx", "indd", "odt", "pdf", "ppt", "pptx", "tex",
];

/// Whether a title was written by a program rather than by a person.
fn is_of_program(title: &str) -> bool {
    let lower = title.to_lowercase();
    let is_file_name = !lower.contains(' ')
        && lower
            .rsplit_once('.')
            .is_some_and(|(_, end)| FILE_EXTENSIONS.contains(&end));
    is_file_name
        || TITLES_OF_PROGRAMS
            .iter()
            .any(|title| lower.starts_with(title))
}

/// The title that a person gave the file, else its first heading.
pub(crate) fn title(own: Option<&str>, first_heading: Option<&str>) -> Option<String> {
    let own = one_line(own.unwrap_or_default(), TITLE_CHARS_MAX);
    if !own.is_empty() && !is_of_program(&own) {
        return Some(own);
    }
    let heading = one_line(first_heading?, TITLE_CHARS_MAX);
    (!heading.is_empty()).then_some(heading)
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_of_programs_do_not_count() {
        let check = |title: &str, expected: Option<&str>| {
            assert_eq!(super::title(Some(title), None).as_deref(), expected);
        };
        check("Microsoft Word - report.docx", None);
        check(" ", None);
        check("four-lectures.dvi", None);
        check("Notes on main.tex", Some("Notes on main.tex"));
        check("Annual report", Some("Annual report"));
        assert_eq!(super::title(None, Some("A\nB")).as_deref(), Some("A B"));
    }
}
