//! What a remote document becomes: every recorded form, bounds, and every wrong answer.

use kbhost_guest::MAIN_PATH;

use super::*;

#[test]
fn every_recorded_form_is_the_same_document() {
    for form in ["newest", "openkb", "oldest", "tree-file"] {
        let answer = |name: &str| [status(200, &fixture(&format!("{form}/{name}.json")))];
        let mut service = Recorded {
            granted: vec!["pictures.example"],
            ..Recorded::default()
        };
        service = service
            .with(METADATA, answer("metadata"))
            .with(TREE, answer("tree"))
            .with(PAGES, answer("pages"))
            .with(
                "pictures.example GET /d/chart.png?X-Signature=0123",
                [picture()],
            );
        let (document, files) = remote(&mut service);
        let document = document.unwrap_or_else(|error| panic!("{form}: {error:?}"));
        for (path, expected) in [
            (MAIN_PATH, fixture("document.md")),
            ("pages.json", fixture("pages.json")),
            ("tree.json", fixture("tree.json")),
        ] {
            assert_eq!(
                files.text(path).trim_end(),
                expected.trim_end(),
                "{form}: {path}"
            );
        }
        assert_eq!(files.outputs["images/p001-01.png"], PNG, "{form}");
        assert_eq!(document.name.as_deref(), Some("Harbour 2025.pdf"), "{form}");
        assert_eq!(document.pages, Some(4));
        assert_eq!(
            document.warnings,
            ["the service has no text of 1 page"],
            "{form}"
        );
        let entries = [
            ("created", "2026-03-04T05:06:07.000Z"),
            ("description", "A report on the harbour."),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(document.metadata, entries, "{form}");
        let outline = document.outline.iter();
        let outline: Vec<_> = outline
            .map(|heading| (heading.level, heading.title.as_str(), heading.page.unwrap()))
            .collect();
        assert_eq!(
            outline,
            [(1, "Harbour", 1), (2, "The quay", 2), (1, "Tables", 3)]
        );
        let roles: Vec<_> = document
            .files
            .iter()
            .map(|file| (file.role, file.page))
            .collect();
        let expected = [
            (Role::Main, None),
            (Role::Pages, None),
            (Role::Tree, None),
            (Role::Image, Some(1)),
        ];
        assert_eq!(roles, expected, "{form}");
        // The whole document's pages come in one answer.
        assert_eq!(service.count(PAGES), 1);
        assert_eq!(service.calls.len(), 4);
        assert!(service.checkpoints.is_empty() && service.pauses.is_empty());
    }
}

#[test]
fn text_of_pages_forges_nothing() {
    let text = "---\ntype: x\n---\n<!-- page 2 -->\n[[x]] kbhost-output:tree.json ![a](kbhost-output:images/p001-01.png)\n\
        kbhost-![output:pages.json](https://other/x) <!-- pa![ge 7 --](y)> \u{1b}[31m\n```\nopen";
    let pages = json!({"result": [{"page": 1, "content": text}, {"page": 2, "content": "b"}]});
    let mut service = Recorded::small().with(PAGES, [ok(&pages)]);
    let (document, files) = remote(&mut service);
    let markdown = files.text(MAIN_PATH);
    assert_eq!(
        markdown,
        "<!-- page 1 -->\n\n---\ntype: x\n---\n<!-- page: 2 -->\n[[x]] kbhost-output%3Atree.json a\n\
         kbhost-output%3Apages.json <!-- page: 7 --> [31m\n```\nopen\n```\n\n<!-- page 2 -->\n\nb\n"
    );
    assert_eq!(document.unwrap().warnings.len(), 3);
}

#[test]
fn texts_and_pages_are_bounded() {
    let long = "é".repeat(600_000);
    let mut service = Recorded::small().with_page(&json!({"page": 1, "content": long}));
    let (document, files) = remote(&mut service);
    assert_eq!(document.unwrap().warnings.len(), 1);
    assert!(files.text(MAIN_PATH).len() < (1 << 20) + 100);

    let pages: Vec<_> = (1..=20_001).map(|n| json!({"page": n})).collect();
    let mut service = Recorded::small().with(PAGES, [ok(&json!({"result": pages}))]);
    assert!(matches!(
        remote(&mut service).0,
        Err(ConvertError::TooLarge(_))
    ));

    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let mut service = Recorded::small().with(TREE, [status(200, &deep)]);
    let error = remote(&mut service).0.unwrap_err();
    let ConvertError::Upstream(message) = error else {
        panic!("{error:?}")
    };
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn wrong_answers_say_what_is_wrong() {
    for (call, value, expected) in [
        (METADATA, json!([1]), "the metadata: a list, not an object"),
        (TREE, json!("x"), "the tree: a text, not an object"),
        (
            TREE,
            json!({"detail": "x"}),
            "the tree: neither a `status` nor a tree",
        ),
        (
            TREE,
            json!({"status": "completed"}),
            "none of `tree`, `structure` and `result`",
        ),
        (
            TREE,
            json!({"status": "completed", "result": 7}),
            "the tree: a number, not a list",
        ),
        (
            TREE,
            json!({"tree": {"doc_name": "x"}}),
            "an object without a list `structure`",
        ),
        (
            TREE,
            json!({"tree": [{"title": "A"}]}),
            "neither `start_index` nor `page_index`",
        ),
        (PAGES, json!({}), "none of `pages`, `ocr` and `result`"),
        (
            PAGES,
            json!({"result": {"pages": "none"}}),
            "the pages: an object, not a list",
        ),
        (PAGES, json!({"result": ["x"]}), "a text for a page"),
        (
            PAGES,
            json!({"result": [{"markdown": "x"}]}),
            "neither `page` nor `page_index`",
        ),
        (
            PAGES,
            json!({"result": [{"page": "1"}]}),
            "a text that is no page number",
        ),
        (
            PAGES,
            json!({"result": [{"page": 0}]}),
            "page 0, not 1 to 20000",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1}, {"page": 1}]}),
            "page 1 comes twice",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1, "content": []}]}),
            "a list for the text of page 1",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1, "images": "x"}]}),
            "a text for the images of page 1",
        ),
    ] {
        let mut service = Recorded::small().with(call, [ok(&value)]);
        let error = remote(&mut service).0.unwrap_err();
        let ConvertError::Upstream(message) = error else {
            panic!("{value}: {error:?}")
        };
        assert!(message.contains(expected), "{message}");
    }
    for call in [METADATA, TREE, PAGES] {
        let mut service = Recorded::small().with(call, [status(200, "<html>Gateway \u{1b}[31m")]);
        let error = remote(&mut service).0.unwrap_err();
        let ConvertError::Upstream(message) = error else {
            panic!("{error:?}")
        };
        assert!(
            message.contains("not JSON") && message.ends_with("<html>Gateway [31m"),
            "{message}"
        );
    }
    let mut service = Recorded::small()
        .with(PAGES, [ok(&json!({"result": []}))])
        .with(METADATA, [ok(&json!({"name": "a.pdf"}))]);
    assert!(matches!(
        remote(&mut service).0,
        Err(ConvertError::Upstream(_))
    ));
}

#[test]
fn each_call_fails_with_its_own_error() {
    type Kind = fn(&ConvertError) -> bool;
    let cases: [(Answer, Kind); 8] = [
        (status(401, "x"), |it| matches!(it, ConvertError::Auth(_))),
        (
            status(404, "x"),
            |it| matches!(it, ConvertError::NotFound(text) if text.contains("pi-1")),
        ),
        (status(429, "x"), |it| matches!(it, ConvertError::Quota(_))),
        (
            status(500, "oops"),
            |it| matches!(it, ConvertError::Upstream(text) if text.contains("oops")),
        ),
        (status(302, "x"), |it| {
            matches!(it, ConvertError::Upstream(_))
        }),
        (Err(CloudError::Timeout), |it| *it == ConvertError::Timeout),
        (Err(CloudError::Cancelled), |it| {
            *it == ConvertError::Cancelled
        }),
        (Err(CloudError::Network("x".to_owned())), |it| {
            matches!(it, ConvertError::Network(_))
        }),
    ];
    for (answer, is_expected) in cases {
        for call in [METADATA, TREE, PAGES] {
            let mut service = Recorded::small().with(call, [answer.clone()]);
            let (document, files) = remote(&mut service);
            let error = document.unwrap_err();
            assert!(is_expected(&error), "{call}: {answer:?}: {error:?}");
            assert!(files.outputs.is_empty(), "{call}");
        }
    }
}

#[test]
fn odd_documents_are_taken() {
    // Fewer pages said than there are; a tree without sections; a name that is none.
    let metadata = json!({"name": "x/..", "status": "completed", "pageNum": 1});
    let pages = json!({"result": [{"page": 3, "markdown": null}, {"page": 2, "content": "b"}]});
    let mut service = Recorded::small()
        .with(METADATA, [ok(&metadata)])
        .with(TREE, [ok(&json!({"status": "completed", "result": []}))])
        .with(PAGES, [ok(&pages)]);
    let (document, files) = remote(&mut service);
    let document = document.unwrap();
    assert_eq!((document.name, document.pages), (None, Some(3)));
    assert_eq!(
        document.warnings,
        [
            "of pages the service counts 1 and has number 3",
            "the service has no text of 1 page"
        ]
    );
    assert_eq!(document.files.len(), 2);
    assert_eq!(files.text("pages.json"), r#"[{"page":2,"content":"b"}]"#);
    assert_eq!(
        files.text(MAIN_PATH),
        "<!-- page 1 -->\n\n<!-- page 2 -->\n\nb\n\n<!-- page 3 -->\n"
    );
    // An id is no path.
    for id in ["a/b?c", "../x", "a.b"] {
        let mut service = Recorded::default();
        let (document, _) = run(Source::Remote(id.to_owned()), None, &mut service);
        assert!(matches!(document, Err(ConvertError::NotFound(text)) if text.contains(id)));
        assert!(service.calls.is_empty());
    }
}
