//! Pictures: each form in which pages tell of them, and those that cannot be had.

use kbhost_guest::MAIN_PATH;

use super::*;

#[test]
fn pictures_in_each_form() {
    let data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==";
    let address = "https://h/a.png?s=1";
    let shown = |path: &str| format!("(kbhost-output:images/p001-{path}.png)");
    let (first, second) = (shown("01"), shown("02"));
    let check = |text: &str, images: Value, expected: &str, warnings: &[&str]| {
        let mut service = Recorded::small()
            .with_page(&json!({"page": 1, "markdown": text, "images": images}))
            .with("h GET /a.png?s=1", [picture()])
            .with("h GET /none.svg", [status(200, "<svg/>")])
            .with("h GET /gone.png", [status(410, "secret")]);
        service.granted = vec!["h"];
        let (document, files) = remote(&mut service);
        let document = document.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let markdown = files.text(MAIN_PATH);
        let body = markdown.strip_prefix("<!-- page 1 -->\n").unwrap();
        assert_eq!(body.trim(), expected, "{text}");
        assert_eq!(document.warnings, warnings, "{text}");
    };
    check(
        &format!("![x]({address})"),
        json!(null),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![x](<{address}> \"t\")"),
        json!([]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![*x* `y`][r]\n\n[r]: {address}"),
        json!([]),
        &format!("![x y]{first}\n\n[r]: {address}"),
        &[],
    );
    // Once in the text, once in the list: one picture.
    check(
        &format!("a ![x]({address}) b"),
        json!([address]),
        &format!("a ![x]{first} b"),
        &[],
    );
    check(
        "text",
        json!([address, address]),
        &format!("text\n\n![]{first}\n\n![]{first}"),
        &[],
    );
    check(
        "![x](img-0.png)",
        json!([{"id": "img-0.png", "image_url": {"url": address}}]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        "![x](./imgs/img-0.png)",
        json!([{"id": "img-0.png", "data": data}]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![x](data:image/png;base64,{data})"),
        json!([address]),
        &format!("![x]{first}\n\n![]{second}"),
        &[],
    );
    check("", json!([data]), &format!("![]{first}"), &[]);
    check(
        "",
        json!([format!("data:image/png;base64,{data}")]),
        &format!("![]{first}"),
        &[],
    );
    check("`![x](img.png)`", json!([]), "`![x](img.png)`", &[]);
    check(
        "[![x](https://h/a.png?s=1)](y)",
        json!([]),
        &format!("[![x]{first}](y)"),
        &[],
    );
    // What cannot be had is left out; its words stay.
    check(
        "a ![x [y](z)](img.png) b",
        json!([]),
        "a x y b",
        &["left out: 1 picture of which the service gives neither address nor bytes"],
    );
    check(
        "![x](https://user:pw@other.example/a?secret) ![](https://other.example/b)",
        json!([]),
        "x",
        &[
            "left out: 2 pictures on the host `other.example`, which is not granted, or under an address \
           that is not as the service wrote it",
        ],
    );
    check(
        "![x](https://h/none.svg)![y](https://h/gone.png)",
        json!(["data:image/png;base64,!!"]),
        "xy",
        &[
            "left out: 1 picture in another format than PNG, JPEG, GIF and WebP",
            "left out: 1 picture on the host `h`, which answered with status 410",
            "left out: 1 picture whose base64 is not valid",
        ],
    );
    for hostile in ["../../x.png", "/etc/passwd", "C:\\x.png"] {
        let images = json!([{"id": hostile, "path": hostile, "image_url": address}]);
        check(
            &format!("![x](<{hostile}>)"),
            images,
            &format!("![x]{first}"),
            &[],
        );
    }
}

#[test]
fn pictures_that_fail_stop_being_asked_for() {
    let check = |error: CloudError, expected: usize| {
        let text: String = (0..9)
            .map(|n| format!("![{n}](https://h/{n}.png)\n"))
            .collect();
        let mut service = Recorded::small().with_page(&json!({"page": 1, "content": text}));
        for n in 0..9 {
            let call = format!("h GET /{n}.png");
            service = service.with(&call, [Err(error.clone())]);
        }
        service.granted = vec!["h"];
        let (document, _) = remote(&mut service);
        assert_eq!(document.unwrap().warnings.len(), 2, "{error:?}");
        assert_eq!(service.calls.len() - 3, expected, "{error:?}");
    };
    check(CloudError::Network("x".to_owned()), 3);
    check(CloudError::Timeout, 3);
    check(CloudError::Tainted, 3);
    check(CloudError::TooLarge("x".to_owned()), 3);
    check(CloudError::Exhausted("x".to_owned()), 1);

    let page = json!({"page": 1, "content": "![x](https://h/x.png)"});
    let mut service = Recorded::small()
        .with_page(&page)
        .with("h GET /x.png", [Err(CloudError::Cancelled)]);
    service.granted = vec!["h"];
    assert_eq!(remote(&mut service).0, Err(ConvertError::Cancelled));
}

#[test]
fn pictures_are_counted() {
    let text: String = (0..1_003)
        .map(|n| format!("![](https://h/{n}.png)\n"))
        .collect();
    let mut service = Recorded::small().with_page(&json!({"page": 1, "content": text}));
    for n in 0..1_003 {
        service = service.with(&format!("h GET /{n}.png"), [picture()]);
    }
    service.granted = vec!["h"];
    let (document, files) = remote(&mut service);
    assert_eq!(
        document.unwrap().warnings,
        ["left out: 3 pictures beyond the limits"]
    );
    assert_eq!(
        files
            .outputs
            .keys()
            .filter(|path| path.starts_with("images/"))
            .count(),
        1_000
    );
}
